"""`augment` adds copies to the plain plan and draws the same ones from the same seed."""

import sys
from pathlib import Path

import pytest

from pipeline.base.errors import Problem
from pipeline.stages import augment
from pipeline.tiles.plan import read_plan
from pipeline.tiles.transforms import IDENTITY
from tests.tiny_study import make_tiny_study


def test_training_rows_are_multiplied_the_same_way_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_tiny_study(tmp_path, augment__factor=3)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["augment", "tiny", "--run", "1"])
    path = Path("data/plans/tiny/run1/augmented.csv")
    augment.main()
    first, plan = path.read_bytes(), read_plan(path)
    assert plan["split"].value_counts().to_dict() == {"train": 24, "validation": 8, "test": 8}
    assert (plan["transform"] != IDENTITY).sum() == 16
    assert capsys.readouterr().out == "8 training rows became 24\n"
    augment.main()
    assert path.read_bytes() == first
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("\nseed: 42", "\nseed: 43"))
    augment.main()
    assert path.read_bytes() != first


def test_a_plan_without_a_row_to_train_on_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path, augment__factor=1, augment__original=False, augment__probability=1e-9)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["augment", "tiny", "--run", "1"])
    with pytest.raises(Problem, match=r"augmented\.csv of tiny has no row to train on; set augment\.original to true"):
        augment.main()
    assert not Path("data/plans/tiny/run1/augmented.csv").exists()
