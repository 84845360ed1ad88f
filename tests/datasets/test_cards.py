"""Every data set has a card with what a card promises, a reader and a drawing, and is found by its folder alone."""

import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline import datasets
from pipeline.base.errors import Problem
from pipeline.tiles.plan import SPLITS

ROOT = Path(__file__).parents[2]
NAMES = datasets.names()
DRAWN = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))["sample"]


def test_data_sets_are_found_by_their_folders() -> None:
    assert NAMES == ["bach", "bcss", "bracs", "monuseg", "pannuke", "tnbc"]
    for name in NAMES:
        folder = ROOT / "pipeline/datasets" / name
        assert {"__init__.py", "card.py", "reader.py", "drawing.py"} <= {path.name for path in folder.iterdir()}


def test_kinds_of_own_data_are_folders_without_a_drawing() -> None:
    assert datasets.kinds() == ["coco", "folds", "masks", "slides"]
    for kind in datasets.kinds():
        assert {path.name for path in (ROOT / "pipeline/datasets" / kind).iterdir()} >= {"card.py", "reader.py"}


@pytest.mark.parametrize("name", NAMES)
def test_a_card_has_what_it_promises(name: str) -> None:
    card = datasets.load_card(name)
    assert card.name == name and card.title and card.licence and card.citation.endswith(".")
    assert card.licence_url.startswith("https://") and card.homepage.startswith("https://")
    for unique in (card.classes, card.groups, [file.name for file in card.files]):
        assert len(set(unique)) == len(unique)
    assert len(card.classes) > 1 and card.groups
    for number, sides in card.official_splits.items():
        assert number > 0 and sides and set(sides.values()) <= set(SPLITS)
    assert 0.1 < card.microns_per_pixel < 1 and 10 <= card.magnification <= 40
    for file in card.files:
        assert file.url.startswith("https://") and len(file.sha256.removeprefix("md5:")) in (64, 32)
    assert all(suffix.startswith(".") and suffix.islower() for suffix in card.slides)


@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_has_a_reader_and_a_drawing(name: str, tmp_path: Path) -> None:
    with pytest.raises(Problem, match=rf"{tmp_path} holds no"):
        datasets.load_reader(name).find(tmp_path)
    card = datasets.load_card(name)
    datasets.load_drawing(name).draw(tmp_path, 7, card.sample.model_validate(smallest(name)))
    find = datasets.load_slide_reader(name).find if card.slides else datasets.load_reader(name).find
    for part in find(tmp_path):
        assert part.name and part.files and all(path.is_relative_to(tmp_path) for path in part.files)
        assert part.count > 0 and min(part.resolution) > 0
        is_slide = isinstance(part, datasets.SlidePart)
        assert is_slide == bool(card.slides)
        tile = next(part.tiles())
        size = part.tile_size if isinstance(part.tile_size, tuple) else (part.tile_size, part.tile_size)
        assert tile.image.shape == (*size, 3) and tile.class_map.shape == tile.instance_map.shape == size
        assert (tile.bits is not None) == is_slide and tile.group in card.groups
        if is_slide:
            part.close()


def smallest(name: str) -> dict[str, float]:
    """The settings of params.yaml with every number as small as the data set's drawing allows."""
    bounds = datasets.load_card(name).sample.model_json_schema()["properties"]
    assert set(bounds) == set(DRAWN[name])
    return {key: bounds[key]["minimum"] for key in bounds} | {
        k: v for k, v in DRAWN[name].items() if isinstance(v, float)
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_in_params_yaml_are_those_of_the_card(name: str) -> None:
    sample = datasets.load_card(name).sample
    assert sample.model_validate(DRAWN[name]).model_dump() == DRAWN[name]
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        sample.model_validate(DRAWN[name] | {"colour": 1})


def test_an_unknown_data_set_is_one_sentence() -> None:
    for load in (datasets.load_card, datasets.load_reader, datasets.load_drawing):
        with pytest.raises(Problem, match=r"^there is no data set named pannuky; give one of bach, bcss, .*, tnbc\.$"):
            load("pannuky")


def test_cards_are_cheap_to_import() -> None:
    code = (
        "import sys; from pipeline import datasets; [datasets.load_card(name) for name in datasets.names()];"
        "print([name for name in ('numpy', 'h5py', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
