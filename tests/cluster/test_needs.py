import pytest

from pipeline.cluster import needs


@pytest.mark.parametrize(
    ("stage", "kind", "on_gpu"),
    [
        ("studies/tnbc/dvc.yaml:train-ablation@1-42-unet-plain", "train-ablation", True),
        ("studies/tnbc/dvc.yaml:predict@1-42-unet-plain", "predict", True),
        ("studies/tnbc/dvc.yaml:report", "report", False),
        ("convert@tnbc", "convert", False),
    ],
)
def test_what_a_stage_needs_follows_from_its_name(stage: str, kind: str, on_gpu: bool) -> None:
    assert needs.kind(stage) == kind
    found = needs.needs(stage, threads=3)
    assert (found["cores"], found["GPU"]) == (3, on_gpu)
    assert found["memory"] >= 1e9
