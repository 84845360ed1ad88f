"""A split that leaks is refused by what its tiles show, not only by what they are called."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from pipeline.base.errors import Problem
from pipeline.base.paths import plan_folder
from pipeline.base.records import Known, Leaks, TileName
from pipeline.plans.likeness import DISTANCE
from pipeline.stages import guard
from pipeline.tiles.plan import read_plan
from pipeline.tiles.store import ShardInfo, Tile
from pipeline.tiles.writer import ShardWriter
from tests.tiles.test_plan import make_plan
from tests.tiny_study import set_params

SIZE = 64
LEAKS = plan_folder("tiny", 1) / "leaks.json"


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Six different pictures: two each to train, validate and test on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["guard", "tiny", "--run", "1"])
    set_params(tmp_path)
    random = np.random.default_rng(5)
    coarse = random.integers(40, 220, (6, 8, 8, 3), np.uint8)
    return [np.asarray(Image.fromarray(values).resize((SIZE, SIZE), Image.Resampling.BICUBIC)) for values in coarse]


def check(images: list[np.ndarray], **columns: object) -> None:
    """Run the guard on a split of these tiles."""
    blank = np.zeros((SIZE, SIZE), np.uint8)
    info = ShardInfo("pannuke", ("background", "nucleus"), 0.25, 40, "sample", "0" * 64, "none: drawn tiles", "", "")
    with ShardWriter(Path("data/tiles/pannuke/fold1.h5"), len(images), SIZE, info) as writer:
        for index, image in enumerate(images):
            writer.add(Tile(image, blank, blank.astype(np.int32), {}, index))
    plan = make_plan(len(images), **columns)
    (path := LEAKS.with_name("split.csv")).parent.mkdir(parents=True, exist_ok=True)
    plan.to_csv(path, index=False)  # as a person's edit would leave it, not through write_plan's own check
    assert len(read_plan(path)) == len(images)
    guard.main()


def test_a_split_of_different_tiles_passes(images: list[np.ndarray]) -> None:
    check(images)
    sides = {"train": 2, "validation": 2, "test": 2}
    found = Leaks.read(LEAKS)
    assert found.tiles == sides and found.distance == DISTANCE and found.textureless == 0
    assert found.near_duplicates == [] and found.near_groups == 0 and found.leaks == {}
    assert found.known == {"pannuke": Known(tiles=6, patient=0, barcode=0, slide=0)}


@pytest.mark.parametrize(
    ("patients", "said"),
    [
        ([*"aabbcc"], "Nothing leaks: every patient is known."),
        (["NA", "NA", "nan", "nan", "0", "00"], "Nothing leaks: every patient is known."),
        (["a", "a", "", "b", "", ""], "No patient is known for 3 of 6 tiles of pannuke, only their slide or image"),
        ("", "No patient is known for 6 of 6 tiles of pannuke, only their slide or image"),
    ],
)
def test_what_cannot_be_known_is_said(
    images: list[np.ndarray], patients: object, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check(images, patient=patients, slide=[*"001122"])
    printed = capsys.readouterr().out
    assert said in printed and ("Nothing leaks" in printed) == ("Nothing leaks" in said)
    assert any(said in sentence for sentence in Leaks.read(LEAKS).unknown) == (said not in printed.splitlines()[0])


def test_a_patient_named_na_is_one_patient(images: list[np.ndarray]) -> None:
    with pytest.raises(Problem, match="puts patient pannuke NA on two sides"):
        check(images, patient=["NA", "b", "c", "d", "e", "NA"])


def test_tiles_without_texture_are_no_leak_and_are_counted(
    images: list[np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    for place in (0, 3, 5):
        images[place] = np.full_like(images[0], 255)
    check(images)
    found = Leaks.read(LEAKS)
    assert found.textureless == 3 and found.near_duplicates == []
    assert "3 tiles have no texture: their likeness is no evidence" in capsys.readouterr().out


@pytest.mark.parametrize("copy", [2, 5])
def test_identical_pixels_on_two_sides_are_refused(images: list[np.ndarray], copy: int) -> None:
    images[copy] = images[1].copy()
    with pytest.raises(Problem, match=f"tile 1 of pannuke fold1 on the side train and tile {copy} of .* same pixels"):
        check(images)
    assert not LEAKS.exists()


def test_identical_pixels_on_one_side_are_no_leak(images: list[np.ndarray]) -> None:
    check([images[0], images[0], *images[2:]])


@pytest.mark.parametrize(
    ("leak", "word"),
    [
        ({"patient": [*"aabbca"]}, "patient"),
        ({"slide": [*"001121"]}, "slide"),
        ({"slide": [f"TCGA-A7-A13{i}-01Z" for i in "EFGHIE"]}, "slide"),
        ({"slide": [f"TCGA-A7-A13{i}-0{n}Z" for n, i in enumerate("EFGHIE")]}, "TCGA patient TCGA-A7-A13E"),
    ],
)
def test_an_edited_split_that_leaks_by_name_is_refused(
    images: list[np.ndarray], leak: dict[str, object], word: str
) -> None:
    with pytest.raises(Problem, match=f"puts {word}"):
        check(images, **leak)
    assert not LEAKS.exists()


def test_a_split_that_is_meant_to_leak_is_told_and_passes(
    images: list[np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_params(tmp_path, split__by="tile")
    images[5] = images[1].copy()
    check(images, patient=[*"aabbca"], slide=[*"001121"])
    assert Leaks.read(LEAKS).leaks == {"slide": 1, "patient": 1, "TCGA patient": 0, "identical tiles": 1}
    assert "split.by is tile, so this split leaks, as asked for" in capsys.readouterr().out
    with pytest.raises(Problem, match="puts index"):
        check(images, index=[0, 1, 2, 3, 4, 0])


def test_a_near_duplicate_is_listed(images: list[np.ndarray]) -> None:
    brighter = ImageEnhance.Brightness(Image.fromarray(images[0])).enhance(1.05)
    images[4] = np.asarray(brighter)
    check(images)
    (pair,) = Leaks.read(LEAKS).near_duplicates
    assert pair.tiles == {"train": 1, "test": 1}
    assert pair.nearest == {
        "train": TileName(dataset="pannuke", shard="fold1", index=0),
        "test": TileName(dataset="pannuke", shard="fold1", index=4),
    }
    assert pair.distance <= DISTANCE
