import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from benchmarks import papers_data, papers_size
from pipeline.tiles.store import shards


def test_a_store_made_of_nothing_reads_as_a_real_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    papers_data.write_store("bracs", 0.0001, 32)
    made = shards("bracs")
    images = [shard.image(index) for shard in made for index in range(len(shard))]  # compares checksums, too
    assert len({image.tobytes() for image in images}) == len(images) == 100
    assert [bool(made[0].lesion(index, "UDH").any()) for index in range(4)] == [False, True, False, True]
    assert set(made[0].table()["slide"]) == {"S0000"}


def test_a_fraction_of_the_tiles_is_that_fraction() -> None:
    for study, size in papers_data.SIZES.items():
        for scale in (0.1, 0.5, 1.0):
            tiles = sum(part.count for part in papers_data.parts(study, scale))
            assert tiles == pytest.approx(scale * size.tiles, rel=0.02)


def test_rows_of_nothing_are_not_written(tmp_path: Path) -> None:
    array = np.zeros((600, 2000), np.uint8)
    array[[1, 2, 599]] = 3
    with h5py.File(tmp_path / "some.h5", "w") as file:
        papers_data.write_rows(file.create_dataset("array", (2, *array.shape), "u1"), (1,), array)
    with h5py.File(tmp_path / "some.h5") as file:
        np.testing.assert_array_equal(file["array"][:], np.stack([np.zeros_like(array), array]))


@pytest.mark.slow
def test_every_stage_of_a_small_study_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # and back
    words = ["--folder", str(tmp_path / "made"), "--scale", "0.001", "--shrink", "64", "--studies", "bcss"]
    monkeypatch.setattr(sys, "argv", ["papers_size", *words, "--skip", "guard", "predict"])
    papers_size.main()
    rows = [line.replace(",", "").split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[2:]]
    stages = [row[1].strip() for row in rows]
    assert stages == ["split", "balance", "augment", "evaluate", "evaluate commonest", "report"]
    assert [int(row[2]) for row in rows[:3]] == [90] * 3
    assert all(float(row[6]) > 50 for row in rows), "MiB of a process that imports pandas"
    assert [row[7].strip() for row in rows[:-1]] == [""] * 5
    assert int(rows[-1][7]) > 10_000
    assert not list((tmp_path / "made").iterdir())
