"""The evaluate stage: its scores, what it refuses, and that it needs no torch."""

import json
import subprocess
import sys
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import pandas as pd
import pytest

from pipeline import evaluate, tracking
from pipeline.errors import Problem
from pipeline.examples import Examples
from pipeline.metrics import pixel
from pipeline.plan import plan_folder, read_plan
from tests import fabricated


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one variant that has predictions and no evaluation; the working directory is its root."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fabricated, "ENCODERS", ["unet"])
    fabricated.make_project(encoder="unet")
    return Path("models/pannuke/run1/seed42/unet-plain")


def truth() -> np.ndarray:
    plan = read_plan(plan_folder("pannuke", 1, 42) / "split.csv")
    examples = Examples(plan[plan["split"] == "test"], fabricated.SIZE)
    return np.stack([examples.class_map(i) for i in range(len(examples))])


def evaluated(folder: Path) -> dict:
    fabricated.evaluate_all("unet")
    return json.loads((folder / "evaluation" / "metrics.json").read_text())


def test_scores_come_from_the_counts_of_each_image(folder: Path) -> None:
    scores = evaluated(folder)
    table = pd.read_csv(folder / "evaluation" / "counts.csv", keep_default_na=False)
    with h5py.File(folder / "predictions" / "predictions.h5") as file:
        predicted = file["class_map"][:]
    assert list(table.columns[:5]) == ["dataset", "shard", "index", "patient", "slide"]
    assert table["index"].tolist() == list(range(fabricated.TILES))
    for position, (true, guess) in enumerate(zip(truth(), predicted, strict=True)):
        assert table.loc[position, "c0_3"] == ((true == 0) & (guess == 3)).sum()
        assert table.loc[position, "c3_3"] == ((true == 3) & (guess == 3)).sum()
    counts = table[pixel.columns(6)].to_numpy().reshape(-1, 6, 6)
    again = pixel.score(counts, fabricated.CLASSES)
    assert {name: value for name, value in scores.items() if name != "per_class"} == {
        name: value for name, value in again.items() if name != "per_class"
    }
    assert 0.2 < scores["mean_iou"] < 1


def test_good_and_useless_predictions_are_told_apart(folder: Path) -> None:
    fabricated.write_predictions(folder, truth())
    assert evaluated(folder)["mean_iou"] == 1.0
    fabricated.write_predictions(folder, np.zeros_like(truth()))
    constant = evaluated(folder)
    assert constant["mean_iou_no_background"] == 0.0
    assert constant["dice_micro"] == constant["pixel_accuracy"] > 0.5


def test_nuclei_of_the_test_tiles_are_counted_by_class(folder: Path) -> None:
    scores = evaluated(folder)["per_class"]
    with h5py.File("data/tiles/pannuke/fold3.h5") as file:
        codes = file["nuclei/class"][:]
    assert scores["dead"]["nuclei"] == (codes == 4).sum() == 1
    assert scores["epithelial"]["nuclei"] == (codes == 5).sum()
    assert scores["background"]["nuclei"] is None


def test_predictions_of_other_classes_are_refused(folder: Path) -> None:
    fabricated.write_predictions(folder, truth(), [*fabricated.CLASSES[:-1], "other"])
    with pytest.raises(Problem, match=r"predictions\.h5 predicts the classes .* other but params\.yaml"):
        fabricated.evaluate_all("unet")
    assert not (folder / "evaluation").exists()


@pytest.mark.parametrize("shape", [(fabricated.TILES + 1, 32, 32), (fabricated.TILES, 64, 64)])
def test_predictions_of_another_plan_or_size_are_refused(folder: Path, shape: tuple[int, int, int]) -> None:
    fabricated.write_predictions(folder, np.zeros(shape, np.uint8))
    with pytest.raises(Problem, match=r"class maps of shape .* ask for \(5, 32, 32\)"):
        fabricated.evaluate_all("unet")


def test_broken_and_missing_predictions_are_refused(folder: Path) -> None:
    (folder / "predictions" / "predictions.h5").write_bytes(b"half a file")
    with pytest.raises(Problem, match="no readable predictions"):
        fabricated.evaluate_all("unet")


def test_scores_speed_and_a_picture_go_to_mlflow(folder: Path) -> None:
    opened = mock.MagicMock()
    with mock.patch.object(tracking, "variant_run", opened):
        fabricated.run(evaluate.main, "pannuke", "unet", "plain")
    assert opened.call_args.args == ("pannuke", "unet-random-plain", "pannuke/run1/seed42/unet-plain")
    assert opened.call_args.kwargs == {"weights_sha256": "unet-plain"}
    run = opened.return_value.__enter__.return_value
    scores, speed = (call.args[0] for call in run.metrics.call_args_list)
    assert scores["per_class"]["neoplastic"]["f1"] > 0
    assert speed["images_per_second"] == {"1": 10.0, "16": 25.0}
    assert run.artifact.call_args.args[1] == "pictures"


def test_evaluate_imports_no_torch() -> None:
    program = "import sys, pipeline.evaluate; print('torch' in sys.modules or 'lightning' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=fabricated.ROOT)
    assert result.stdout.strip() == "False", result.stderr
