"""The evaluate stage: its scores, what it refuses, and that it needs no torch."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import pandas as pd
import pytest

from pipeline.base import tracking
from pipeline.base.errors import Problem
from pipeline.metrics import pixel
from pipeline.stages import evaluate
from pipeline.tiles.examples import Examples
from pipeline.tiles.plan import plan_folder, read_plan
from tests import fabricated

EVALUATION = Path("models/pannuke/evaluation/unet-plain")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run 1 of the one variant of a project, predicted and not yet evaluated; the working directory is its root."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fabricated, "ENCODERS", ["unet"])
    fabricated.make_project(encoder="unet")
    return Path("models/pannuke/run1/seed42/unet-plain")


def truth() -> np.ndarray:
    plan = read_plan(plan_folder("pannuke", 1, 42) / "split.csv")
    examples = Examples(plan[plan["split"] == "test"], fabricated.SIZE)
    return np.stack([examples.class_map(i) for i in range(len(examples))])


def evaluated() -> dict:
    fabricated.evaluate_all("unet")
    return json.loads((EVALUATION / "metrics.json").read_text())["runs"][0]["scores"]


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
    with pytest.raises(Problem, match=r"predictions\.h5 predicts the classes .* other but params\.yaml"):
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


@pytest.mark.usefixtures("folder")
def test_scores_speed_and_a_picture_go_to_mlflow() -> None:
    opened = mock.MagicMock()
    with mock.patch.object(tracking, "variant_run", opened):
        fabricated.run(evaluate.main, "pannuke", "unet", "plain")
    assert opened.call_args.args == ("pannuke", "unet-random-plain", "pannuke/run1/seed42/unet-plain")
    assert opened.call_args.kwargs == {"weights_sha256": "unet-plain"}
    run = opened.return_value.__enter__.return_value
    scores, speed = (call.args[0] for call in run.metrics.call_args_list)
    assert scores["per_class"]["neoplastic"]["f1"] > 0
    assert scores["instances"]["per_class"]["neoplastic"]["f1"] > 0
    assert speed["images_per_second"] == {"1": 10.0, "16": 25.0}
    assert run.artifact.call_args.args[1] == "pictures"


def test_every_run_is_a_row_and_a_map(folder: Path) -> None:
    for parent in ("models", "data/plans"):
        shutil.copytree(f"{parent}/pannuke/run1", f"{parent}/pannuke/run3")
    fabricated.write_predictions(Path("models/pannuke/run3/seed42/unet-plain"), truth())
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("third: 1", "third: 3"))
    fabricated.evaluate_all("unet")
    first, second = json.loads((EVALUATION / "metrics.json").read_text())["runs"]
    assert [(run["run"], run["seed"], run["epochs_run"]) for run in (first, second)] == [(1, 42, 4), (3, 42, 4)]
    assert second["scores"]["mean_iou"] == 1.0 > first["scores"]["mean_iou"]
    assert second["scores"]["instances"]["bpq_images"] > first["scores"]["instances"]["bpq_images"]
    for name, rows in (("counts", fabricated.TILES), ("instances", fabricated.TILES), ("curves", fabricated.EPOCHS)):
        assert pd.read_csv(EVALUATION / f"{name}.csv")["run"].tolist() == [1] * rows + [3] * rows
    with h5py.File(EVALUATION / "class_maps.h5") as file:
        assert list(file) == ["run1-seed42", "run3-seed42"]
        np.testing.assert_array_equal(file["run3-seed42"][:], truth())
    machine = json.loads((EVALUATION / "machine.json").read_text())
    assert [entry["run"] for entry in machine] == [1, 3]
    assert machine[0]["training"]["seconds"] == 12.3
    assert "seconds" not in (EVALUATION / "metrics.json").read_text()


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


def test_a_baseline_has_scores_and_no_training(folder: Path) -> None:
    fabricated.write_predictions(Path("models/pannuke/run1/seed42/background-plain"), np.zeros_like(truth()))
    with mock.patch.object(tracking, "variant_run") as opened:
        fabricated.run(evaluate.main, "pannuke", "background", "plain")
    assert not opened.called
    written = Path("models/pannuke/evaluation/background-plain")
    record = json.loads((written / "metrics.json").read_text())
    assert record["parameters"] is record["runs"][0]["weights_sha256"] is None
    assert record["runs"][0]["scores"]["instances"]["bpq_images"] == 0.0
    assert record["runs"][0]["scores"]["instances"]["detection"]["precision"] is None
    assert json.loads((written / "machine.json").read_text()) == [
        {"run": 1, "seed": 42, "training": None, "speed": None}
    ]
    assert not (written / "curves.csv").exists()


@pytest.mark.usefixtures("folder")
def test_evaluate_imports_no_torch_and_for_components_no_skimage() -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("method: watershed", "method: components"))
    program = (
        "import sys\nfrom pipeline.stages import evaluate\nevaluate.track = lambda *_: None\nevaluate.main()\n"
        "print({'torch', 'lightning', 'skimage'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, "pannuke", "unet", "plain"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(fabricated.ROOT)},
    )
    assert result.stdout.strip() == "set()", result.stderr
