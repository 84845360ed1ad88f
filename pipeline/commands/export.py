"""Write a trained model as a folder that works elsewhere: `lobule export STUDY/VARIANT-PLAN DIR`.

    lobule export pannuke/resnet50-augmented resnet50
    lobule export pannuke/resnet50-augmented resnet50 --register

In:  the variant's weights, its scores, the report of its study.
Out: DIR with model.safetensors, model.json, model.onnx, model.torchscript.pt, an example, README.md (the model card),
     what MLflow needs to load and serve it, SHA256SUMS. With --register it also becomes a version of the model that
     has the study's name, in the store of MLflow.
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("variant", metavar="STUDY/VARIANT-PLAN", help="as in reports/STUDY/scores.csv")
    parser.add_argument("folder", metavar="DIR", type=Path, help="where it goes: a new folder, or an older package")
    parser.add_argument("--run", dest="of_run", metavar="RUN", type=int, help="(default: the study's first)")
    parser.add_argument("--seed", type=int, help="(default: the study's first)")
    parser.add_argument("--register", action="store_true", help="in MLflow, too, as a version of the study's model")


def run(arguments: argparse.Namespace) -> None:
    from pipeline.packages.variants import job_of

    job = job_of(arguments.variant, arguments.of_run, arguments.seed)  # before torch is imported, which takes seconds
    from pipeline.base.records import Model
    from pipeline.packages.card import forbids_sharing
    from pipeline.packages.package import write_package
    from pipeline.packages.registry import register

    for sentence in write_package(job, arguments.folder):
        print(sentence)
    record = Model.read(arguments.folder / "model.json")
    print(
        f"{arguments.folder}: {job.study}/{record.variant} of run {job.run}, seed {job.seed}; README.md tells the rest."
    )
    print(f"Its licence is that of its data: {record.licence}.")
    if forbids_sharing(record.licence):
        print("That licence lets nothing be passed on that was made of the data: keep the folder to yourself.")
    if arguments.register:
        print(f"MLflow: version {register(job, record, arguments.folder)} of the model {job.study}.")
