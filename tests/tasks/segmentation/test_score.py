"""Predictions are scored, what belongs to other parameters is refused, and no torch is needed."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import Problem
from pipeline.base.records import Machine, Metrics
from pipeline.metrics import pixel
from pipeline.stages import evaluate
from tests import fabricated

EVALUATION = Path("models/pannuke/evaluation/run1/seed42/unet-plain")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run 1 of the one variant of a project, predicted and not yet evaluated; the working directory is its root."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fabricated, "ENCODERS", ["unet"])
    fabricated.make_project(encoder="unet")
    return Path("models/pannuke/run1/seed42/unet-plain")


def truth() -> np.ndarray:
    examples = fabricated.tests_of()
    return np.stack([examples.class_map(i) for i in range(len(examples))])


def evaluated() -> dict:
    fabricated.evaluate_all("unet")
    return Metrics.read(EVALUATION / "metrics.json").scores


def test_scores_come_from_the_counts_of_each_image(folder: Path) -> None:
    scores = evaluated()
    table = pd.read_csv(EVALUATION / "counts.csv", keep_default_na=False)
    with h5py.File(folder / "predictions" / "predictions.h5") as file:
        predicted = file["class_map"][:]
    assert list(table.columns[:8]) == ["run", "seed", "dataset", "shard", "index", "patient", "slide", "group"]
    assert table["index"].tolist() == list(range(fabricated.TILES))
    for position, (true, guess) in enumerate(zip(truth(), predicted, strict=True)):
        assert table.loc[position, "c0_3"] == ((true == 0) & (guess == 3)).sum()
        assert table.loc[position, "c3_3"] == ((true == 3) & (guess == 3)).sum()
    counts = table[pixel.columns(6)].to_numpy().reshape(-1, 6, 6)
    again = pixel.score(counts, fabricated.CLASSES)
    assert {name: value for name, value in scores.items() if name in again and name != "per_class"} == {
        name: value for name, value in again.items() if name != "per_class"
    }
    assert 0.2 < scores["mean_iou"] < 1


def test_good_and_useless_predictions_are_told_apart(folder: Path) -> None:
    fabricated.write_predictions(folder, truth())
    assert evaluated()["mean_iou"] == 1.0
    fabricated.write_predictions(folder, np.zeros_like(truth()))
    constant = evaluated()
    assert constant["mean_iou_no_background"] == 0.0
    assert constant["dice_micro"] == constant["pixel_accuracy"] > 0.5


@pytest.mark.usefixtures("folder")
def test_nuclei_of_the_test_tiles_are_counted_by_class() -> None:
    scores = evaluated()["per_class"]
    with h5py.File("data/tiles/pannuke/fold3.h5") as file:
        codes = file["nuclei/class"][:]
    assert scores["dead"]["nuclei"] == (codes == 4).sum() == 1
    assert scores["epithelial"]["nuclei"] == (codes == 5).sum()
    assert scores["background"]["nuclei"] is None


def test_predictions_of_other_classes_are_refused(folder: Path) -> None:
    fabricated.write_predictions(folder, truth(), [*fabricated.CLASSES[:-1], "other"])
    with pytest.raises(Problem, match=r"predictions\.h5 predicts the classes .* other but the study"):
        fabricated.evaluate_all("unet")
    assert not EVALUATION.exists()


@pytest.mark.parametrize("shape", [(fabricated.TILES + 1, 32, 32), (fabricated.TILES, 64, 64)])
def test_predictions_of_another_plan_or_size_are_refused(folder: Path, shape: tuple[int, int, int]) -> None:
    fabricated.write_predictions(folder, np.zeros(shape, np.uint8))
    with pytest.raises(Problem, match=r"class maps of shape .* ask for \(5, 32, 32\)"):
        fabricated.evaluate_all("unet")


def test_broken_and_missing_predictions_are_refused(folder: Path) -> None:
    (folder / "predictions" / "predictions.h5").write_bytes(b"half a file")
    with pytest.raises(Problem, match="no readable predictions"):
        fabricated.evaluate_all("unet")


def test_a_training_leaves_its_record_and_its_curves(folder: Path) -> None:
    fabricated.evaluate_all("unet")
    record, machine = Metrics.read(EVALUATION / "metrics.json"), Machine.read(EVALUATION / "machine.json")
    assert (record.run, record.seed, record.epochs_run) == (1, 42, fabricated.EPOCHS)
    assert machine.training is not None and machine.speed is not None
    assert "seconds" not in (EVALUATION / "metrics.json").read_text()
    for name, rows in (("counts", fabricated.TILES), ("instances", fabricated.TILES), ("curves", fabricated.EPOCHS)):
        table = pd.read_csv(EVALUATION / f"{name}.csv")
        assert table[["run", "seed"]].to_numpy().tolist() == [[1, 42]] * rows
    with h5py.File(EVALUATION / "class_maps.h5") as file, h5py.File(folder / "predictions/predictions.h5") as made:
        np.testing.assert_array_equal(file["class_map"][:], made["class_map"][:])
        assert [file[f"native/{i}"].shape for i in range(fabricated.TILES)] == [(fabricated.NATIVE,) * 2] * 5


def test_instance_scores_can_be_recomputed_from_the_table_with_pandas_alone(folder: Path) -> None:
    scores = evaluated()["instances"]
    table = pd.read_csv(EVALUATION / "instances.csv")
    with_nuclei = table[table["binary_tp"] + table["binary_fn"] > 0]
    wrong = with_nuclei["binary_fp"] / 2 + with_nuclei["binary_fn"] / 2
    assert scores["bpq_images"] == pytest.approx(
        (with_nuclei["binary_sum_iou"] / (with_nuclei["binary_tp"] + wrong)).mean()
    )
    total = table.filter(like="detection_").sum()
    found, extra, missed = (total[f"detection_{name}_d"] for name in ("tp", "fp", "fn"))
    assert scores["detection"]["f1"] == pytest.approx(2 * found / (2 * found + extra + missed))
    dead = [total[f"dead_detection_{name}"] for name in ("tp_c", "fp_c", "fn_c", "fp_d", "fn_d")]
    f1 = 2 * dead[0] / (2 * dead[0] + 2 * dead[1] + 2 * dead[2] + dead[3] + dead[4])
    assert scores["per_class"]["dead"]["f1"] == pytest.approx(f1)


@pytest.mark.usefixtures("folder")
def test_a_baseline_is_predicted_when_it_is_scored_and_has_no_training() -> None:
    fabricated.run(evaluate.main, "pannuke", "1", "42", "background", "plain")
    written = EVALUATION.with_name("background-plain")
    record = Metrics.read(written / "metrics.json")
    assert record.parameters is record.weights_sha256 is record.title is None
    assert record.scores["instances"]["bpq_images"] == 0.0
    assert record.scores["instances"]["detection"]["precision"] is None
    assert Machine.read(written / "machine.json") == Machine(training=None, speed=None)
    assert not (written / "curves.csv").exists()
    assert not Path("models/pannuke/run1/seed42/background-plain").exists()


@pytest.mark.usefixtures("folder")
def test_evaluate_imports_no_torch_and_for_components_no_skimage() -> None:
    path = Path("studies/pannuke/params.yaml")
    assert "method: watershed" in path.read_text()
    path.write_text(path.read_text().replace("method: watershed", "method: components"))
    program = (
        "import sys\nfrom pipeline.stages import evaluate\nevaluate.main()\n"
        "print({'torch', 'lightning', 'skimage', 'mlflow'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, "pannuke", "1", "42", "unet", "plain"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(fabricated.ROOT)},
    )
    assert result.stdout.strip() == "set()", result.stderr
