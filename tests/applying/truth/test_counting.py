"""Counts of a slide: those of the whole maps, whatever the window, and those that `evaluate` has of the same tile."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.applying.field import look, tile_grid
from pipeline.applying.task import Task
from pipeline.applying.truth import counting
from pipeline.applying.truth.counting import Counted, count
from pipeline.applying.truth.maps import Maps, Outlines, Pixels
from pipeline.applying.work import apply_to
from pipeline.base.study_blocks import Instances
from pipeline.metrics import pixel
from pipeline.nuclei import comparison
from pipeline.slides.slide import Slide
from pipeline.tiles.examples import Examples
from pipeline.tiles.store import IGNORE, ShardInfo, Tile
from pipeline.tiles.writer import ShardWriter
from tests.applying.drawn import CLASSES, MICRONS, Drawn, draw_areas, draw_nuclei, task
from tests.applying.test_rows import DETECTOR
from tests.tiles.test_plan import make_plan

SIZE = 128


def blank(height: int = 100, width: int = 120) -> Drawn:
    return Drawn(np.zeros((height, width), np.uint8), np.zeros((height, width), np.int32))


def classes_of(truth: Drawn) -> dict[int, int]:
    return {int(name): int(truth.classes[truth.nuclei == name][0]) for name in np.unique(truth.nuclei) if name}


def annotated(truth: Drawn) -> Pixels:
    return Pixels(truth.classes, truth.nuclei, classes_of(truth))


def compared(folder: Path, seen: Drawn, truth: Maps, zoom: int = 1, the_task: Task | None = None) -> Counted:
    """What a network that sees `seen` is worth beside an annotation."""
    the_task = the_task or task()
    slide = seen.write(folder / "slide.tif", zoom)
    apply_to(slide, "slide", folder / "out", the_task)
    with Slide(slide) as opened:
        grid = tile_grid(opened, the_task.parameters.tile_size, the_task.parameters.overlap, MICRONS, "")
        field = look(opened, grid, the_task.parameters.background, the_task.regions)
    results = Outlines.of_results(folder / f"out/slide.{the_task.kinds[0]}", CLASSES, 0)
    return count(
        field, truth, results, CLASSES, the_task.regions, the_task.instances is not None or the_task.kind == "detection"
    )


@pytest.mark.parametrize(("zoom", "side"), [(1, 2048), (2, 50)])
def test_a_network_that_returns_the_truth_is_right_everywhere(
    tmp_path: Path, zoom: int, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "SIDE", side)
    truth = draw_nuclei(150, 170)
    big = [each.repeat(zoom, axis=0).repeat(zoom, axis=1) for each in (truth.classes, truth.nuclei)]
    found = compared(tmp_path, truth, Pixels(*big, classes_of(truth)), zoom)
    assert np.array_equal(found.pixels, np.diag(np.bincount(truth.classes.ravel())))
    nuclei = len(np.unique(truth.nuclei)) - 1
    assert found.nuclei is not None and found.glass == 0
    assert [found.nuclei[f"binary_{name}"] for name in ("tp", "fp", "fn", "sum_iou")] == [nuclei, 0, 0, nuclei]
    assert found.nuclei["binary_aji_intersection"] == found.nuclei["binary_aji_union"] == (truth.nuclei > 0).sum()
    assert found.nuclei["detection_tp_d"] == nuclei


def test_a_wrong_one_has_the_figures_that_were_reckoned_by_hand(tmp_path: Path) -> None:
    truth, seen = blank(), blank()
    truth.classes[10:20, 10:20], truth.nuclei[10:20, 10:20] = 1, 1  # found with half of its pixels too many
    seen.classes[10:20, 10:25] = 1
    truth.classes[40:50, 60:70], truth.nuclei[40:50, 60:70] = 1, 2  # called stroma
    seen.classes[40:50, 60:70] = 2
    truth.classes[70:80, 10:20], truth.nuclei[70:80, 10:20] = 2, 3  # missed
    seen.classes[5:9, 100:110] = 2  # invented
    found = compared(tmp_path, seen, annotated(truth))
    empty = 100 * 120 - 300 - 50 - 40
    assert found.pixels.tolist() == [[empty, 50, 40], [0, 100, 100], [100, 0, 0]]
    row = found.nuclei
    assert row is not None
    assert [row[f"binary_{name}"] for name in ("tp", "fp", "fn")] == [2, 1, 1]
    assert row["binary_sum_iou"] == pytest.approx(100 / 150 + 1)
    assert (row["binary_aji_intersection"], row["binary_aji_union"]) == (200, 150 + 100 + 100 + 40)
    assert [row[f"tumour_{name}"] for name in ("tp", "fp", "fn")] == [1, 0, 1]
    assert [row[f"stroma_{name}"] for name in ("tp", "fp", "fn")] == [0, 2, 1]
    assert [row[f"detection_{name}"] for name in ("tp_d", "fp_d", "fn_d")] == [2, 1, 1]


def test_the_counts_are_those_of_evaluate_on_the_same_tile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(counting, "SIDE", 56)
    truth, seen = draw_nuclei(SIZE, SIZE, seed=4), draw_nuclei(SIZE, SIZE, seed=4)
    seen.classes[2:, 1:] = seen.classes[:-2, :-1].copy()
    seen.classes[:2], seen.classes[:, :1] = 0, 0
    truth.classes[:20, :30], truth.nuclei[:20, :30] = IGNORE, 0
    codes = {name: code for name, code in classes_of(truth).items() if code != IGNORE}
    info = ShardInfo("pannuke", CLASSES, MICRONS, 20, "sample", "0" * 64, "none: drawn tiles", "", "")
    with ShardWriter(Path("data/tiles/pannuke/fold1.h5"), 1, SIZE, info) as writer:
        writer.add(Tile(np.zeros((SIZE, SIZE, 3), np.uint8), truth.classes, truth.nuclei, codes, 0))
    with h5py.File("test.h5", "w") as file:
        file["class_map"] = seen.classes[None]
    plan = make_plan(1, split="test").assign(microns_per_pixel=MICRONS)
    examples = Examples(plan, SIZE)
    settings = Instances(method="components", minimum_size=1)
    table, _ = comparison.compare(examples, Path("test.h5"), list(CLASSES), settings)
    found = compared(tmp_path, seen, Pixels(truth.classes, truth.nuclei, codes))
    assert np.array_equal(found.pixels, pixel.confusion(examples.class_map(0), seen.classes, 3))
    assert found.nuclei is not None
    told = {name: value for name, value in found.nuclei.items() if not name.startswith("components")}
    assert len(told) > 30
    for name, value in told.items():
        assert value == pytest.approx(table.iloc[0][name]), name


def test_glass_that_is_annotated_as_something_is_missed_and_other_glass_counts_nowhere(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    seen, truth = blank(256, 256), blank(256, 256)
    seen.classes[20:60, 20:60] = rng.integers(1, 3, (40, 40))
    truth.classes[:] = seen.classes
    truth.classes[200:210, 200:210] = 1  # on glass
    found = compared(tmp_path, seen, annotated(truth), the_task=task(background=12.5, instances=None))
    assert found.nuclei is None
    assert found.pixels[1, 0] == 100 and found.pixels[1:, 1:].sum() == 1600
    assert found.glass + found.pixels.sum() == 256 * 256 and found.glass > 0.5 * 256 * 256


def test_areas_of_a_resolution_between_two_levels_are_compared_in_place(tmp_path: Path) -> None:
    truth = draw_areas(200, 210)
    found = compared(tmp_path, truth, annotated(truth), the_task=task(instances=None))
    assert np.array_equal(found.pixels, np.diag(np.bincount(truth.classes.ravel())))


def test_the_nuclei_of_a_detector_are_compared_as_those_of_a_class_map(tmp_path: Path) -> None:
    truth = draw_nuclei(301, 277)
    found = compared(tmp_path, truth, annotated(truth), the_task=task(**DETECTOR, gzip=True))
    assert found.nuclei is not None and found.nuclei["binary_fp"] == found.nuclei["binary_fn"] == 0
    assert np.array_equal(found.pixels, np.diag(np.bincount(truth.classes.ravel())))


def test_too_many_nuclei_have_no_detection_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST", 3)
    truth = draw_nuclei(100, 100)
    found = compared(tmp_path, truth, annotated(truth))
    assert found.nuclei is not None and np.isnan(found.nuclei["detection_tp_d"]) and found.nuclei["binary_fp"] == 0
