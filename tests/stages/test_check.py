"""A wrong params.yaml is refused at once, with a sentence, before anything is written."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.base.errors import Problem
from pipeline.base.params import read_params
from pipeline.stages import check
from pipeline.stages.check import check_source, check_study

ROOT = Path(__file__).parents[2]
STUDY = read_params(ROOT / "params.yaml").pannuke
BRACS = read_params(ROOT / "params.yaml").bracs


def run_check(folder: Path, old: str, new: str) -> subprocess.CompletedProcess[str]:
    """Run the stage in an empty folder, on the committed params.yaml with one change."""
    text = (ROOT / "params.yaml").read_text()
    assert old in text
    (folder / "params.yaml").write_text(text.replace(old, new, 1))
    return subprocess.run(
        [sys.executable, "-m", "pipeline.stages.check"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_committed_file_passes(tmp_path: Path) -> None:
    assert run_check(tmp_path, "seed", "seed").returncode == 0
    first = (tmp_path / "data/checked.txt").read_bytes()
    assert run_check(tmp_path, "seed: 42", "seed: 43").returncode == 0
    assert (tmp_path / "data/checked.txt").read_bytes() == first


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("encoder: resnet50", "encoder: resnet5", "did you mean"),
        ("epochs:", "epoch:", "epoch is not a known key"),
        ("  batch: 8", "  batch: eight", "should be a valid integer"),
        ("learning_rate: 0.001", "learning_rate: 2", "less than or equal to 1"),
        ("connective, dead", "dead, connective", "give these, in this order"),
        ("tissue: Breast", "tissue: Brest", "give one of"),
        ("source: sample", "source: /nowhere/pannuke", "which is no folder"),
        ("source: sample", "source: ~no-such-user/pannuke", "which is no folder"),
        ("weights: random", "weights: imagnet", "which is no file"),
        ("  tnbc:\n", "  tnbc:\n    tiling: {}\n", "datasets.tnbc.tiling is for data sets of slides"),
        ("[background, UDH]", "[background, DCIS]", "has the target 'UDH' and the classes ['background', 'DCIS']"),
        ("  resnet101: {encoder: resnet101}", "  resnet101: {encoder: vgg19}", "of which no detector can be built"),
        ("  plan: plain ", "  seeds: {first: 1, second: 2, third: 3}\n  plan: plain ", "bcss.seeds is given, but"),
        ("  compare: [resnet50] ", "  plan: plain\n  compare: [resnet50] ", "detectors train on the augmented plan"),
        ("third: 1}  # the only one\n", "third: 2}\n", "bcss.runs has [1, 2], but this study has run 1 alone"),
        ("target: UDH ", "target: null ", "undersamples tiles without a target"),
    ],
)
def test_a_wrong_value_is_one_sentence_and_nothing_written(tmp_path: Path, old: str, new: str, words: str) -> None:
    done = run_check(tmp_path, old, new)
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.startswith("lobule: ")
    assert done.stderr.count("\n") <= 2
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_several_runs_and_seeds_pass_where_dvc_trains_them() -> None:
    pipeline = (ROOT / "dvc.yaml").read_text()
    studies = read_params(ROOT / "params.yaml").studies()
    assert {name for name in studies if f"${{{name}.runs.third}}" in pipeline} == check.SEVERAL_RUNS
    assert {name for name in studies if f"${{{name}.seeds.third}}" in pipeline} == check.SEVERAL_SEEDS


def test_the_check_imports_nothing_heavy() -> None:
    code = "import sys, pipeline.stages.check; print({'torch', 'pandas', 'mlflow', 'h5py'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_source_that_dvc_would_delete_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/raw/mine").mkdir(parents=True)
    with pytest.raises(Problem, match="DVC would delete"):
        check_source("pannuke", "data/raw/mine")
    (tmp_path / "mine").mkdir()
    check_source("pannuke", "mine")


def test_a_target_that_the_data_set_does_not_have() -> None:
    with pytest.raises(Problem, match=r"target is 'LCIS', .* give one of N, PB, UDH, FEA, ADH, DCIS, IC\.$"):
        check_study("bracs", BRACS.model_copy(update={"target": "LCIS", "classes": ["background", "LCIS"]}))


def test_a_checkpoint_that_is_there_passes(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    path.touch()
    check_study("pannuke", STUDY.model_copy(update={"model": STUDY.model.model_copy(update={"weights": str(path)})}))


def test_a_checkpoint_that_a_stage_will_write_passes() -> None:
    written = STUDY.model.model_copy(update={"weights": "models/bracs/classifier/weights/model.safetensors"})
    check_study("pannuke", STUDY.model_copy(update={"model": written}))
