"""A shard gives back what was written into it, byte for byte the same each time."""

import contextlib
import errno
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from ruamel.yaml import YAML

from pipeline.base.errors import Problem
from pipeline.tiles.store import TABLE_COLUMNS, Shard, ShardInfo, Tile, shards
from pipeline.tiles.writer import ShardWriter

ROOT = Path(__file__).parents[2]
SIZE = 4  # px
INFO = ShardInfo("drawn", ("background", "nucleus"), 0.25, 40.0, "sample", "0" * 64, "none: drawn tiles", "", "")
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
WHOLE = st.integers(0, 2**40)
TILES = st.builds(
    Tile,
    image=arrays.arrays(np.uint8, (SIZE, SIZE, 3)),
    class_map=arrays.arrays(np.uint8, (SIZE, SIZE)),
    instance_map=arrays.arrays(np.int32, (SIZE, SIZE)),
    nuclei=st.dictionaries(st.integers(1, 2**31 - 1), st.integers(0, 254), max_size=3),
    **{column: TEXT if column in {"patient", "slide", "group"} else WHOLE for column in TABLE_COLUMNS},
)


def make_tile(index: int = 0) -> Tile:
    image = np.full((SIZE, SIZE, 3), index, np.uint8)
    return Tile(image, image[..., 0], image[..., 0].astype(np.int32), {index + 1: 1}, index, patient="P1")


def write(path: Path, tiles: list[Tile]) -> Shard:
    with ShardWriter(path, len(tiles), SIZE, INFO) as shard:
        for tile in tiles:
            shard.add(tile)
    return Shard(path)


@settings(deadline=None)  # which a busy machine may miss
@given(tiles=st.lists(TILES, min_size=1, max_size=3))
def test_what_is_written_is_read(tmp_path_factory: Any, tiles: list[Tile]) -> None:
    shard = write(tmp_path_factory.mktemp("shard") / "a.h5", tiles)
    table, nuclei = shard.table(), shard.nuclei()
    assert (len(shard), shard.info) == (len(tiles), INFO)
    for index, tile in enumerate(tiles):
        np.testing.assert_array_equal(shard.image(index), tile.image)
        np.testing.assert_array_equal(shard.class_map(index), tile.class_map)
        np.testing.assert_array_equal(shard.instance_map(index), tile.instance_map)
        assert table.loc[index].to_dict() == {column: getattr(tile, column) for column in TABLE_COLUMNS}
        rows = nuclei[nuclei["tile"] == index]
        assert dict(zip(rows["id"], rows["class"], strict=True)) == tile.nuclei


def test_written_twice_it_has_the_same_bytes(tmp_path: Path) -> None:
    tiles = [make_tile(index) for index in range(3)]
    write(tmp_path / "a.h5", tiles)
    write(tmp_path / "b.h5", tiles)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_the_pixels_are_contiguous(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", [make_tile()])
    with h5py.File(tmp_path / "a.h5") as file:
        assert {name: file[name].chunks for name in ("images", "classes", "instances")} == dict.fromkeys(
            ("images", "classes", "instances")
        )


def test_a_shard_without_nuclei(tmp_path: Path) -> None:
    tile = make_tile()
    shard = write(tmp_path / "a.h5", [Tile(tile.image, tile.class_map, tile.instance_map, {}, 0)])
    assert len(shard.nuclei()) == 0


def test_bits_are_kept_and_need_no_room_for_instances(tmp_path: Path) -> None:
    tile = make_tile()
    bits = np.full((SIZE, SIZE), 5, np.uint8)
    areas = Tile(tile.image, tile.class_map, np.zeros_like(tile.instance_map), {}, 0, bits=bits)
    with ShardWriter(tmp_path / "a.h5", 1, SIZE, INFO, bits=True) as writer:
        writer.add(areas)
    shard = Shard(tmp_path / "a.h5")
    np.testing.assert_array_equal(shard.bits(0), bits)
    assert not shard.instance_map(0).any() and shard.file["instances"].id.get_storage_size() == 0
    assert shard.lesion(0, "nucleus").all()  # bit 0
    assert write(tmp_path / "b.h5", [tile]).bits(0) is None


def test_a_shard_cut_to_fewer_tiles_is_the_shard_of_those(tmp_path: Path) -> None:
    tiles = [make_tile(index) for index in range(3)]  # the maps of the first one are 0 everywhere
    write(tmp_path / "few.h5", tiles)
    with ShardWriter(tmp_path / "cut.h5", 50, SIZE, INFO) as shard:
        for tile in tiles:
            shard.add(tile)
        shard.cut()
    assert (tmp_path / "cut.h5").read_bytes() == (tmp_path / "few.h5").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"cut.h5", "few.h5"}


def test_a_missing_tile_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="made for 2 tiles and got 1"),
        ShardWriter(tmp_path / "a.h5", 2, SIZE, INFO) as w,
    ):
        w.add(make_tile())


def test_an_open_shard_crosses_into_another_process(tmp_path: Path) -> None:
    shard = write(tmp_path / "a.h5", [make_tile(7)])
    assert len(shard) == 1
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(shard)).image(0), shard.image(0))


def test_many_shards_are_read_with_few_open_files(tmp_path: Path) -> None:
    """In any order, by those who keep all of them and by those who forget each."""
    for number in range(200):
        write(tmp_path / f"{number:03}.h5", [make_tile(number)])
    program = (
        "import resource, sys; from pathlib import Path; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "from pipeline.tiles.store import Shard\n"
        "kept = [Shard(path) for path in sorted(Path(sys.argv[1]).glob('*.h5'))]\n"
        "for order in (range(200), range(199, -1, -1), [*range(0, 200, 2), *range(1, 200, 2)] * 2):\n"
        "    assert all((kept[place].image(0) == place).all() for place in order)\n"
        "    assert all((Shard(kept[place].path).image(0) == place).all() for place in order)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=True, timeout=60)


def test_too_many_open_files_are_called_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Any:
        raise OSError(errno.EMFILE, "Unable to synchronously open file")

    monkeypatch.setattr(h5py, "File", refused)
    with pytest.raises(
        Problem, match=r"a\.h5 cannot be opened: too many open files; raise the limit \(`ulimit -n 4096`"
    ):
        len(Shard(tmp_path / "a.h5"))


def test_a_file_that_is_no_shard(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"no HDF5")
    with pytest.raises(Problem, match=r"a.h5 is damaged"):
        len(Shard(tmp_path / "a.h5"))


def test_a_shard_of_another_format(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", [make_tile()]).path
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = 0
    with pytest.raises(Problem, match="another version"):
        len(Shard(path))


def test_a_flipped_bit_is_noticed_when_its_tile_is_first_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", [make_tile(index) for index in range(3)]).path
    with h5py.File(path) as file:
        place = file["images"].id.get_offset() + 48 + 5  # in the second tile
    raw = bytearray(path.read_bytes())
    raw[place] ^= 4
    path.write_bytes(raw)
    shard = Shard(path)
    shard.image(0), shard.class_map(1)
    with pytest.raises(Problem, match=r"a\.h5 is damaged: row 1 of images is not what was written; `lobule doctor`"):
        shard.image(1)


@settings(deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_noticed_or_changes_nothing(tmp_path_factory: Any, place: float, bit: int) -> None:
    folder = tmp_path_factory.mktemp("shard")
    whole = write(folder / "a.h5", [make_tile(index) for index in range(2)])
    raw = bytearray(whole.path.read_bytes())
    raw[int(place * len(raw))] ^= 1 << bit
    (folder / "b.h5").write_bytes(raw)
    with contextlib.suppress(Problem):
        assert content(Shard(folder / "b.h5")) == content(whole)


def content(shard: Shard) -> list[Any]:
    """All that is read of a shard."""
    tiles = [(shard.image(i).tobytes(), shard.class_map(i).tobytes(), shard.instance_map(i).tobytes()) for i in (0, 1)]
    return [shard.info, len(shard), tiles, shard.table().to_csv(), shard.nuclei().to_csv()]


def test_shards_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("fold2", "fold1"):
        write(tmp_path / f"pannuke/{name}.h5", [make_tile()])
    assert [shard.path.stem for shard in shards("pannuke", tmp_path)] == ["fold1", "fold2"]


def test_an_empty_store_names_the_stage_that_fills_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    folds = {"folds": "1, 2, 3", "classes": {"none": 1, "tumour": 0}, "microns_per_pixel": 0.5}
    params["own"], params["datasets"]["mine"] = {"mine": "folds"}, {"source": "folder", "folds": folds}
    with (tmp_path / "params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(params, file)
    monkeypatch.chdir(tmp_path)
    for name, stage in {"bach": "convert@bach", "mine": "convert-own@mine"}.items():
        with pytest.raises(Problem, match=rf"data/tiles/{name} holds no tiles; run `dvc repro {stage}`\."):
            shards(name)
