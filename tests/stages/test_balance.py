"""`balance` writes two plans: one as the study asks for it, one in which rare classes, or the target, are repeated."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base.paths import plan_folder
from pipeline.stages import balance
from pipeline.tiles.plan import read_plan, write_plan
from pipeline.tiles.store import ShardInfo, ShardWriter, Tile
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
            bits[0, 0] = {0: 1 << 2, 1: (1 << 2) + (1 << 5), 2: 1 << 5, 3: 1 << 5, 4: 1 << 5}.get(index, 0)
            writer.add(Tile(np.zeros((4, 4, 3), np.uint8), blank, blank.astype(np.int32), {}, index, bits=bits))
    folder = plan_folder("tiny", 1)
    write_plan(make_plan(30, dataset="bracs", shard="BRACS_1"), folder / "split.csv")
    balance.main()
    plain, balanced = (read_plan(folder / f"{name}.csv") for name in ("plain", "balanced"))
    training = plain[plain["split"] == "train"]["index"].tolist()
    assert len(training) == 4 and training[:2] == [0, 1]
    training = balanced[balanced["split"] == "train"]["index"].tolist()
    assert [training.count(index) for index in range(10)] == [4, 4] + [1] * 8
