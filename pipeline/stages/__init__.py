"""The stages of the pipeline, a verb a file: the only modules that dvc.yaml runs. None imports another."""
