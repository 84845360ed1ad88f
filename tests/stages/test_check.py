"""A wrong params.yaml is refused at once, with a sentence, before anything is written."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.base.errors import Problem
from pipeline.base.study import read_study, study_names
from pipeline.health.parameters import check_study

ROOT = Path(__file__).parents[2]
PANNUKE, BRACS = read_study("pannuke", ROOT), read_study("bracs", ROOT)


def run_check(folder: Path, study: str, old: str, new: str) -> subprocess.CompletedProcess[str]:
    """Run the stage in an empty folder, on the committed files with one change; no study means the project's."""
    shutil.copy(ROOT / "params.yaml", folder)
    for name in study_names(ROOT):
        (folder / "studies" / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "studies" / name / "params.yaml", folder / "studies" / name)
    path = folder / ("params.yaml" if not study else f"studies/{study}/params.yaml")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return subprocess.run(
        [sys.executable, "-m", "pipeline.stages.check", *([study] if study else [])],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("study", ["", *study_names(ROOT)])
def test_the_committed_files_pass_and_leave_the_same_bytes_whatever_is_right(tmp_path: Path, study: str) -> None:
    old, new = ("seed: 42", "seed: 43") if not study else ("examples: ", "examples: 1")
    assert run_check(tmp_path, study, old, old).returncode == 0
    path = tmp_path / "data/checked" / f"{study or 'project'}.txt"
    first = path.read_bytes()
    assert run_check(tmp_path, study, old, new).returncode == 0
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("study", "old", "new", "words"),
    [
        ("", "encoder: resnet50", "encoder: resnet5", "did you mean"),
        ("", "source: sample", "source: /nowhere/pannuke", "which is no folder"),
        ("", "source: sample", "source: ~no-such-user/pannuke", "which is no folder"),
        ("", "  tnbc:\n", "  tnbc:\n    tiling: {}\n", "datasets.tnbc.tiling is for data sets of slides"),
        ("", "  tnbc:\n", "  tnbcc:\n", "there is no data set named tnbcc"),
        ("", "tiles_per_fold: 64", "tiles_per_fold: 1", "sample.pannuke: tiles_per_fold is 1"),
        ("", "tiles_per_fold: 64", "tiles: 64", "sample.pannuke: tiles"),
        ("", "  seed: 7", "  other: {}\n  seed: 7", "sample.other is of no data set under datasets"),
        ("pannuke", "freeze_encoder: false", "freeze_encoder: true", "unet freezes its encoder and has none"),
        ("pannuke", "datasets: [pannuke]", "datasets: [kumar]", "there is no data set named kumar"),
        ("pannuke", "otsu]", "otsus]", "baselines.1 is 'otsus'"),
        ("bach", "in_situ: 2.025", "insitu: 2.025", "has an augment.factor for 'insitu'"),
        ("pannuke", "epochs:", "epoch:", "train.epoch is not a known key (did you mean epochs?)"),
        ("pannuke", "  batch: 8", "  batch: eight", "should be a valid integer"),
        ("pannuke", "learning_rate: 0.001", "learning_rate: 2", "less than or equal to 1"),
        ("pannuke", "connective, dead", "dead, connective", "give these, in this order"),
        ("pannuke", "group: Breast", "group: Brest", "give all or one of"),
        ("pannuke", "weights: random", "weights: imagnet", "which is no file"),
        ("pannuke", "task: segmentation", "task: segmentaton", "give one of segmentation, detection"),
        ("pannuke", "vgg19]", "vgg91]", "studies/pannuke/params.yaml: the encoder 'vgg91' is not known"),
        ("bracs", "[background, UDH]", "[background, DCIS]", "has the target 'UDH' and the classes"),
        ("bracs", "target: UDH ", "target: none ", "undersamples tiles without a target"),
        ("bracs", "    task: tiles\n", "", "tiles-densenet121 stands under classifiers, but its task is segmentation"),
        ("bach", "resnet101: {encoder: resnet101}", "resnet101: {encoder: vgg19}", "no detector can be built"),
        ("bach", "plans: [augmented]", "plans: [plain]", "detectors train on the augmented plan"),
        (
            "bcss",
            "compare: [",
            "compare: [vgg19, ",
            "vgg19 is compared and not under variants; add `vgg19: {encoder: vgg19}`",
        ),
        ("bcss", "  resnet34: {", "  resnet.34: {", "variants.resnet.34 has a dot"),
    ],
)
def test_a_wrong_value_is_one_sentence_and_nothing_written(
    tmp_path: Path, study: str, old: str, new: str, words: str
) -> None:
    done = run_check(tmp_path, study, old, new)
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.startswith("lobule: ")
    assert done.stderr.count("\n") <= 2
    assert not (tmp_path / "data").exists()


def test_the_check_imports_nothing_heavy() -> None:
    code = "import sys, pipeline.stages.check; print({'torch', 'pandas', 'mlflow', 'h5py'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_target_that_the_data_set_does_not_have() -> None:
    with pytest.raises(Problem, match=r"target is 'LCIS', .* give one of N, PB, UDH, FEA, ADH, DCIS, IC\.$"):
        check_study(BRACS.model_copy(update={"target": "LCIS", "classes": ["background", "LCIS"]}))


def test_a_checkpoint_that_is_there_passes(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    path.touch()
    check_study(PANNUKE.model_copy(update={"model": PANNUKE.model.model_copy(update={"weights": str(path)})}))


def test_a_checkpoint_that_a_stage_will_write_passes() -> None:
    path = "models/bracs/run{run}/seed{seed}/other-plain/weights/model.safetensors"
    written = PANNUKE.model.model_copy(update={"weights": path})
    check_study(PANNUKE.model_copy(update={"model": written}))
