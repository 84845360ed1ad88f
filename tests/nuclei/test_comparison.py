"""Nuclei are compared at the tiles' native size, and pixels to ignore count on neither side."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.base.study import PixelStudy, read_study
from pipeline.nuclei import comparison
from pipeline.tiles.examples import Examples
from pipeline.tiles.store import IGNORE, ShardInfo, Tile
from pipeline.tiles.writer import ShardWriter
from tests.tiles.test_plan import make_plan

ROOT = Path(__file__).parents[2]
NATIVE, SIZE = 64, 32


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PixelStudy:
    """One test tile with nuclei of class 1 (twice) and 3; the corner of the tile is to be ignored."""
    study = read_study("pannuke", ROOT)
    assert isinstance(study, PixelStudy)
    monkeypatch.chdir(tmp_path)
    instances = np.zeros((NATIVE, NATIVE), np.int32)
    instances[8:20, 8:20], instances[30:44, 30:44], instances[8:20, 40:56] = 1, 2, 5
    class_map = np.select([instances == 5, instances > 0], [3, 1], 0).astype(np.uint8)
    class_map[48:, 48:] = IGNORE
    image = np.zeros((NATIVE, NATIVE, 3), np.uint8)
    info = ShardInfo("pannuke", tuple(study.classes), 0.25, 40, "sample", "0" * 64, "none: drawn tiles", "", "")
    with ShardWriter(Path("data/tiles/pannuke/fold1.h5"), 1, NATIVE, info) as writer:
        writer.add(Tile(image, class_map, instances, {1: 1, 2: 1, 5: 3}, 0))
    return study


def examples() -> Examples:
    return Examples(make_plan(1, split="test"), SIZE)


def predict(class_map: np.ndarray, probabilities: bool = False) -> Path:
    path = Path("predictions.h5")
    with h5py.File(path, "w") as file:
        file["class_map"] = class_map[None]
        if probabilities:
            file["probabilities"] = (class_map == np.arange(6)[:, None, None]).astype(np.float16)[None]
    return path


@pytest.mark.parametrize("method", ["watershed", "components"])
@pytest.mark.parametrize("probabilities", [False, True])
def test_a_prediction_of_the_truth_finds_every_nucleus(study: PixelStudy, method: str, probabilities: bool) -> None:
    study = study.model_copy(update={"instances": study.instances.model_copy(update={"method": method})})
    truth = np.where(
        examples().class_map(0) == IGNORE, 1, examples().class_map(0)
    )  # whatever is predicted there must not matter
    table, native = comparison.compare(examples(), predict(truth, probabilities), study.classes, study.instances)
    row = table.iloc[0]
    assert (row["binary_tp"], row["binary_fp"], row["binary_fn"]) == (3, 0, 0)
    assert row["binary_sum_iou"] > 2.7  # the corners of squares are lost on the way to 32 px and back
    assert (row["neoplastic_tp"], row["connective_tp"], row["dead_tp"]) == (2, 1, 0)
    assert (row["detection_tp_d"], row["neoplastic_detection_tp_c"], row["connective_detection_tp_c"]) == (3, 2, 1)
    assert [class_map.shape for class_map in native] == [(NATIVE, NATIVE)]
    assert not native[0][48:, 48:].any()  # what is to be ignored is background, as no nucleus is sought in it
    assert (native[0] == examples().nuclei(0)[1])[:48].mean() > 0.98


def test_a_wrong_class_is_found_and_misnamed(study: PixelStudy) -> None:
    truth = examples().class_map(0)
    table, _ = comparison.compare(
        examples(), predict(np.where((truth > 0) & (truth < IGNORE), 2, 0)), study.classes, study.instances
    )
    row = table.iloc[0]
    assert (row["binary_tp"], row["neoplastic_fn"], row["inflammatory_fp"]) == (3, 2, 3)
    assert (row["inflammatory_detection_fp_c"], row["neoplastic_detection_fn_c"]) == (3, 2)
    scores = comparison.score(table, ["Breast"], study.classes)
    assert scores["bpq_images"] > 0.9 > scores["mpq_images"] == 0
    assert scores["detection"]["f1"] == 1
    assert scores["per_class"]["dead"]["f1"] is scores["per_class"]["dead"]["pq_images"] is None


@pytest.mark.parametrize(("method", "merging"), [("watershed", 0), ("components", 1)])
def test_touching_nuclei_are_counted_with_and_without_watershed(study: PixelStudy, method: str, merging: int) -> None:
    """Two true nuclei, predicted with a bridge between them: one connected piece, parted by watershed."""
    settings = study.instances.model_copy(update={"method": method})
    truth = examples().class_map(0)
    dumbbell = np.where(truth == 1, 1, 0)
    dumbbell[9:17, 8:10] = dumbbell[15:17, 8:16] = 1
    table, _ = comparison.compare(examples(), predict(dumbbell.astype(np.uint8)), study.classes, settings)
    row = table.iloc[0]
    assert (row["binary_merged"], row["components_merged"]) == (merging, 1)
    assert row["components_tp"] + row["components_fp"] == 1
    assert row["components_detection_tp_d"] + row["components_detection_fp_d"] == 1
    assert (row["binary_tp"] == 2) == (method == "watershed")


def test_the_radius_follows_the_pixel_size(study: PixelStudy) -> None:
    shifted = np.roll(examples().class_map(0), 4, axis=0)  # 8 px at native size
    shifted[shifted == IGNORE] = 0
    found = []
    for microns in (0.25, 0.5):  # 12 px and 6 px
        tiles = Examples(make_plan(1, split="test", microns_per_pixel=microns), SIZE)
        table, _ = comparison.compare(tiles, predict(shifted), study.classes, study.instances)
        found.append(table["detection_tp_d"].iloc[0])
    assert found == [3, 0]


def test_native_probabilities_keep_pixel_centres(study: PixelStudy) -> None:
    halves = np.zeros((SIZE, SIZE), np.uint8)
    halves[:, SIZE // 2 :] = 4
    with h5py.File(predict(halves, probabilities=True)) as file:
        native = comparison.native_class_map(file, 0, (NATIVE, NATIVE), 6)
    assert not native[:, : NATIVE // 2].any()
    assert (native[:, NATIVE // 2 :] == 4).all()
