"""A study with a target is balanced by its lesion."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.paths import plan_folder
from pipeline.stages import balance as stage
from pipeline.tiles.plan import read_plan, write_plan
from pipeline.tiles.store import ShardInfo, ShardWriter, Tile
from tests.tiles.test_plan import make_plan
from tests.tiny_study import ROOT


def test_a_study_with_a_target_is_balanced_by_its_lesion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten training tiles two have UDH, one of them beneath a DCIS; three others have DCIS alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["balance", "bracs", "1"])
    shutil.copy(ROOT / "params.yaml", tmp_path)
    text = (ROOT / "studies/bracs/params.yaml").read_text(encoding="utf-8")
    assert text.count("  lesion_free: 3") == 1
    (tmp_path / "studies/bracs").mkdir(parents=True)
    (tmp_path / "studies/bracs/params.yaml").write_text(text.replace("  lesion_free: 3", "  lesion_free: 1"))
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
    folder = plan_folder("bracs", 1)
    write_plan(make_plan(30, dataset="bracs", shard="BRACS_1"), folder / "split.csv")
    stage.main()
    plain, balanced = (read_plan(folder / f"{name}.csv") for name in ("plain", "balanced"))
    training = plain[plain["split"] == "train"]["index"].tolist()
    assert len(training) == 4 and training[:2] == [0, 1]
    training = balanced[balanced["split"] == "train"]["index"].tolist()
    assert [training.count(index) for index in range(10)] == [4, 4] + [1] * 8
