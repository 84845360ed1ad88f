"""The picture of a test slide: the classes of its tiles, where they lie, annotated and decided."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from pipeline.base.paths import plan_folder
from pipeline.base.study import PixelStudy, read_study
from pipeline.reporting import slide_maps
from pipeline.reporting.pictures import GAP, LINE, colours
from pipeline.reporting.results import Variant, load_variants
from pipeline.tiles.plan import read_plan, write_plan
from tests import fabricated

DOWNSAMPLE, TILE = 2, fabricated.NATIVE // 2  # px of full resolution on one of the thumbnail; px of a tile there
WIDTH = fabricated.TILES * TILE
PLAN = "data/plans/pannuke/run1/split.csv"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of one model, whose test tiles lie side by side on a white slide in reverse order."""
    monkeypatch.chdir(tmp_path)
    fabricated.make_params()
    fabricated.make_tiles("sample")
    fabricated.change_study({"compare": ["unet"], "plans": ["plain"], "ablation": [], "baselines": ["background"]})
    plan = read_plan(Path(PLAN))
    corner = (fabricated.TILES - 1 - plan["index"]) * fabricated.NATIVE
    write_plan(plan.assign(x=corner, slide=plan["shard"]), Path(PLAN))
    for name in ("unet", "background"):
        fabricated.make_evaluation(name, "plain", 0.3)
    return tmp_path


def add_slide(name: str) -> None:
    """What `convert` writes beside a slide's shard: its thumbnail and outlines."""
    folder = Path("data/tiles/pannuke")
    Image.new("RGB", (WIDTH, TILE + 20), "white").save(folder / f"{name}.thumbnail.jpg")
    outlines = [{"code": 1, "ring": [[0, TILE + 10], [WIDTH - 1, TILE + 10]]}]
    found = {"downsample": DOWNSAMPLE, "tile": TILE, "outlines": outlines}
    (folder / f"{name}.outlines.json").write_text(json.dumps(found))


def drawn() -> tuple[str | None, PixelStudy, list[Variant]]:
    study = read_study("pannuke")
    assert isinstance(study, PixelStudy)
    variants = load_variants(study, None)
    return slide_maps.draw(Path("slide.jpg"), variants[0], study, plan_folder("pannuke", 1)), study, variants


def test_every_tile_lies_where_it_was_cut_with_the_colours_of_its_classes(project: Path) -> None:
    add_slide("fold3")
    name, study, variants = drawn()
    assert name == "fold3" and Image.open("slide.jpg").format == "JPEG"
    tests = fabricated.tests_of()
    with h5py.File(variants[0].folders[0] / "class_maps.h5") as file:
        predictions = file["class_map"][()]
    found = slide_maps.picture("pannuke", "fold3", variants[0], study, plan_folder("pannuke", 1))
    picture = np.asarray(found).astype(int)
    palette = np.array(list(colours(study.classes).values()))
    tissue = np.full((TILE, TILE, 3), 255.0)
    tissue[[0, -1]], tissue[:, [0, -1]] = slide_maps.FRAME, slide_maps.FRAME
    for panel in range(2):
        left = GAP + panel * (WIDTH + GAP)
        for tile in range(len(tests)):
            class_map = tests.class_map(tile) if panel == 0 else predictions[tile]
            x = left + (fabricated.TILES - 1 - tile) * TILE
            seen = picture[LINE : LINE + TILE, x : x + TILE]
            laid = (class_map[..., None] > 0) * slide_maps.OPAQUE / 255
            assert np.abs(seen - (tissue + laid * (palette[class_map] - tissue))).max() <= 1
    assert picture[LINE + TILE + 10, GAP + 5 : GAP + WIDTH - 5].max() == 20  # the outline
    assert (tests.class_map(1) != predictions[1]).any()  # so that the panels differ


def test_the_slide_with_most_of_what_is_to_be_found_is_shown(project: Path) -> None:
    add_slide("fold3")
    add_slide("fold2")  # no test tile is of it
    assert drawn()[0] == "fold3"


def test_without_slides_there_is_no_picture(project: Path) -> None:
    assert drawn()[0] is None and not Path("slide.jpg").exists()
