"""Images and masks that do not lie in the same folders: paired by their bare names where no other file has them."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_test
from hypothesis import strategies as st

from pipeline.base.errors import Problem
from pipeline.datasets.masks.pairs import find_pairs
from tests.datasets.masks.test_reader import settings

PATHS = st.sets(st.sampled_from(["a", "b", "s/a", "t/a", "s/b", "u/s/b", "c"]), max_size=5)


def lay(folder: Path, **files: list[str]) -> None:
    for place, names in files.items():
        (folder / place).mkdir()
        for name in names:
            path = folder / place / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


@pytest.mark.parametrize(
    ("images", "masks", "named"),
    [
        (["Slide_01/01_1", "Slide_02/02_1"], ["01_1", "02_1"], ["Slide_01/01_1", "Slide_02/02_1"]),
        (["01_1", "02_1"], ["GT_01/01_1", "GT_02/02_1"], ["01_1", "02_1"]),
        (["x/s/1", "2"], ["s/1", "2"], ["2", "x/s/1"]),
    ],
    ids=["images in sub-folders", "masks in sub-folders", "one folder more"],
)
def test_bare_names_pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], images: list[str], masks: list[str], named: list[str]
) -> None:
    lay(tmp_path, images=images, masks=masks, codes=masks)
    found = find_pairs(tmp_path, settings(class_maps="codes"))
    assert [pair.name for pair in found] == named
    for pair in found:
        assert pair.classes is not None
        assert pair.image.path.name == pair.mask.path.name == pair.classes.path.name
    told = capsys.readouterr().out
    count = len({*images} - {*masks})
    assert f"masks: {count} lie in other folders than their images and are paired by the bare name" in told
    assert f"class maps: {count} lie" in told and f"used {len(images)} + left out 0" in told


@pytest.mark.parametrize(
    ("images", "masks", "words"),
    [
        (["s/1", "t/1"], ["1"], "masks/1.png may belong to s/1.png or to t/1.png of images; give a folder without"),
        (["1"], ["s/1", "t/1"], "images/1.png may belong to s/1.png or to t/1.png of masks; give a folder without"),
        ([], ["1"], r"images holds no image \(.*\) whose mask is in .*masks; give the folders in which they lie\.$"),
        (["1"], [], r"images holds no image \(.*\) whose mask is in .*masks; give the folders in which they lie\.$"),
        (["1", "s/1"], ["1"], "images/s/1.png has no mask 1 in masks;"),
        (["s/1"], ["t/1"], r"images/s/1.png has no mask 1 in masks \(and 1 more are alone\)"),
    ],
)
def test_what_several_have_is_nobodys(tmp_path: Path, images: list[str], masks: list[str], words: str) -> None:
    lay(tmp_path, images=images, masks=masks)
    with pytest.raises(Problem, match=words):
        find_pairs(tmp_path, settings())


def test_masks_that_are_jpeg_are_told_to_be_exported_again(tmp_path: Path) -> None:
    lay(tmp_path, images=["1"], masks=[])
    (tmp_path / "masks/1.jpg").touch()
    with pytest.raises(Problem, match="masks that are JPEG must be exported again as PNG"):
        find_pairs(tmp_path, settings())


@settings_of_test(max_examples=60, deadline=None)
@given(PATHS, PATHS)
def test_no_file_is_in_two_pairs_and_no_exact_pair_is_lost(images: set[str], masks: set[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lay(Path(folder), images=sorted(images), masks=sorted(masks))
        try:
            found = find_pairs(Path(folder), settings(unpaired="skip"))
        except Problem:
            assert not images & masks
            return
    paths = [path for pair in found for path in pair.files]
    assert len(paths) == len(set(paths)) and {pair.name for pair in found} >= images & masks
    for pair in found:
        image, mask = (member.name.with_suffix("").as_posix() for member in (pair.image, pair.mask))
        alike = [sum(Path(name).name == Path(image).name for name in names) for names in (images, masks)]
        assert image == mask or (alike == [1, 1] and (f"/{image}".endswith(f"/{mask}") or mask.endswith(f"/{image}")))


@pytest.mark.real
def test_the_real_images_of_tnbc_beside_their_flat_instance_ids(tmp_path: Path, real_data: Path) -> None:
    (tmp_path / "images").mkdir()
    for folder in (real_data / "tnbc").glob("Slide_*"):
        (tmp_path / "images" / folder.name).symlink_to(folder)
    (tmp_path / "masks").symlink_to(real_data / "tnbc_instances")
    found = find_pairs(tmp_path, settings())
    assert len(found) == 50 and len({pair.name.partition("/")[0] for pair in found}) == 11
    assert all(pair.image.path.name == pair.mask.path.name for pair in found)
