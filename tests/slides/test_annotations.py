"""Outlines become class maps pixel for pixel as shapely sees them; what is left out, repaired or clipped is counted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.errors import Problem
from pipeline.slides.annotations import REGION, Annotations, class_names, read_annotations
from pipeline.slides.slide import Grid
from pipeline.tiles.store import IGNORE
from tests.slide_files import box, feature, write_features

KEYS = [
    "type",
    "name",
    "names",
    "properties",
    "geometry",
    "coordinates",
    "geometries",
    "childObjects",
    "classification",
]
CODES = {"n": 1, "udh": 3, "dcis": 6}


def grid(side: int = 96, tile_size: int = 32, downsample: float = 1.0) -> Grid:
    return Grid(tile_size, tile_size, 0, 1.0, downsample, 0.25, int(side / downsample), int(side / downsample))


def read(folder: Path, *features: Any) -> Annotations:
    return read_annotations(write_features(folder / "slide.geojson", *features), CODES)


def drawn(annotations: Annotations, over: Grid) -> tuple[Any, Any]:
    """Class map and bit map of the whole slide, put together from its tiles."""
    size = over.tile_size
    classes = np.zeros((over.rows * size, over.columns * size), np.uint8)
    bits = np.zeros_like(classes)
    for (column, row), shapes in annotations.tiles(over).items():
        place = np.s_[row * size : (row + 1) * size, column * size : (column + 1) * size]
        classes[place], bits[place], _ = annotations.draw(over, (column, row), shapes)
    return classes, bits


# ----------------------------------------------------------------------------------------------------- rasterising


@st.composite
def stars(draw: Any) -> Any:
    """An outline with a hole, that may cross itself and leave the slide."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(3, 30))
    angles = np.sort(random.random(count) * 2 * np.pi) if draw(st.booleans()) else random.random(count) * 2 * np.pi
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    centre, radius = random.random(2) * 96, 5 + random.random() * 60
    outer = centre + around * radius * (0.4 + 0.6 * random.random((count, 1)))
    inner = centre + around * radius * 0.2
    return [outer.tolist(), inner.tolist()] if draw(st.booleans()) else [outer.tolist()]


@settings(max_examples=60, deadline=None)
@given(rings=st.lists(stars(), min_size=1, max_size=3), downsample=st.sampled_from([1.0, 1.5, 4.0]))
def test_no_pixel_differs_from_point_in_polygon(
    rings: Any, downsample: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    codes = [3, 6, 1]
    titles = ["UDH", "DCIS", "N"]
    features = [feature("Polygon", ring, title) for ring, title in zip(rings, titles, strict=False)]
    annotations = read(tmp_path_factory.mktemp("stars"), *features)
    over = grid(downsample=downsample)
    classes, bits = drawn(annotations, over)
    expected, expected_bits = np.zeros_like(classes), np.zeros_like(bits)
    # tiles' corners are rounded to whole px of full resolution
    starts = np.array([over.corner(k, 0)[0] for k in range(over.columns)])
    centres = (starts[:, None] + (np.arange(over.tile_size) + 0.5) * downsample).ravel()
    x, y = np.meshgrid(centres, centres)
    for shape, code in zip(annotations.shapes, annotations.codes, strict=True):
        inside = shapely.contains_xy(shape, x, y)
        expected[inside] = code
        expected_bits[inside] |= 1 << (code - 1)
    assert set(annotations.codes) <= set(codes)
    for beyond in np.s_[over.height :], np.s_[:, over.width :]:
        expected[beyond], expected_bits[beyond] = IGNORE, 0
    np.testing.assert_array_equal(classes, expected)
    np.testing.assert_array_equal(bits, expected_bits)


def test_outlines_through_centres_share_no_pixel_and_leave_none_out(tmp_path: Path) -> None:
    left = feature("Polygon", [[[0, 0], [96, 0], [0, 96], [0, 0]]], "UDH")  # the diagonal runs through centres
    right = feature("Polygon", [[[96, 0], [96, 96], [0, 96], [96, 0]]], "DCIS")
    classes, bits = drawn(read(tmp_path, left, right), grid())
    assert set(np.unique(classes)) == {3, 6} and set(np.unique(bits)) == {4, 32}


def test_holes_stay_empty_and_the_later_class_wins_while_bits_keep_both(tmp_path: Path) -> None:
    annotations = read(
        tmp_path,
        feature("Polygon", [box(0, 0, 20, 20), box(5, 5, 10, 10)], "UDH"),
        feature("Polygon", [box(15, 0, 30, 20)], "DCIS"),
    )
    classes, bits = drawn(annotations, grid())
    assert (classes[:20, :15] == 3).sum() == 300 - 25 and (classes[5:10, 5:10] == 0).all()
    assert (classes[:20, 15:30] == 6).all() and (bits[:20, 15:20] == 4 + 32).all() and (bits[:20, 20:30] == 32).all()
    assert annotations.draw(grid(), (0, 0), [0, 1])[2] == 5 * 20  # px that both claim


def test_only_tiles_that_an_outline_meets_are_named(tmp_path: Path) -> None:
    ring = feature("Polygon", [box(33, 1, 95, 31)])
    hollow = feature("Polygon", [box(0, 0, 96, 96), box(31, 31, 65, 65)], "DCIS")  # its hole holds the middle tile
    met = read(tmp_path, ring, hollow).tiles(grid())
    assert (1, 1) not in met and len(met) == 8
    assert [place for place, shapes in met.items() if 0 in shapes] == [(1, 0), (2, 0)]


@settings(max_examples=40, deadline=None)
@given(rings=st.lists(stars(), min_size=4, max_size=4), elsewhere=st.sampled_from([0, IGNORE]), regions=st.booleans())
def test_background_regions_and_the_rest(
    rings: Any, elsewhere: int, regions: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    titles = ["UDH", "ROI", "Stroma", "ROI"]  # the background is no first one in the file
    features = [feature("Polygon", ring, title) for ring, title in zip(rings, titles, strict=True)]
    codes = CODES | {"stroma": 0} | ({"roi": REGION} if regions else {})
    path = write_features(tmp_path_factory.mktemp("parts") / "slide.geojson", *features)
    annotations, over = read_annotations(path, codes, elsewhere), grid()
    lesion, first, stroma, second = (shapely.make_valid(polygon(ring), method="structure") for ring in rings)
    x, y = np.meshgrid(np.arange(96) + 0.5, np.arange(96) + 0.5)
    expected = np.full((96, 96), elsewhere, np.uint8)
    expected[shapely.contains_xy(stroma, x, y)] = 0
    expected[shapely.contains_xy(lesion, x, y)] = 3
    if regions:
        expected[~(shapely.contains_xy(first, x, y) | shapely.contains_xy(second, x, y))] = IGNORE
    counts = annotations.counts(over)
    for row, column in np.ndindex(3, 3):
        met = annotations.tiles(over).get((column, row), [])
        classes, bits, _ = annotations.draw(over, (column, row), met)
        wanted = expected[row * 32 :, column * 32 :][:32, :32]
        np.testing.assert_array_equal(classes, wanted)
        np.testing.assert_array_equal(bits, (wanted == 3) * np.uint8(4))
        assert counts is None or (column, row) in counts or (wanted == IGNORE).all()


def polygon(rings: Any) -> Any:
    return shapely.Polygon(rings[0], rings[1:])


def test_more_classes_than_a_byte_has_bits(tmp_path: Path) -> None:
    codes = {f"class {number}": number for number in range(1, 31)}
    places = [feature("Polygon", [box(3 * n, 0, 3 * n + 4, 9)], f"class {n}") for n in range(1, 31)]
    found = read_annotations(write_features(tmp_path / "a.geojson", *places), codes)
    classes, bits, overlap = found.draw(grid(tile_size=96), (0, 0), list(range(30)))
    assert set(np.unique(classes)) == set(range(31)) and bits[0, 92] == 1 << 29 and overlap == 29 * 9


def test_no_region_where_regions_are_wanted(tmp_path: Path) -> None:
    path = write_features(tmp_path / "a.geojson", feature("Polygon", [box(0, 0, 9, 9)]))
    found = read_annotations(path, CODES | {"roi": REGION})
    assert (
        found.notes() == ["WARNING: nothing of it counts, since it outlines no region"]
        and found.counts(grid()) == set()
    )
    assert (found.draw(grid(), (0, 0), [0])[0] == IGNORE).all()


# ---------------------------------------------------------------------------------------------------------- shapes


def test_every_kind_of_geometry(tmp_path: Path) -> None:
    collection = feature("GeometryCollection", None)
    collection["geometry"] = {
        "type": "GeometryCollection",
        "geometries": [
            {"type": "Polygon", "coordinates": [box(0, 0, 4, 4)]},
            {"type": "MultiPolygon", "coordinates": [[box(10, 0, 14, 4)], [box(20, 0, 24, 4)]]},
            {"type": "LineString", "coordinates": [[0, 0], [9, 9]]},
        ],
    }
    ellipse = feature("Polygon", [box(40, 0, 44, 4)])
    ellipse["geometry"]["isEllipse"] = True
    high = feature("Polygon", [[[50, 0, 7], [54, 0, 7], [54, 4, 7], [50, 4, 7]]])  # with z, and not closed
    found = read(tmp_path, collection, ellipse, high, feature("Point", [1, 1]), feature("MultiPoint", [[1, 1]]))
    assert [shape.area for shape in found.shapes] == [48, 16, 16]
    assert found.left_out == {
        "geometries of kind LineString": 1,
        "geometries of kind Point": 1,
        "geometries of kind MultiPoint": 1,
        "features without an area": 0,
    }


@pytest.mark.parametrize(
    ("classification", "names"),
    [
        ("UDH", ["UDH"]),
        ({"name": "UDH", "colorRGB": -3}, ["UDH"]),
        ({"names": ["UDH", "Positive"]}, ["UDH: Positive", "UDH", "Positive"]),
        ({"name": "UDH: Positive"}, ["UDH: Positive", "UDH", "Positive"]),
        ({}, []),
        (None, []),
        ({"name": None}, []),
        ({"name": " "}, []),
        (7, []),
    ],
)
def test_every_form_of_a_class(classification: Any, names: list[str]) -> None:
    assert class_names(feature("Point", [], classification)) == names
    assert class_names({"properties": None}) == class_names({}) == []
    assert class_names({"properties": {"classification": "udh"}}) == ["udh"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"name": "UDH", "color": [200, 0, 0]}', ["UDH"]),
        (' {"names": ["UDH", "Positive"]}', ["UDH: Positive", "UDH", "Positive"]),
        ("{UDH", ["{UDH"]),
        ("[" * 100_000, ["[" * 100_000]),
        ("[]", []),
    ],
)
def test_a_class_that_was_written_as_text(text: str, names: list[str]) -> None:
    assert class_names({"properties": {"classification": text}}) == names


def test_other_classes_are_counted(tmp_path: Path) -> None:
    some = [feature("Polygon", [box(0, 0, 4, 4)], name) for name in ("Tissue", "Tissue", None, " udh ", "DCIS: x")]
    found = read(tmp_path, *some)
    assert found.codes == [3, 6]
    assert found.notes() == ["2 features of class 'Tissue' left out", "1 features without a class left out"]


def test_self_crossing_outlines_are_repaired_and_reported(tmp_path: Path) -> None:
    bow = feature("Polygon", [[[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]])
    overlapping = feature("MultiPolygon", [[box(20, 0, 30, 10)], [box(25, 0, 35, 10)]])
    spike = feature("Polygon", [[[40, 0], [50, 0], [50, 10], [60, 10], [50, 10], [40, 10], [40, 0]]])
    line = feature("Polygon", [[[0, 0], [5, 5], [0, 0]]])
    few = feature("Polygon", [[[0, 0], [5, 5]]])
    empty = feature("Polygon", [])
    found = read(tmp_path, bow, overlapping, spike, line, few, empty)
    assert [shape.area for shape in found.shapes] == [50, 150, 100]
    assert all(shape.is_valid for shape in found.shapes)
    assert found.repaired == 4 and found.left_out["features without an area"] == 3
    assert "4 self-crossing outlines repaired" in found.notes()


def test_outlines_partly_off_the_slide_are_clipped_and_reported(tmp_path: Path) -> None:
    found = read(tmp_path, feature("Polygon", [box(-50, -50, 10, 10)]), feature("Polygon", [box(90, 90, 900, 900)]))
    found.check_place(96, 96)
    classes, _ = drawn(found, grid())
    assert (classes == 3).sum() == 100 + 36 and found.notes() == ["2 outlines clipped at the slide's border"]


def test_an_outline_off_the_slide_is_refused(tmp_path: Path) -> None:
    found = read(tmp_path, feature("Polygon", [box(96, 0, 200, 10)]))
    with pytest.raises(
        Problem, match=r"x 148, y 5, but its slide has 96 x 96 px, so it was drawn on another one; .*\.$"
    ):
        found.check_place(96, 96)


@pytest.mark.parametrize("corners", [[["a", 1]] * 4, [[1]] * 4, [[1, float("nan")]] * 4, 5, [1, 2, 3], [None] * 4])
def test_corners_that_are_no_numbers_are_refused(corners: Any, tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"the outline of feature 2 cannot be read .*\.$"):
        read(tmp_path, feature("Polygon", [box(0, 0, 4, 4)]), feature("Polygon", [corners]))


def test_no_annotation_at_all(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert found.shapes == [] and found.tiles(grid()) == {}
    assert found.notes() == ["WARNING: nothing of it is used, since it holds no feature"]


def test_a_file_of_which_nothing_is_known_says_so(tmp_path: Path) -> None:
    found = read(tmp_path, *(feature("Polygon", [box(0, 0, 4, 4)], f"class {number}") for number in range(50)))
    notes = found.notes()
    assert found.features == 50 and len(notes) == 12
    assert notes[-2:] == [
        "40 of 40 other kinds left out",
        "WARNING: nothing of it is used, since none of its 50 features is an outline of a known class",
    ]


@pytest.mark.parametrize("where", ["properties", "feature"])
@pytest.mark.parametrize("as_text", [False, True])
def test_objects_within_objects_are_read_after_what_they_lie_in(where: str, as_text: bool, tmp_path: Path) -> None:
    inner = feature("Polygon", [box(2, 2, 6, 6)], "DCIS")
    middle, outer = feature("Polygon", [box(0, 0, 9, 9)], "UDH"), feature("Polygon", [box(0, 0, 96, 96)], None)
    for around, within in ((middle, [inner, feature("Point", [1, 1])]), (outer, [middle])):
        children = json.dumps(within) if as_text else within
        (around["properties"] if where == "properties" else around)["childObjects"] = children
    found = read(tmp_path, outer, feature("Polygon", [box(20, 0, 24, 4)], "N"))
    assert found.codes == [3, 6, 1] and found.features == 5
    assert found.left_out == {
        "features without a class": 1,
        "geometries of kind Point": 1,
        "features without an area": 0,
    }
    assert drawn(found, grid())[0][4, 4] == 6  # the inner one lies on top


@pytest.mark.parametrize("children", [[1], [None], [[]]])
def test_children_that_are_no_features_are_refused(children: Any, tmp_path: Path) -> None:
    outer = feature("Polygon", [box(0, 0, 4, 4)])
    outer["childObjects"] = children
    with pytest.raises(Problem, match=r"one of its childObjects is no Feature"):
        read(tmp_path, outer)


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Polygon"},
        {"type": "Polygon", "coordinates": None},
        {"type": "Polygon", "coordinates": [[[1e300, 0], [0, 1e300], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[10**400, 0], [0, 1], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[-(2.0**40), 0], [0, 1], [0, 0]]]},
        {"type": "MultiPolygon"},
        {"type": "MultiPolygon", "coordinates": 5},
        {"type": "GeometryCollection", "geometries": 5},
    ],
)
def test_geometries_that_cannot_be_are_refused(geometry: Any, tmp_path: Path) -> None:
    wrong = {"type": "Feature", "geometry": geometry, "properties": {"classification": "UDH"}}
    with pytest.raises(Problem, match=r"the outline of feature 1 cannot be read .*\.$"):
        read(tmp_path, wrong)


def test_collections_in_collections(tmp_path: Path) -> None:
    geometry: Any = {"type": "Polygon", "coordinates": [box(0, 0, 4, 4)]}
    for _ in range(200):
        geometry = {"type": "GeometryCollection", "geometries": [geometry]}
    deep = {"type": "Feature", "geometry": geometry, "properties": {"classification": "UDH"}}
    assert [shape.area for shape in read(tmp_path, deep).shapes] == [16]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["UDH", "Feature"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
numbers = st.integers(-300, 300) | st.floats(-300, 300) | st.sampled_from([1e9, -1e9, 2e9, 0.1 + 0.2])
corners = st.lists(st.tuples(numbers, numbers), max_size=8)


@settings(max_examples=300, deadline=None)
@given(where=st.sampled_from(["geometry", "coordinates", "properties", "classification", "childObjects"]), value=values)
def test_any_json_in_a_feature_is_read_or_ends_in_a_sentence(
    where: str, value: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    one = feature("Polygon", [box(0, 0, 4, 4)])
    place = {"coordinates": one["geometry"], "classification": one["properties"], "childObjects": one["properties"]}
    place.get(where, one)[where] = value
    try:
        found = read(tmp_path_factory.mktemp("any"), one)
    except Problem as problem:
        assert str(problem).endswith(".") and "\n" not in str(problem)
    else:
        assert len(found.shapes) + found.left_out.total() >= 1 or found.repaired


@settings(max_examples=200, deadline=None)
@given(polygons=st.lists(st.lists(corners, max_size=3), max_size=3))
def test_any_outlines_are_drawn_within_the_slide(polygons: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    found = read(tmp_path_factory.mktemp("any"), feature("MultiPolygon", polygons))
    try:
        found.check_place(96, 96)
    except Problem as problem:
        assert "was drawn on another one" in str(problem)
        return
    classes, bits = drawn(found, grid())
    assert set(np.unique(classes)) <= {0, 3} and ((classes == 3) == (bits == 4)).all()


# ------------------------------------------------------------------------------------------------------- real files


@pytest.mark.real
def test_exports_of_several_qupath_versions(real_data: Path) -> None:
    names = "Tissue Makrophage Tumor_vital mark Cyst ROI single_cells_demo circles two_circles class_1 class_2"
    codes = {name.lower(): 1 for name in names.split()}
    counts = {
        "qupath/Annotations/CMU-1.json": (5, 0),
        "qupath/Annotations/JP2K-33003-1.json": (1, 0),
        "qupath/JP2K-33003-1.geojson": (1, 0),
        "qupath/Single_cells.geojson": (128, 3),
        "qupath/TD_01_verysmall_mIF.geojson": (6, 3),
        "qupath/qupath05.geojson": (0, 3),
        "wsi/CMU-1-Small-Region.geojson": (1, 0),
    }
    there = {
        *real_data.glob("qupath/**/*.geojson"),
        *real_data.glob("qupath/Annotations/*"),
        *real_data.glob("wsi/*.geojson"),
    }
    assert there == {real_data / name for name in counts}
    for name, (shapes, left_out) in counts.items():
        found = read_annotations(real_data / name, codes)
        assert (len(found.shapes), found.left_out.total()) == (shapes, left_out), name
    with pytest.raises(Problem, match="no GeoJSON of annotations"):
        read_annotations(real_data / "qupath/project/data/1/data.qpdata", codes)
