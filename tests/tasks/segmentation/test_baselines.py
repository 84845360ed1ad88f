"""The rows that a model must beat predict what they say."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.base.study import PixelStudy
from pipeline.plans.job import Job
from pipeline.tasks.segmentation import baselines
from tests.predicted import truth_of
from tests.tiny_study import CLASSES, job_of, make_tiny_study, set_params

NAMES = ["background", "otsu", "commonest"]


@pytest.fixture
def truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A project with tiles and plans; the class maps of its test tiles."""
    monkeypatch.chdir(tmp_path)
    make_tiny_study(tmp_path, baselines=NAMES)
    return truth_of(job_of("otsu"))


def study_of(job: Job) -> PixelStudy:
    assert isinstance(job.settings, PixelStudy)
    return job.settings


def predicted(name: str, side: str = "test") -> tuple[np.ndarray, np.ndarray]:
    job = job_of(name)
    assert job.is_baseline
    baselines.predict(job, study_of(job), side, Path("found.h5"))
    with h5py.File("found.h5") as file:
        assert tuple(json.loads(file.attrs["classes"])) == CLASSES
        assert file["probabilities"].dtype == np.float16
        return file["class_map"][:], file["probabilities"][:]


def test_background_is_everywhere(truth: np.ndarray) -> None:
    class_map, probabilities = predicted("background")
    assert class_map.shape == truth.shape
    assert not class_map.any()
    assert (probabilities[:, 0] == 1).all() and not probabilities[:, 1:].any()


def test_otsu_finds_nuclei_and_gives_all_the_commonest_class(truth: np.ndarray) -> None:
    class_map, probabilities = predicted("otsu")
    np.testing.assert_array_equal(probabilities.argmax(axis=1), class_map)
    with h5py.File("data/tiles/pannuke/fold1.h5") as file:  # the shard that trains
        commonest = np.bincount(file["nuclei/class"][:]).argmax()
    assert set(np.unique(class_map)) == {0, commonest}
    found = class_map > 0  # of three colours Otsu's threshold parts the darkest from the others
    assert found[truth == 2].mean() > 0.95
    assert found[truth == 0].mean() < 0.02


def test_dark_nuclei_on_a_pale_ground_are_found_to_the_pixel() -> None:
    image = np.full((16, 16, 3), (230, 180, 210), np.uint8)
    image[4:9, 3:12] = (60, 30, 90)
    expected = np.zeros((16, 16), bool)
    expected[4:9, 3:12] = True
    np.testing.assert_array_equal(baselines.dark_in_haematoxylin(image), expected)


def test_without_a_background_the_commonest_class_is_everywhere(truth: np.ndarray) -> None:
    job = job_of("commonest")
    pixels = np.bincount(truth_of(job, "train").ravel(), minlength=256)[:6]
    assert baselines.commonest_class(job.rows("train"), study_of(job)) == pixels.argmax()
    set_params(Path(), baselines=NAMES, ignore=["background"])
    job = job_of("commonest")
    assert baselines.commonest_class(job.rows("train"), study_of(job)) == 1 + pixels[1:].argmax()
    renamed = study_of(job).model_copy(update={"classes": ["tissue", *CLASSES[1:]], "ignore": ["tissue"]})
    baselines.predict(job, renamed, "test", Path("found.h5"))
    with h5py.File("found.h5") as file:
        assert set(np.unique(file["class_map"][:])) == {1 + pixels[1:].argmax()}


@pytest.mark.usefixtures("truth")
def test_the_side_that_is_asked_for_is_predicted_and_probabilities_where_they_are() -> None:
    assert (predicted("otsu", "train")[0] != predicted("otsu")[0]).any()
    set_params(Path(), baselines=NAMES, predict__probabilities=False)
    job = job_of("otsu")
    baselines.predict(job, study_of(job), "test", Path("found.h5"))
    with h5py.File("found.h5") as file:
        assert list(file) == ["class_map"]


def test_a_tile_of_one_colour_holds_no_nucleus() -> None:
    assert not baselines.dark_in_haematoxylin(np.full((16, 16, 3), 200, np.uint8)).any()


@pytest.mark.usefixtures("truth")
def test_the_same_predictions_give_the_same_bytes() -> None:
    predicted("otsu")
    first = Path("found.h5").read_bytes()
    predicted("otsu")
    assert Path("found.h5").read_bytes() == first
