"""What is in an HDF5 file is what was written, or it is said that it is not."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.base import hdf5
from pipeline.base.errors import Problem

ROOT = Path(__file__).parents[2]
MAPS = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
FULL = """
import errno, resource, sys
from pathlib import Path
import numpy as np
from pipeline.base import hdf5

def write(path):
    with hdf5.create(path) as file:
        for number in range(20):
            file.create_dataset(f"maps/{number}", data=np.full(200, number))
            file.create_dataset(f"zipped/{number}", data=np.arange(number, number + 99), compression="gzip")
    return path.stat().st_size

path = Path(sys.argv[1])
for room in range(0, write(path), 4999):
    path.unlink()
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        write(path)
    except OSError as error:
        assert error.errno == errno.EFBIG
    else:
        raise AssertionError(room)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with two rows and their checksums."""
    with hdf5.create(tmp_path / "a.h5") as file:
        hdf5.write_attribute(file, "classes", '["größer", ""]')
        file["maps"] = MAPS
        hdf5.write_sums(file, "maps", map(hdf5.crc, MAPS))
    return tmp_path / "a.h5"


def flip(path: Path) -> None:
    """Change one bit of the second row."""
    with h5py.File(path) as file:
        place = file["maps"].id.get_offset() + MAPS[0].nbytes
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)


def test_what_is_written_is_read(path: Path) -> None:
    with hdf5.reading(path) as file:
        np.testing.assert_array_equal(hdf5.read_array(file, "maps"), MAPS)
        np.testing.assert_array_equal(hdf5.read_row(file, "maps", 1), MAPS[1])
        assert hdf5.read_attribute(file, "classes") == '["größer", ""]'


def test_a_flipped_bit_is_noticed_in_its_row(path: Path) -> None:
    flip(path)
    with hdf5.reading(path) as file:
        np.testing.assert_array_equal(hdf5.read_row(file, "maps", 0), MAPS[0])
        for read in (lambda: hdf5.read_row(file, "maps", 1), lambda: hdf5.read_array(file, "maps")):
            with pytest.raises(Problem, match=r"a\.h5 is damaged: row 1 of maps is not what was written"):
                read()


def test_a_file_without_checksums_is_read_as_it_is(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["maps"] = MAPS
    with hdf5.reading(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(hdf5.read_array(file, "maps"), MAPS)
        with pytest.raises(Problem, match=r"a\.h5 is damaged \("):
            hdf5.read_array(file, "heat")


def test_a_file_that_is_missing_or_broken_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"a\.h5 is missing; run `dvc repro`"), hdf5.reading(tmp_path / "a.h5"):
        pass
    (tmp_path / "a.h5").write_bytes(b"no HDF5")
    with (
        pytest.raises(Problem, match=r"a\.h5 is damaged \(.*\); `lobule doctor` says"),
        hdf5.reading(tmp_path / "a.h5"),
    ):
        pass


def test_a_disk_that_is_full_at_any_moment_is_an_error_and_no_crash(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FULL, str(tmp_path / "a.h5")], cwd=ROOT, check=True, timeout=120)
