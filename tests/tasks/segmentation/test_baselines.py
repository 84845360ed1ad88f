"""The rows that a model must beat predict what they say."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline import tasks
from pipeline.base.paths import plan_folder
from pipeline.base.study import PixelStudy, read_study, variant
from pipeline.metrics import pixel
from pipeline.tasks.segmentation import baselines
from pipeline.tiles.examples import Examples
from pipeline.tiles.plan import read_plan
from tests import fabricated


@pytest.fixture
def truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A project with tiles and plans; the class maps of its test tiles."""
    monkeypatch.chdir(tmp_path)
    fabricated.make_params()
    fabricated.make_tiles("sample")
    plan = read_plan(plan_folder("pannuke", 1) / "split.csv")
    examples = Examples(plan[plan["split"] == "test"], fabricated.SIZE)
    return np.stack([examples.class_map(i) for i in range(len(examples))])


def study() -> PixelStudy:
    found = read_study("pannuke")
    assert isinstance(found, PixelStudy)
    return found


def predicted(name: str, path: Path = Path("predictions.h5")) -> tuple[np.ndarray, np.ndarray]:
    encoder, settings = variant(study(), name)
    job = tasks.Job("pannuke", 1, 42, name, "plain", encoder, settings)
    baselines.predict(job, study(), "test", path)
    with h5py.File(path) as file:
        assert json.loads(file.attrs["classes"]) == fabricated.CLASSES
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
    counts = pixel.confusion(truth > 0, class_map > 0, 2)
    assert pixel.iou(counts)[1] > 0.5  # of the drawn nuclei, whatever their class; the palest are missed


def test_without_a_background_the_commonest_class_is_everywhere(truth: np.ndarray) -> None:
    without = study().model_copy(update={"ignore": ["background"]})
    plan = read_plan(plan_folder("pannuke", 1) / "split.csv")
    training = plan[plan["split"] == "train"]
    examples = Examples(training, fabricated.SIZE)
    pixels = np.bincount(np.stack([examples.class_map(i) for i in range(len(examples))]).ravel(), minlength=6)
    assert baselines.commonest_class(training, study()) == 0
    assert baselines.commonest_class(training, without) == 1 + pixels[1:6].argmax()


def test_a_tile_of_one_colour_holds_no_nucleus() -> None:
    assert not baselines.dark_in_haematoxylin(np.full((16, 16, 3), 200, np.uint8)).any()


def test_the_same_predictions_give_the_same_bytes(truth: np.ndarray) -> None:
    predicted("otsu", Path("first.h5"))
    predicted("otsu", Path("second.h5"))
    assert Path("first.h5").read_bytes() == Path("second.h5").read_bytes()
