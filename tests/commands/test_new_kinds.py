"""`lobule new` with slides, COCO's instances and PanNuke's layout: what it understands, and what it refuses."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import datasets
from pipeline.base.params import KINDS, read_params
from pipeline.base.study import read_study
from pipeline.commands import main
from pipeline.stages import check
from tests.own import folds, instances, slides
from tests.own.project import make
from tests.slide_files import box, feature, write_features


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `lobule new` reads and writes of a project."""
    return make(tmp_path, monkeypatch)


def new(*words: str) -> None:
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patched:
        patched.setattr("sys.argv", ["lobule", "new", "mine", *words])
        main()


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What is said where it ends with exit code 1; nothing was written."""
    before = Path("params.yaml").read_bytes()
    with pytest.raises(SystemExit) as stopped:
        new(*words)
    assert stopped.value.code == 1 and Path("params.yaml").read_bytes() == before and not Path("studies/mine").exists()
    return capsys.readouterr().err


def test_every_kind_is_a_folder() -> None:
    assert datasets.kinds() == sorted(KINDS)


def test_slides_with_a_region_and_patients(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slides.draw(tmp_path / "slides", region=True)
    (tmp_path / "slides/notes.txt").touch()
    given = ("--slides", str(tmp_path / "slides"), "--region-class", "region", "--patient-pattern", r"^(S\d)_")
    new(*given, "--tile", "128")
    said = capsys.readouterr().out
    for line in (
        "found 13 files = used 12 + left out 1 (of no use here: 1, notes.txt)",
        "slides: 6, each with its annotation",
        "class 0: background, no outlines",
        "class 1: Loose_stroma, 6 outlines of 'Loose stroma' on 6 slides",
        "class 2: Tumor, 6 outlines of 'Tumor' on 6 slides",
        "what no outline holds: background; right only where everything else was annotated (else give",
        "regions: outside of 'Region' nothing counts; 71.1% of all lies within",
        "resolution: 0.5 µm/px of tiles; slides have 0.5 to 0.5, from their tags",
        "patients: 6 (S0, S1, S2, S3, S4, ...)",
        "tiles: up to 96 of 128 x 128 px",
    ):
        assert line in said, line
    study, found = read_study("mine"), read_params().datasets["mine"].slides
    assert study.readers == ["slides"] and study.classes == ["background", "Loose_stroma", "Tumor"]
    assert study.instances is None and found is not None and found.tiling.at_least >= 96
    check.check_study(study)
    check.check_project()
    sheet = np.asarray(Image.open("reports/private/mine.look.png"))
    assert (sheet == (213, 94, 0)).all(axis=-1).any() and (sheet == (0, 114, 178)).all(axis=-1).any()
    new(*given, "--tile", "128")
    assert "nothing of it changes" in capsys.readouterr().out


def test_an_outlined_background(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slides.draw(tmp_path / "slides")
    folder = ("--slides", str(tmp_path / "slides"))
    new(*folder, "--classes", "loose_stroma,tumor")
    said = capsys.readouterr().out
    assert "what no outline holds: counts nowhere (else give `--not-outlined`)" in said
    assert "patients: NOT KNOWN. The split is by slide" in said and "split: 6 slides" in said
    found = read_params().datasets["mine"].slides
    assert found is not None and found.not_outlined == "ignore"
    assert found.classes == {"loose_stroma": "Loose stroma", "tumor": "Tumor"}
    new(*folder, "--classes", "background,tumor", "--yes")
    said = capsys.readouterr().out
    assert "left out: Loose stroma (6)" in said and "class 1: tumor, 6 outlines" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--classes", "background,gland"), "--classes names gland, which no outline is of; the annotations hold"),
        (("--classes", "background"), "--classes names 1 class; give the background first"),
        (("--region-class", "ROI"), "--region-class is ROI, which no outline is of; the annotations hold Tumor (3)"),
        (("--not-outlined", "ignore"), "leaves nothing of the first class, background, which no outline is of"),
        (("--at", "0.1"), "S0_a.tif has 0.5 um/px, coarser than the wanted 0.1"),
        (("--legend", "a.csv"), "--legend, --ignore, --values and --nuclei are for masks"),
        (("--images", "."), "the data are --images and --slides; give --images and --masks, or --slides, or"),
        (("--like", "bcss"), "--like takes the data of the other study; leave --slides out"),
    ],
)
def test_slides_that_are_ambiguous_or_wrong(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    slides.draw(tmp_path / "slides", slides=3)
    assert said in refused(capsys, "--slides", str(tmp_path / "slides"), *words)


def test_every_slide_that_cannot_be_read_is_told(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slides.draw(tmp_path / "slides")
    (tmp_path / "slides/S1_a.tif").write_bytes(b"no slide")
    (tmp_path / "slides/S3_a.geojson").write_text("{")
    (tmp_path / "slides/S4_a.geojson").unlink()
    said = refused(capsys, "--slides", str(tmp_path / "slides"))
    assert "3 of 6 slides fail" in said and "S1_a.tif" in said and "S3_a.geojson ends in the middle" in said
    assert "S4_a.tif has no annotation" in said
    slides.draw(tmp_path / "slides")
    write_features(tmp_path / "slides/S2_a.geojson", feature("Polygon", [box(900, 900, 950, 950)], "Tumor"))
    said = refused(capsys, "--slides", str(tmp_path / "slides"))
    assert "S2_a.geojson has an outline around x 925, y 925, but its slide has 512 x 512 px" in said


def test_instances_of_coco(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = instances.draw(tmp_path)
    given = ("--coco", str(tmp_path / "instances.json"), "--images", str(tmp_path / "images"))
    assert "does not tell the size of its pixels; give `--microns-per-pixel`" in refused(capsys, *given)
    given = (*given, "--microns-per-pixel", "0.25")
    new(*given, "--patient-pattern", r"^(p\d)_")
    said = capsys.readouterr().out
    counts = [sum(each["category_id"] == number for each in content["annotations"]) for number in (7, 3)]
    for line in (
        "found 8 files = used 8 + left out 0",
        "images: 8 of 8 that instances.json lists; 0 without instances",
        f"class 1: tumor, {counts[0]} instances",
        f"class 2: immune_cell, {counts[1]} instances",
        "patients: 4 (p1, p2, p3, p4)",
    ):
        assert line in said, line
    study = read_study("mine")
    assert study.readers == ["coco"] and study.classes == ["background", "tumor", "immune_cell"]
    assert study.instances is not None
    check.check_study(study)
    check.check_project()


def test_instances_that_are_wrong(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = instances.draw(tmp_path)
    given = (
        "--coco",
        str(tmp_path / "instances.json"),
        "--images",
        str(tmp_path / "images"),
        "--microns-per-pixel",
        "1",
    )
    assert "names gland, which is no category of" in refused(capsys, *given, "--classes", "background,gland")
    assert "--images is missing beside --coco" in refused(capsys, *given[:2])
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    assert "is no file; give the JSON file" in refused(capsys, "--coco", str(tmp_path / "loop.json"), *given[2:])
    assert "is no file; give the JSON file" in refused(capsys, "--coco", "none.json", *given[2:])
    for image in content["images"][:2]:
        image["height"] = 99
    (tmp_path / "instances.json").write_text(json.dumps(content))
    said = refused(capsys, *given)
    assert "2 of 8 images fail" in said and "p1_0.png has 64 x 64 px" in said and "says 64 x 99" in said


def test_the_layout_of_pannuke(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folds.draw(tmp_path / "tiles")
    given = ("--pannuke", str(tmp_path / "tiles"))
    said = refused(capsys, *given)
    broken = [tmp_path / f"tiles/fold{fold}/{array}.npy" for fold, array in ((1, "masks"), (3, "images"))]
    whole = [path.read_bytes() for path in broken]
    for path in broken:
        path.write_bytes(b"no array")
    both = refused(capsys, *given)
    assert "2 of 9 arrays fail" in both and "fold1/masks.npy" in both and "fold3/images.npy" in both
    for path, content in zip(broken, whole, strict=True):
        path.write_bytes(content)
    assert "has 3 channels, and there are 6 classes" in said and "give `--classes` with the background first" in said
    assert "--tile says nothing of PanNuke's layout" in refused(capsys, *given, "--tile", "64")
    new(*given, "--classes", "background,tumor,immune")
    said = capsys.readouterr().out
    for line in (
        "found 9 files = used 9 + left out 0",
        "folds: fold1 with 8 tiles, fold2 with 8 tiles, fold3 with 8 tiles",
        "classes: background (channel 2), tumor (channel 0), immune (channel 1); as given",
        "types: Lymph node (12), Skin (12); all are used",
        "fold1 tests, fold2 validates, the rest trains",
        "tiles: 24 of 64 x 64 px",
    ):
        assert line in said, line
    study = read_study("mine")
    assert study.readers == ["folds"] and study.split.by == "official" and study.group == "all"
    check.check_study(study)
    check.check_project()
    for number in (2, 3):
        shutil.rmtree(tmp_path / f"tiles/fold{number}")
    new(*given, "--classes", "background,tumor,immune", "--yes")
    assert "one fold alone: each tile is dealt out" in capsys.readouterr().out
    assert read_study("mine").split.by == "random"
