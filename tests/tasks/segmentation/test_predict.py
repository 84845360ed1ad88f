"""Predictions are the model's, tile by tile, and the same ones each time."""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pipeline.base.errors import Problem
from pipeline.base.records import Model, Speed
from pipeline.base.study_blocks import PixelPredict
from pipeline.models import build, weights
from pipeline.stages import predict as stage
from pipeline.tasks.segmentation import predict
from pipeline.tiles.examples import Examples
from pipeline.tiles.plan import read_plan, write_plan
from tests.command_line import asked
from tests.tiny_study import CLASSES, SIZE, make_tiny_study, set_params

VARIANT = Path("models/tiny/run1/seed42/unet-plain")
MEAN, STD = [0.5, 0.4, 0.6], [0.2, 0.3, 0.25]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """A tiny study with a model that was never trained, in the current folder; returns the model."""
    make_tiny_study(tmp_path, tiles=6)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["predict", *asked("tiny", 1, 42, "unet", "plain")])
    monkeypatch.setattr(predict, "SPEED_SECONDS", 0.01)
    torch.manual_seed(1)
    model = build("unet", 6, 8, [32, 16, 8])
    (VARIANT / "weights").mkdir(parents=True)
    weights.save(model, VARIANT / "weights/model.safetensors")
    Model(
        study="tiny",
        variant="unet-plain",
        task="segmentation",
        encoder="unet",
        classes=list(CLASSES),
        tile_size=SIZE,
        microns_per_pixel=0.25,
        greyscale=False,
        target=None,
        shape={"width": 8, "decoder_channels": [32, 16, 8], "head": 1},
        weights="random",
        mean=MEAN,
        std=STD,
        licence="none: drawn tiles",
        datasets=["pannuke"],
        sample=True,
        trained_on=[],
    ).write(VARIANT / "weights/model.json")
    return model


def test_predictions_are_the_models_in_the_order_of_the_plan(study: torch.nn.Module) -> None:
    stage.main()
    plan = read_plan(Path("data/plans/tiny/run1/split.csv"))
    examples = Examples(plan[plan["split"] == "test"], SIZE)
    with h5py.File(VARIANT / "predictions/test.h5") as file:
        assert json.loads(file.attrs["classes"]) == list(CLASSES)
        class_map, probabilities = file["class_map"][:], file["probabilities"][:]
    assert class_map.shape == (6, SIZE, SIZE)
    assert class_map.dtype == np.uint8
    assert probabilities.dtype == np.float16
    for row in range(6):
        values = torch.from_numpy(examples.image(row).copy()).permute(2, 0, 1) / 255 - torch.tensor(MEAN)[:, None, None]
        with torch.no_grad():
            expected = study.eval()((values / torch.tensor(STD)[:, None, None])[None])[0].softmax(0).numpy()
        np.testing.assert_allclose(probabilities[row], expected, atol=2e-3)
        assert (class_map[row] == expected.argmax(0)).mean() > 0.999
    assert len({values.tobytes() for values in probabilities}) == 6


@pytest.mark.usefixtures("study")
def test_the_same_predictions_give_the_same_bytes_and_probabilities_can_be_left_out(tmp_path: Path) -> None:
    path = VARIANT / "predictions/test.h5"
    stage.main()
    first = path.read_bytes()
    stage.main()
    assert path.read_bytes() == first
    set_params(tmp_path, predict__probabilities=False)
    stage.main()
    with h5py.File(path) as file:
        assert list(file) == ["class_map", "crc32"]


def test_the_train_rows_are_predicted_where_they_are_asked_for(study: torch.nn.Module, tmp_path: Path) -> None:
    stage.main()
    assert not (VARIANT / "predictions/train.h5").exists()
    set_params(tmp_path, predict__splits=["train", "test"])
    stage.main()
    plan = read_plan(Path("data/plans/tiny/run1/split.csv"))
    first = torch.from_numpy(Examples(plan[plan["split"] == "train"], SIZE).image(0))[None]
    model, _ = predict.load_model(VARIANT / "weights", torch.device("cpu"))
    with h5py.File(VARIANT / "predictions/train.h5") as file, torch.inference_mode():
        assert list(file) == ["class_map", "crc32"]
        np.testing.assert_array_equal(file["class_map"][0], model(first).argmax(1)[0])


def test_speed_counts_what_was_measured(study: torch.nn.Module) -> None:
    stage.main()
    speed = Speed.read(VARIANT / "predictions/speed.json")
    assert speed.parameters == sum(value.numel() for value in study.parameters())
    assert list(speed.images_per_second) == ["1", "2"]
    assert speed.images_per_second[speed.best_batch] == max(speed.images_per_second.values()) > 0
    assert speed.images == 6


def test_flops_of_a_convolution_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "SPEED_SECONDS", 0.01)
    model = predict.Predictor(torch.nn.Conv2d(3, 4, 1, bias=False), MEAN, STD)
    images = torch.zeros(3, 8, 8, 3, dtype=torch.uint8)
    options = PixelPredict(splits=["test"], batch=1, probabilities=False, flips=False, speed_batches=[5, 2, 5])
    speed = predict.measure_speed(model, images, options, predicted=7, seconds=1.234)
    assert speed.flops_per_image == 2 * 3 * 4 * 8 * 8
    assert list(speed.images_per_second) == ["2", "5"]
    assert (speed.images, speed.seconds) == (7, 1.23)


@pytest.mark.usefixtures("study")
def test_a_model_that_is_missing_is_one_sentence() -> None:
    (VARIANT / "weights/model.json").unlink()
    with pytest.raises(Problem, match=r"model\.json is missing"):
        stage.main()


@pytest.mark.usefixtures("study")
def test_a_split_without_test_tiles_is_one_sentence() -> None:
    path = Path("data/plans/tiny/run1/split.csv")
    plan = read_plan(path)
    write_plan(plan[plan["split"] != "test"], path)
    with pytest.raises(Problem, match=r"split\.csv has no test tiles; change split in studies/tiny/params\.yaml"):
        stage.main()


@pytest.mark.usefixtures("study")
def test_weights_that_are_broken_are_one_sentence() -> None:
    (VARIANT / "weights/model.safetensors").write_bytes(b"")
    with pytest.raises(Problem, match=r"model\.safetensors holds no weights of this model"):
        stage.main()
    assert not (VARIANT / "predictions").exists()


def test_flips_average_the_eight_versions_turned_back(study: torch.nn.Module) -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (2, SIZE, SIZE, 3), np.uint8))
    plain = predict.Predictor(study.eval(), MEAN, STD)
    with torch.no_grad():
        found = predict.Flipped(plain)(images)
        versions = []
        for mirrored in (False, True):
            for turns in range(4):
                version = np.rot90(images.numpy()[:, :, ::-1] if mirrored else images.numpy(), turns, (1, 2))
                seen = plain(torch.from_numpy(version.copy())).softmax(1).numpy()
                back = np.rot90(seen, -turns, (2, 3))
                versions.append(back[..., ::-1] if mirrored else back)
    np.testing.assert_allclose(found.softmax(1), np.mean(versions, axis=0), atol=1e-5)
    assert np.ptp(versions, axis=0).max() > 1e-3


def test_flips_leave_what_a_symmetric_model_says(study: torch.nn.Module) -> None:
    model = predict.Predictor(torch.nn.Conv2d(3, 4, 1), MEAN, STD)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (2, 8, 8, 3), np.uint8))
    with torch.no_grad():
        expected, found = model(images).softmax(1), predict.Flipped(model)(images).softmax(1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.usefixtures("study")
def test_the_parameter_puts_flips_into_the_predictions(tmp_path: Path) -> None:
    stage.main()
    path = VARIANT / "predictions/test.h5"
    plain = path.read_bytes()
    set_params(tmp_path, predict__flips=True)
    stage.main()
    assert path.read_bytes() != plain
