"""Scores come from the counts of each image, and predictions of something else are refused."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import Problem
from pipeline.base.parquet import read_rows
from pipeline.base.records import Machine, Metrics
from pipeline.metrics import curve, pixel
from pipeline.plans.job import Job
from pipeline.stages import evaluate
from pipeline.tasks.segmentation.score import count_pixels, groups, measure_target
from pipeline.tiles.examples import Examples
from pipeline.tiles.store import IGNORE, ShardInfo, Tile
from pipeline.tiles.writer import ShardWriter
from tests.command_line import asked
from tests.predicted import truth_of, write_epochs, write_predicted
from tests.tiles.test_plan import make_plan
from tests.tiny_study import CLASSES, SIZE, job_of, make_tiny_study, set_params
from tests.trained import MACHINE

TILES = 5


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """The tiny study's U-Net, trained, in the working directory; half of what it predicts is right."""
    monkeypatch.chdir(tmp_path)
    make_tiny_study(tmp_path, TILES, compare=["unet"])
    job = job_of("unet")
    write_epochs(job)
    truth = truth_of(job)
    write_predicted(job, np.where(np.indices(truth.shape)[1] < 16, truth, 3) % IGNORE)
    return job


def evaluated(monkeypatch: pytest.MonkeyPatch, job: Job) -> Metrics:
    monkeypatch.setattr(sys, "argv", ["evaluate", *asked(job.study, job.run, job.seed, job.variant, job.plan)])
    evaluate.main()
    return Metrics.read(job.evaluation / "metrics.json")


def test_scores_come_from_the_counts_of_each_image(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = evaluated(monkeypatch, job).scores
    table = read_rows(job.evaluation / "counts.parquet")
    with h5py.File(job.folder / "predictions/test.h5") as file:
        predicted = file["class_map"][:]
    assert list(table.columns[:8]) == ["run", "seed", "dataset", "shard", "index", "patient", "slide", "group"]
    assert table["index"].tolist() == list(range(TILES))
    assert set(zip(table["run"], table["seed"], table["group"], strict=True)) == {(1, 42, "Breast")}
    for position, (true, guess) in enumerate(zip(truth_of(job), predicted, strict=True)):
        assert table.loc[position, "c0_3"] == ((true == 0) & (guess == 3)).sum()
        assert table.loc[position, "c2_2"] == ((true == 2) & (guess == 2)).sum()
    counts = table[pixel.columns(6)].to_numpy().reshape(-1, 6, 6)
    again = pixel.score(counts, list(CLASSES))
    assert {name: value for name, value in scores.items() if name in again and name != "per_class"} == {
        name: value for name, value in again.items() if name != "per_class"
    }
    assert 0.2 < scores["mean_iou"] < 1


def test_good_and_useless_predictions_are_told_apart(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    write_predicted(job, truth_of(job) % IGNORE)
    assert evaluated(monkeypatch, job).scores["mean_iou"] == 1.0
    write_predicted(job, np.zeros((TILES, SIZE, SIZE), np.uint8))
    constant = evaluated(monkeypatch, job).scores
    assert constant["mean_iou_no_background"] == 0.0
    share = (truth_of(job) == 0).sum() / (truth_of(job) != IGNORE).sum()
    assert constant["dice_micro"] == constant["pixel_accuracy"] == pytest.approx(share)


def test_nuclei_of_the_test_tiles_are_counted_by_class(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = evaluated(monkeypatch, job).scores["per_class"]
    with h5py.File("data/tiles/pannuke/fold3.h5") as file:
        codes = file["nuclei/class"][:]
    assert scores["neoplastic"]["nuclei"] == (codes == 1).sum() > 0
    assert scores["inflammatory"]["nuclei"] == (codes == 2).sum()
    assert scores["dead"]["nuclei"] == 0
    assert scores["background"]["nuclei"] is None


def test_predictions_of_other_classes_are_refused(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    write_predicted(job, truth_of(job), [*CLASSES[:-1], "other"])
    with pytest.raises(Problem, match=r"test\.h5 predicts the classes .* other but the study names"):
        evaluated(monkeypatch, job)
    assert not job.evaluation.exists()


@pytest.mark.parametrize("shape", [(TILES + 1, 32, 32), (TILES, 64, 64)])
def test_predictions_of_another_plan_or_size_are_refused(
    job: Job, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int]
) -> None:
    write_predicted(job, np.zeros(shape, np.uint8))
    with pytest.raises(Problem, match=r"class maps of shape .* ask for \(5, 32, 32\)"):
        evaluated(monkeypatch, job)


def test_broken_and_missing_predictions_are_refused(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    path = job.folder / "predictions/test.h5"
    path.write_bytes(b"half a file")
    with pytest.raises(Problem, match=r"test\.h5 is damaged"):
        evaluated(monkeypatch, job)
    path.unlink()
    with pytest.raises(Problem, match=r"test\.h5 is missing"):
        evaluated(monkeypatch, job)
    write_predicted(job, truth_of(job))
    (job.folder / "training/training.json").unlink()
    with pytest.raises(Problem, match=r"training\.json is missing"):
        evaluated(monkeypatch, job)


def test_training_and_speed_stand_beside_the_scores_and_the_machine_in_a_file_of_its_own(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = evaluated(monkeypatch, job)
    assert (found.variant, found.plan, found.run, found.seed, found.title) == (
        "unet",
        "plain",
        1,
        42,
        "unet-random-plain",
    )
    assert (found.parameters, found.trainable_parameters, found.flops_per_image) == (5, 4, 7)
    assert (found.epochs_run, found.best_epoch, found.weights_sha256) == (4, 3, "c" * 64)
    machine = Machine.read(job.evaluation / "machine.json")
    assert machine.training == MACHINE
    assert machine.speed is not None and machine.speed.images_per_second == {"1": 10.0, "16": 25.0}
    assert "seconds" not in (job.evaluation / "metrics.json").read_text()
    curves = pd.read_csv(job.evaluation / "curves.csv")
    assert curves.columns[:3].tolist() == ["run", "seed", "epoch"]
    assert len(curves) == 4 and set(curves["seed"]) == {42}


def test_every_run_and_seed_has_a_folder_of_its_own(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated(monkeypatch, job)
    first = {path.name: path.read_bytes() for path in job.evaluation.iterdir()}
    other = job_of("unet", seed=43)
    write_epochs(other)
    write_predicted(other, truth_of(other) % IGNORE)
    found = evaluated(monkeypatch, other)
    assert (found.seed, found.scores["mean_iou"]) == (43, 1.0)
    assert set(read_rows(other.evaluation / "instances.parquet")["seed"]) == {43}
    assert {path.name: path.read_bytes() for path in job.evaluation.iterdir()} == first


def test_reports_get_the_class_maps_at_the_studys_and_at_native_size(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    set_params(Path(), compare=["unet"], tile_size=64)
    job = job_of("unet")
    predicted = truth_of(job) % IGNORE
    write_predicted(job, predicted)
    evaluated(monkeypatch, job)
    with h5py.File(job.evaluation / "class_maps.h5") as file:
        assert sorted(file) == ["class_map", "native"]
        np.testing.assert_array_equal(file["class_map"][:], predicted)
        natives = [file[f"native/{position}"][:] for position in range(TILES)]
    expected = np.where(predicted[:, ::2, ::2] == IGNORE, 0, predicted[:, ::2, ::2])
    np.testing.assert_array_equal(natives, expected)
    set_params(Path(), compare=["unet"], tile_size=64, instances="none")
    found = evaluated(monkeypatch, job_of("unet"))
    assert "instances" not in found.scores
    assert not (job.evaluation / "instances.parquet").exists()
    with h5py.File(job.evaluation / "class_maps.h5") as file:
        assert list(file) == ["class_map"]


def test_the_train_tiles_are_counted_where_they_are_predicted(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated(monkeypatch, job)
    assert not (job.evaluation / "train.parquet").exists()
    set_params(Path(), compare=["unet"], predict__splits=["train", "test"])
    job = job_of("unet")
    write_predicted(job, truth_of(job, "train") % IGNORE, name="train")
    evaluated(monkeypatch, job)
    table = read_rows(job.evaluation / "train.parquet")
    assert set(table["shard"]) == {"fold1"}
    counts = table[pixel.columns(6)].to_numpy().reshape(-1, 6, 6)
    assert counts.trace(axis1=1, axis2=2).sum() == counts.sum() > 0
    assert set(read_rows(job.evaluation / "counts.parquet")["shard"]) == {"fold3"}


def test_instance_scores_can_be_recomputed_from_the_table_with_pandas_alone(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = evaluated(monkeypatch, job).scores["instances"]
    table = read_rows(job.evaluation / "instances.parquet")
    with_nuclei = table[table["binary_tp"] + table["binary_fn"] > 0]
    wrong = with_nuclei["binary_fp"] / 2 + with_nuclei["binary_fn"] / 2
    assert scores["bpq_images"] == pytest.approx(
        (with_nuclei["binary_sum_iou"] / (with_nuclei["binary_tp"] + wrong)).mean()
    )
    total = table.filter(like="detection_").sum()
    found, extra, missed = (total[f"detection_{name}_d"] for name in ("tp", "fp", "fn"))
    assert found > 0
    assert scores["detection"]["f1"] == pytest.approx(2 * found / (2 * found + extra + missed))
    one = [total[f"neoplastic_detection_{name}"] for name in ("tp_c", "fp_c", "fn_c", "fp_d", "fn_d")]
    f1 = 2 * one[0] / (2 * one[0] + 2 * one[1] + 2 * one[2] + one[3] + one[4])
    assert scores["per_class"]["neoplastic"]["f1"] == pytest.approx(f1)


def test_a_baseline_has_scores_and_no_training(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    baseline = job_of("background")
    found = evaluated(monkeypatch, baseline)
    assert found.parameters is found.weights_sha256 is found.title is None
    assert found.scores["instances"]["bpq_images"] == 0.0
    assert found.scores["instances"]["detection"]["precision"] is None
    assert Machine.read(baseline.evaluation / "machine.json") == Machine(training=None, speed=None)
    assert not (baseline.evaluation / "curves.csv").exists()
    assert not baseline.folder.exists()


def test_the_same_predictions_give_the_same_tables(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for _ in range(2):
        evaluated(monkeypatch, job)
        found.append({path.name: path.read_bytes() for path in job.evaluation.iterdir() if path.suffix != ".h5"})
    assert found[0] == found[1] and len(found[0]) == 5


def test_a_target_has_histograms_of_each_image_and_heat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    info = ShardInfo("pannuke", ("background", "N", "UDH"), 0.25, 40, "sample", "0" * 64, "none: drawn", "", "")
    bits = np.zeros((32, 32), np.uint8)
    bits[:16] = 2
    blank = np.zeros((32, 32), np.uint8)
    with ShardWriter(Path("data/tiles/pannuke/fold1.h5"), 1, 32, info, bits=True) as writer:
        writer.add(Tile(np.zeros((32, 32, 3), np.uint8), blank, blank.astype(np.int32), {}, 0, group="g", bits=bits))
    examples = Examples(make_plan(1, split="test"), 32, target="UDH")
    with h5py.File("predictions.h5", "w") as file:
        probability = np.full((1, 2, 32, 32), 0.25, np.float16)
        probability[0, 1, :16, :16] = 0.75
        file["probabilities"] = probability
    histograms, heat = measure_target(examples, Path("predictions.h5"))
    assert histograms.shape == (1, 2, curve.STEPS)
    assert histograms[0].sum(axis=1).tolist() == [512, 512]
    assert sorted(histograms[0, 1][histograms[0, 1] > 0].tolist()) == [256, 256]
    assert heat.shape == (1, 8, 8)
    assert set(heat[0, :4, :4].ravel()) == {75} and set(heat[0, 4:].ravel()) == {25}
    assert groups(examples.plan) == ["g"]


def test_pixels_to_ignore_count_in_no_table(job: Job) -> None:
    tests = Examples.of(job.rows("test"), job.settings)
    counts = count_pixels(job.settings, tests, job.folder / "predictions/test.h5")  # type: ignore[arg-type]
    assert counts.sum(axis=(1, 2)).tolist() == [SIZE**2 - 16] * TILES
