"""`balance` writes two plans: one as the study asks for it, one in which rare classes, or the target, are repeated."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import Problem
from pipeline.base.paths import plan_folder
from pipeline.stages import balance
from pipeline.tiles.plan import read_plan, write_plan
from pipeline.tiles.store import ShardInfo, Tile
from pipeline.tiles.writer import ShardWriter
from tests.tiles.test_plan import make_plan
from tests.tiny_study import CLASSES, set_params


@pytest.mark.parametrize("method", ["none", "oversample"])
def test_a_study_of_nuclei_is_balanced_by_its_rarest_class(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of four training tiles has a neoplastic nucleus, one of them a dead one, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["balance", "tiny", "--run", "1"])
    set_params(tmp_path, balance__method=method, balance__max_copies=3)
    info = ShardInfo("pannuke", CLASSES, 0.25, 40, "sample", "0" * 64, "none: drawn tiles", "", "")
    instances = np.zeros((4, 4), np.int32)
    instances[0, 0], instances[3, 3] = 1, 2
    with ShardWriter(Path("data/tiles/pannuke/fold1.h5"), 12, 4, info) as writer:
        for index in range(12):
            nuclei = {1: 1, 2: 4} if index == 2 else {1: 1}
            writer.add(Tile(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8), instances, nuclei, index))
    folder = plan_folder("tiny", 1)
    write_plan(make_plan(12), folder / "split.csv")
    balance.main()
    split, plain, balanced = (read_plan(folder / f"{name}.csv") for name in ("split", "plain", "balanced"))
    assert balanced["index"].value_counts().loc[[0, 1, 2, 3]].tolist() == [1, 1, 3, 1]
    pd.testing.assert_frame_equal(plain, split if method == "none" else balanced)


def test_a_study_with_a_target_is_balanced_by_its_lesion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten training tiles two have UDH, one of them beneath a DCIS; three others have DCIS alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["balance", "tiny", "--run", "1"])
    set_params(tmp_path, "bracs", balance__lesion_free=1)
    blank = np.zeros((4, 4), np.uint8)
    info = ShardInfo(
        "bracs",
        ("background", "N", "PB", "UDH", "FEA", "ADH", "DCIS", "IC"),
        0.25,
        40,
        "sample",
        "0" * 64,
        "none: drawn tiles",
        "",
        "",
    )
    with ShardWriter(Path("data/tiles/bracs/BRACS_1.h5"), 30, 4, info, bits=True) as writer:
        for index in range(30):
            bits = blank.copy()
            bits[0, 0] = {0: 1 << 2, 1: (1 << 2) + (1 << 5), 2: 1 << 5, 3: 1 << 5, 4: 1 << 5, 25: 1 << 2}.get(index, 0)
            writer.add(Tile(np.zeros((4, 4, 3), np.uint8), blank, blank.astype(np.int32), {}, index, bits=bits))
    folder = plan_folder("tiny", 1)
    write_plan(make_plan(30, dataset="bracs", shard="BRACS_1"), folder / "split.csv")
    balance.main()
    plain, balanced = (read_plan(folder / f"{name}.csv") for name in ("plain", "balanced"))
    training = plain[plain["split"] == "train"]["index"].tolist()
    assert len(training) == 4 and training[:2] == [0, 1]
    training = balanced[balanced["split"] == "train"]["index"].tolist()
    assert [training.count(index) for index in range(10)] == [4, 4] + [1] * 8


def lesions(where: dict[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    """Run balance on 30 tiles of six slides, ten a side, of which some have a lesion by bit."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["balance", "tiny", "--run", "1"])
    set_params(tmp_path, "bracs", **changes)
    blank = np.zeros((4, 4), np.uint8)
    classes = ("background", "N", "PB", "UDH", "FEA", "ADH", "DCIS", "IC")
    info = ShardInfo("bracs", classes, 0.25, 40, "sample", "0" * 64, "none: drawn tiles", "", "")
    with ShardWriter(Path("data/tiles/bracs/BRACS_1.h5"), 30, 4, info, bits=True) as writer:
        for index in range(30):
            bits = np.full((4, 4), where.get(index, 0), np.uint8)
            writer.add(Tile(np.zeros((4, 4, 3), np.uint8), blank, blank.astype(np.int32), {}, index, bits=bits))
    slides = [f"BRACS_{index // 5}" for index in range(30)]
    write_plan(make_plan(30, dataset="bracs", shard="BRACS_1", slide=slides), plan_folder("tiny", 1) / "split.csv")
    balance.main()


UDH = 1 << 2


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (
            {21: UDH, 22: UDH},
            "no train tile has UDH, so that there is nothing to learn it from: 2 test tiles of 1 slide have it; add"
            " slides with UDH, or deal the tiles out otherwise: split in studies/tiny/params.yaml, seed in params",
        ),
        ({2: UDH, 8: UDH, 11: UDH}, "no test tile has UDH, so that there is nothing to test it on: 2 train tiles of 2"),
        ({2: 1, 22: 1}, "no tile has UDH, on any side of the split; look for it in the outlines"),
        (
            dict.fromkeys(range(30), UDH),
            "every train tile has UDH, so that a classifier of tiles has nothing to tell it",
        ),
    ],
)
def test_a_split_without_the_target_where_it_is_needed_is_refused(
    where: dict[int, int], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Problem) as problem:
        lesions(where, tmp_path, monkeypatch)
    assert said in str(problem.value)
    assert not (plan_folder("tiny", 1) / "plain.csv").exists()


def test_validation_without_the_target_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lesions({2: UDH, 22: UDH}, tmp_path, monkeypatch)
    assert "No validation tile has UDH: the best epoch is chosen by tiles without it." in capsys.readouterr().out
    lesions(dict.fromkeys(range(30), UDH), tmp_path, monkeypatch, classifiers=[], started=[], compare=["unet"])
