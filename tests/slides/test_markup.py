"""Annotations of ASAP and ImageScope become the same outlines as QuPath's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.errors import Problem
from pipeline.slides.annotations import Annotations, read_annotations
from pipeline.slides.markup import read_markup
from tests.slide_files import box, feature, write_features
from tests.slides.markup_files import write_asap, write_imagescope

CODES = {"tumor": 1, "stroma": 2}
CORNERS = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=3, max_size=8)
OUTLINES = st.lists(st.tuples(st.sampled_from(["Tumor", "Stroma"]), CORNERS), min_size=1, max_size=5)


def same(one: Annotations, other: Annotations) -> bool:
    equal = [a.equals(b) for a, b in zip(one.shapes, other.shapes, strict=True)]
    return one.codes == other.codes and all(equal) and one.features == other.features


@settings(max_examples=40)
@given(OUTLINES)
def test_three_programs_one_meaning(tmp_path_factory: pytest.TempPathFactory, outlines: Any) -> None:
    folder = tmp_path_factory.mktemp("three")
    layers = sorted(outlines, key=lambda outline: outline[0])  # ImageScope has them by layer
    features = [feature("Polygon", [ring], name) for name, ring in layers]
    expected = read_annotations(write_features(folder / "a.geojson", *features), CODES)
    assert same(read_annotations(write_asap(folder / "a.xml", *layers), CODES), expected)
    assert same(read_annotations(write_imagescope(folder / "b.xml", *layers), CODES), expected)


@settings(max_examples=40)
@given(CORNERS, CORNERS)
def test_a_negative_region_is_cut_out_of_its_layer_alone(
    tmp_path_factory: pytest.TempPathFactory, hole: Any, other: Any
) -> None:
    folder = tmp_path_factory.mktemp("holes")
    tumour, stroma = box(10, 10, 70, 70), box(0, 0, 90, 90)
    regions = [("Tumor", tumour), ("Tumor", hole, 0, True), ("Stroma", stroma), ("Other", other, 0, True)]
    found = read_annotations(write_imagescope(folder / "a.xml", *regions), CODES)
    cut = shapely.make_valid(shapely.Polygon(hole), method="structure", keep_collapsed=False)
    assert found.shapes[0].symmetric_difference(shapely.Polygon(tumour).difference(cut)).area < 1e-6
    assert found.shapes[1].equals(shapely.Polygon(stroma))


def test_an_ellipse_has_the_corners_of_its_box(tmp_path: Path) -> None:
    path = write_imagescope(tmp_path / "a.xml", ("Tumor", [(10, 20), (50, 40)], 2))
    (shape,) = read_annotations(path, CODES).shapes
    assert shape.bounds == pytest.approx((10, 20, 50, 40), abs=1e-6)
    assert shape.area == pytest.approx(np.pi * 20 * 10, rel=1e-3)


def test_what_has_no_area_and_other_classes_are_counted(tmp_path: Path) -> None:
    write_asap(tmp_path / "dots.xml", ("Tumor", [(1, 1)]), kind="Dot")
    assert read_annotations(tmp_path / "dots.xml", CODES).left_out["geometries of kind Dot"] == 1
    ruler = ("Tumor", [(1, 1), (5, 5)], 4)
    write_imagescope(tmp_path / "ruler.xml", ruler, ("Tumor", box(0, 0, 9, 9)), ("ROI", box(0, 0, 9, 9)))
    found = read_annotations(tmp_path / "ruler.xml", CODES)
    assert len(found.shapes) == 1
    assert +found.left_out == {"geometries of kind ImageScope's type 4": 1, "features of class 'ROI'": 1}


def test_a_class_is_a_group_or_else_a_name(tmp_path: Path) -> None:
    path = write_asap(tmp_path / "a.xml", ("None", box(0, 0, 9, 9)))
    path.write_text(path.read_text().replace('Name="Annotation 0"', 'Name="Tumor"'))
    assert read_annotations(path, CODES).codes == [1]
    path = write_imagescope(tmp_path / "b.xml", ("", box(0, 0, 9, 9)))
    described = '<Attributes><Attribute Name="Description" Value="Stroma"/></Attributes><Regions>'
    path.write_text(path.read_text().replace("<Regions>", described))
    assert read_annotations(path, CODES).codes == [2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("<Annotations>", "is no whole XML"),
        ("<svg/>", "is neither of ASAP nor of ImageScope: it holds 'svg'"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><Annotations/>', "declares a document type"),
        ("<Annotations><Annotation Name='Tumor'><Regions><Region><Vertices><Vertex X='1'/></Vertices></Region>"
         "</Regions></Annotation></Annotations>", "a corner without a place"),
        ("<ASAP_Annotations><Annotations><Annotation Type='Polygon'><Coordinates><Coordinate Order='0' X='a' Y='1'/>"
         "</Coordinates></Annotation></Annotations></ASAP_Annotations>", "a corner without a place"),
    ],
)  # fmt: skip
def test_broken_files(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(Problem, match=rf"a.xml.*{words}.*; export it again from the program that wrote it.*\.$"):
        list(read_markup(path))
