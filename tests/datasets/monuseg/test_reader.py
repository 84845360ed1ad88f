"""MoNuSeg's outlines become nuclei pixel by pixel, and wrong files are refused in one sentence."""

import shutil
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from PIL import Image

from pipeline.base.errors import Problem
from pipeline.base.records import SourceFile
from pipeline.datasets.members import Member
from pipeline.datasets.monuseg.card import CARD, ORGANS
from pipeline.datasets.monuseg.reader import Region, draw_nuclei, find, read_regions
from pipeline.stages.convert import convert
from pipeline.stages.download import source_record
from pipeline.tiles.store import Shard

SIZE = 20  # px
BREAST, COLON = "TCGA-A7-A13E-01Z-00-DX1", "TCGA-NH-A8F7-01A-01-TS1"
Points = list[tuple[float, float]]


def square(x: float, y: float, side: float) -> Points:
    return [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]


def region(points: Points, **attributes: str) -> str:
    vertices = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in points)
    said = "".join(
        f' {name}="{value}"' for name, value in ({"Id": "5", "Type": "0", "NegativeROA": "0"} | attributes).items()
    )
    return f"<Region{said}><Attributes/><Vertices>{vertices}</Vertices></Region>"


def layers(*found: str) -> str:
    """An annotation with a layer for each argument."""
    inner = "".join(f"<Annotation><Attributes/><Regions>{regions}</Regions></Annotation>" for regions in found)
    return f'<Annotations MicronsPerPixel="0.25">{inner}</Annotations>'


def write(folder: Path, xml: str, name: str = BREAST) -> Path:
    for kind in ("Tissue Images", "Annotations"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(name)).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "Tissue Images" / f"{name}.tif", compression="tiff_lzw")
    (folder / "Annotations" / f"{name}.xml").write_text(xml)
    return folder


def read(folder: Path) -> Any:
    """The tile of a folder with one image."""
    (slide,) = find(folder)
    (tile,) = slide.tiles()
    return tile


def message(folder: Path) -> str:
    """The one sentence with which reading the folder ends."""
    with pytest.raises(Problem) as problem:
        [tile for slide in find(folder) for tile in slide.tiles()]
    text = str(problem.value)
    assert text.endswith(".") and "\n" not in text
    return text


# ------------------------------------------------------------------------------------------------------ outlines


def test_an_image_is_read_as_it_was_written(tmp_path: Path) -> None:
    write(tmp_path, layers(region(square(2, 3, 4)) + region(square(10, 10, 5))))
    (slide,) = find(tmp_path)
    assert (slide.name, slide.count, slide.tile_size) == (BREAST, 1, SIZE)
    assert [path.name for path in slide.files] == [f"{BREAST}.xml", f"{BREAST}.tif"]
    (tile,) = slide.tiles()
    with Image.open(tmp_path / "Tissue Images" / f"{BREAST}.tif") as picture:
        np.testing.assert_array_equal(tile.image, np.asarray(picture))
    expected = np.zeros((SIZE, SIZE), int)
    expected[3:7, 2:6], expected[10:15, 10:15] = 1, 2
    np.testing.assert_array_equal(tile.instance_map, expected)
    np.testing.assert_array_equal(tile.class_map, expected > 0)
    assert (dict(tile.nuclei), tile.overlap, tile.conflict) == ({1: 1, 2: 1}, 0, 0)
    assert (tile.patient, tile.slide, tile.group) == ("TCGA-A7-A13E", BREAST, "Breast")
    assert (tile.image.dtype, tile.class_map.dtype, tile.instance_map.dtype) == (np.uint8, np.uint8, np.int32)


def test_the_later_nucleus_wins_and_the_overlap_is_counted(tmp_path: Path) -> None:
    tile = read(write(tmp_path, layers(region(square(2, 2, 6)), region(square(5, 5, 6)))))
    assert (tile.overlap, tile.instance_map[6, 6], tile.instance_map[2, 2]) == (9, 2, 1)


def test_a_covered_nucleus_is_gone_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tile = read(write(tmp_path, layers(region(square(5, 5, 2)) + region(square(4, 4, 6)) + region(square(15, 15, 2)))))
    assert (dict(tile.nuclei), tile.overlap) == ({1: 1, 2: 1}, 4)
    assert "1 of 3 outlines have no pixel of their own" in capsys.readouterr().out


def test_a_negative_region_cuts_nuclei_that_come_before_and_after(tmp_path: Path) -> None:
    hole = region(square(4, 4, 3), NegativeROA="1")
    tile = read(write(tmp_path, layers(region(square(2, 2, 4)) + hole + region(square(5, 5, 6)))))
    assert (tile.instance_map[4:7, 4:7] == 0).all() and set(np.unique(tile.instance_map)) == {0, 1, 2}
    assert tile.overlap == 0  # the only pixel of both is cut out


def test_outlines_that_leave_the_image_are_clipped(tmp_path: Path) -> None:
    tile = read(write(tmp_path, layers(region(square(-1.5, -1.5, 4)) + region(square(17.2, 16.9, 4.5)))))
    expected = np.zeros((SIZE, SIZE), int)
    expected[:2, :2], expected[17:, 17:] = 1, 2
    np.testing.assert_array_equal(tile.instance_map, expected)


def test_an_outline_that_crosses_itself_has_its_even_odd_inside(tmp_path: Path) -> None:
    tile = read(write(tmp_path, layers(region([(2, 2), (10, 10), (10, 2), (2, 10)]))))
    assert dict(tile.nuclei) == {1: 1}
    assert tile.class_map[6, 3] and tile.class_map[6, 8] and not tile.class_map[3, 6] and not tile.class_map[9, 6]


def test_regions_that_are_no_outlines_are_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ruler = region([(1, 1), (5, 5), (9, 1)], Type="4")
    tile = read(write(tmp_path, layers(region([]) + region([(1, 1), (2, 2)]) + ruler, region(square(2, 2, 3)))))
    assert dict(tile.nuclei) == {1: 1}
    said = capsys.readouterr().out
    assert "left out 2 of the regions, with fewer than three vertices" in said
    assert "left out 1 of the regions, that are no outline" in said


def test_an_annotation_without_regions_is_an_image_without_nuclei(tmp_path: Path) -> None:
    tile = read(write(tmp_path, layers()))
    assert not tile.instance_map.any() and not tile.nuclei


def test_an_annotation_of_which_nothing_is_used_is_refused(tmp_path: Path) -> None:
    ruler = region([(1, 1), (5, 5), (9, 1)], Type="4")
    said = message(write(tmp_path / "rulers", layers(ruler + ruler + region([]))))
    assert "gives no nucleus: all of its regions are left out, 2 that are no outline, 1 with fewer than three" in said
    elsewhere = layers(region(square(2, 2, 3))).replace("Regions", "Areas")
    assert "are left out, 1 that are in no layer" in message(write(tmp_path / "elsewhere", elsewhere))


# ------------------------------------------------------------------------------------------------------- finding


def test_folder_nested_zip_and_flat_zip_give_the_same(tmp_path: Path) -> None:
    unpacked = write(tmp_path / "raw", layers(region(square(2, 3, 4))))
    for number, place in enumerate(("MoNuSeg 2018 Training Data/{}/{}", "MoNuSegTestData/{1}")):
        target = tmp_path / str(number)
        target.mkdir()
        with zipfile.ZipFile(target / CARD.files[0].name, "w") as archive:
            for path in sorted(unpacked.glob("*/*")):
                archive.write(path, place.format(path.parent.name, path.name))
                archive.writestr(f"__MACOSX/{place.format(path.parent.name, '._' + path.name)}", b"rubbish")
        assert find(target)[0].files == [target / CARD.files[0].name]
        for name, value in vars(read(unpacked)).items():
            np.testing.assert_array_equal(getattr(read(target), name), value, err_msg=name)
    shutil.copy(tmp_path / "0" / CARD.files[0].name, unpacked)
    assert {path.suffix for path in find(unpacked)[0].files} == {".tif", ".xml"}


def test_names_tell_patient_and_organ(tmp_path: Path) -> None:
    unknown = "TCGA-ZF-A9R5-01A-01-TS1"
    for name in (BREAST, COLON, unknown):
        write(tmp_path, layers(), name)
    (tmp_path / "Tissue Images" / "overview.tif").write_bytes(b"no image of MoNuSeg")
    tiles = [tile for slide in find(tmp_path) for tile in slide.tiles()]
    assert [(tile.patient, tile.group) for tile in tiles] == [
        ("TCGA-A7-A13E", "Breast"),
        ("TCGA-NH-A8F7", "Colon"),
        ("TCGA-ZF-A9R5", ""),
    ]


def test_the_tile_store_holds_what_is_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "raw", layers(region(square(2, 3, 4))))
    files = [
        SourceFile(name=path.relative_to(folder).as_posix(), bytes=path.stat().st_size, sha256="")
        for path in find(folder)[0].files
    ]
    source_record(CARD, "sample", folder, files).write(tmp_path / "SOURCE.json")
    convert("monuseg", tmp_path / "SOURCE.json", tmp_path / "tiles")
    shard = Shard(tmp_path / "tiles" / f"{BREAST}.h5")
    assert (shard.table()["patient"].tolist(), shard.nuclei()["class"].tolist()) == (["TCGA-A7-A13E"], [1])
    assert shard.class_map(0).sum() == 16


# ------------------------------------------------------------------------------------------------------ refusing


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        ("<Annotations><Annotation>", "is no whole XML"),
        ("", "is no whole XML"),
        ("<svg/>", "is not of ImageScope: it holds 'svg'"),
        (layers(region([(1, 1), (2, float("nan")), (3, 1)])), "region 5 has a vertex without a place"),
        (
            layers('<Region Id="8"><Vertices><Vertex X="1"/></Vertices></Region>'),
            "region 8 has a vertex without a place",
        ),
        (layers(region(square(1, 1, 1)).replace('X="1"', 'X="one"')), "region 5 has a vertex without a place"),
        (layers(region(square(15, 2, 40))), "region 5 reaches 35 px beyond its image of 20 px"),
        (layers(region(square(-9, 2, 12))), "region 5 reaches 9 px beyond"),
    ],
)
def test_a_wrong_annotation_is_named(tmp_path: Path, xml: str, said: str) -> None:
    text = message(write(tmp_path, xml))
    assert said in text and f"{BREAST}.xml" in text


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_what_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    assert "holds no image of MoNuSeg" in message(tmp_path / "nothing")

    folder = write(tmp_path / "no annotation", layers())
    (folder / "Annotations" / f"{BREAST}.xml").unlink()
    assert f"{BREAST}.tif has no annotation" in message(folder)

    folder = write(tmp_path / "no image", layers())
    (folder / "Tissue Images" / f"{BREAST}.tif").unlink()
    assert f"{BREAST}.xml is an annotation without an image" in message(folder)

    folder = write(tmp_path / "twice", layers())
    shutil.copytree(folder / "Annotations", folder / "again")
    assert "are the same file of MoNuSeg" in message(folder)

    folder = write(tmp_path / "cut", layers())
    path = folder / "Tissue Images" / f"{BREAST}.tif"
    path.write_bytes(path.read_bytes()[:300])
    assert f"{path} is no whole picture" in message(folder)

    folder = write(tmp_path / "not square", layers())
    Image.new("RGB", (8, 9)).save(folder / "Tissue Images" / f"{BREAST}.tif")
    assert "has 8 x 9 px and is not square" in message(folder)


# ---------------------------------------------------------------------------------------------------------- real


@pytest.mark.real
def test_real_outlines_against_matplotlib(real_data: Path) -> None:
    """Each outline of two images alone, so that no overlap hides a difference; pixels on an outline are left out."""
    for name in (BREAST, "TCGA-B0-5710-01Z-00-DX1"):  # the second has most of its vertices at whole numbers
        path = real_data / "monuseg" / "Annotations" / f"{name}.xml"
        regions = read_regions(Member(path, PurePosixPath(path.name)))
        different = compared = 0
        for found in regions:
            left, top = np.floor(found.ring.min(axis=0)).astype(int) - 1
            right, bottom = np.ceil(found.ring.max(axis=0)).astype(int) + 1
            y, x = np.mgrid[max(top, 0) : min(bottom, 1000), max(left, 0) : min(right, 1000)]
            centres = np.column_stack([x.ravel(), y.ravel()]) + 0.5
            mine = draw_nuclei([Region("", found.ring, False)], 1000)[0][y.ravel(), x.ravel()] > 0
            inner = Outline(found.ring).contains_points(centres)
            nudged = [Outline(found.ring + step).contains_points(centres) for step in ((1e-7, 2e-8), (-1e-7, -2e-8))]
            clear = (inner == nudged[0]) & (inner == nudged[1])
            different += int((mine != inner)[clear].sum())
            compared += int(clear.sum())
        assert different == 0 and compared > 50_000


@pytest.mark.real
def test_all_thirteen_images(real_data: Path) -> None:
    slides = find(real_data / "monuseg")
    nuclei = regions = 0
    for slide in slides:
        (tile,) = slide.tiles()
        assert tile.image.shape == (1000, 1000, 3) and tile.group == next(
            o for o, n in ORGANS.items() if slide.name in n
        )
        assert set(np.unique(tile.instance_map)) == {0, *tile.nuclei}
        assert tile.image[tile.class_map > 0].mean() < tile.image[tile.class_map == 0].mean() - 20
        assert 0.1 < tile.class_map.mean() < 0.4 and tile.overlap < 10_000
        nuclei += len(tile.nuclei)
        regions += sum(1 for _ in ElementTree.parse(slide.annotation.path).iter("Region"))
    assert (len(slides), regions, nuclei) == (13, 4951, 4948)  # two regions have no area, one nucleus is covered


def test_a_document_type_is_refused_before_its_entities_grow(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 30))
    path.write_text(f'<!DOCTYPE Annotations [<!ENTITY a0 "ha">{laughs}]><Annotations>&a29;</Annotations>')
    with pytest.raises(Problem, match=r"it declares a document type, which no program for slides does"):
        read_regions(Member(path, PurePosixPath("a.xml")))
