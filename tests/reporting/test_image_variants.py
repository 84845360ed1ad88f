from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import Problem
from pipeline.base.parquet import write_rows
from pipeline.base.paths import evaluation_folder
from pipeline.base.records import Machine, Metrics
from pipeline.base.study import Study, read_study
from pipeline.metrics import average_precision
from pipeline.metrics.votes import RIGHT, Found, Side, table
from pipeline.reporting.image_variants import Variant, against_best, load

ROOT = Path(__file__).parents[2]
NAMES = {"resnet50": "Mask R-CNN ResNet50"}
CLASSES = ["normal", "benign", "in_situ", "invasive"]
TRUTH = [0, 0, 1, 1, 2, 2, 3, 3]
GOOD = [0, 0, 1, 1, 2, 2, 3, 0]
BAD = [0, 1, 0, 0, 2, 3, 0, 0]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study of two seeds; its evaluations go into the working directory."""
    monkeypatch.chdir(tmp_path)
    return read_study("bach", ROOT).model_copy(update={"seeds": [1, 2]})


def write(name: str, plan: str, seed: int, called: list[int], detects: bool = True, run: int = 1) -> None:
    """An evaluation whose test images, of four patients, were called so; each has one nucleus, found where right."""
    folder = evaluation_folder("bach", run, seed, name, plan)
    folder.mkdir(parents=True)
    truth, votes, nuclei = np.array(TRUTH), 0.1 * np.eye(4)[called], np.eye(4)[TRUTH]
    named = {"dataset": "bach", "shard": "s", "index": np.arange(8), "slide": ""}
    named["patient"] = [f"p{number // 2}" if number < 6 else "" for number in range(8)]
    found = table(truth, votes, nuclei, np.full(8, int(detects)), CLASSES)
    rows = pd.concat([pd.DataFrame(named), found], axis=1)
    write_rows(folder / "votes.parquet", rows.assign(split="test", run=run, seed=seed))
    right = np.array(called) == TRUTH
    detections = pd.DataFrame({"image": np.arange(8), "label": called, "score": np.linspace(0.9, 0.2, 8)})
    detections = detections.assign(**dict.fromkeys(RIGHT, right.astype(int)))
    side = Side(truth, votes, CLASSES, Found.of(detections, nuclei) if detects else None)
    scores = {key: float(values[0]) for key, values in side.scores().items()}
    metrics = dict.fromkeys(Metrics.model_fields) | {
        "variant": name,
        "plan": plan,
        "run": run,
        "seed": seed,
        "format": 1,
    }
    metrics["scores"] = {"test": {"images": 8, "confusion": side.confusion(), "scores": scores}}
    Metrics(**metrics).write(folder / "metrics.json")
    Machine(training=None, speed=None).write(folder / "machine.json")
    if detects:
        write_rows(folder / "detections.parquet", detections.assign(split="test"))
        curves = {"run": [run], "seed": [seed], "epoch": [1], "train_loss": [0.5], "validation_loss": [np.nan]}
        pd.DataFrame(curves).to_csv(folder / "curves.csv", index=False)


def write_all() -> None:
    write("resnet50", "augmented", 1, GOOD)
    write("resnet50", "augmented", 2, BAD)
    for name in ("constant", "colour"):
        write(name, "plain", 1, [0] * 8, detects=False)


def loaded(study: Study) -> list[Variant]:
    return load(study, "resnet50", NAMES, seed=42)


def test_a_figure_is_over_all_seeds_and_a_baselines_over_the_first(study: Study) -> None:
    write_all()
    detector, constant, colour = loaded(study)
    assert (detector.model, constant.model, colour.model) == (
        "Mask R-CNN ResNet50",
        "always the commonest class",
        "mean colour alone",
    )
    assert len(detector.trainings) == 2 and len(constant.trainings) == 1
    accuracy = detector.figures["test"]["accuracy"]
    assert accuracy.value == pytest.approx((7 / 8 + 2 / 8) / 2)
    assert accuracy.sd == pytest.approx((7 / 8 - 2 / 8) / np.sqrt(2))
    assert accuracy.units == 5  # three patients, and two images of unknown ones
    assert accuracy.low < accuracy.value < accuracy.high
    assert constant.figures["test"]["accuracy"].sd is None
    assert "ap50" in detector.figures["test"] and "ap50" not in constant.figures["test"]
    assert detector.figures["train"] == {}
    assert detector.curves[["run", "seed"]].to_numpy().tolist() == [[1, 1], [1, 2]]


def test_an_image_counts_once_whatever_the_number_of_trainings(study: Study) -> None:
    write_all()
    detector = loaded(study)[0]
    assert len(detector.held_out) == 8
    assert detector.held_out["nuclei"].sum() == 8
    assert detector.confusion("test").sum() == 16


def test_the_scores_of_a_report_are_those_that_were_measured(study: Study) -> None:
    write_all()
    one = load(study.model_copy(update={"seeds": [1]}), "resnet50", NAMES, seed=42)[0]
    measured = one.trainings[0].scores["test"]["scores"]
    for name, figure in one.figures["test"].items():
        assert figure.value == measured[name], name
    assert len(average_precision.THRESHOLDS) == len(RIGHT)


def test_rows_are_tested_against_the_best_on_the_same_images(study: Study) -> None:
    write_all()
    variants = loaded(study)
    tests = against_best(variants, variants[0], CLASSES, seed=42)
    assert [variant.name for variant, _ in tests] == ["constant", "colour"]
    for variant, test in tests:
        difference = variant.figures["test"]["accuracy"].value - variants[0].figures["test"]["accuracy"].value
        assert test.difference.value == pytest.approx(difference)
        assert test.difference.units == 5


def test_a_study_of_several_plans_names_them(study: Study) -> None:
    write_all()
    for seed in (1, 2):
        write("resnet50", "plain", seed, BAD)
    several = study.model_copy(update={"plans": ["plain", "augmented"]})
    assert [variant.model for variant in loaded(several)[:2]] == [
        "Mask R-CNN ResNet50, plain",
        "Mask R-CNN ResNet50, augmented",
    ]


def test_what_was_not_evaluated_is_asked_for(study: Study) -> None:
    write("resnet50", "augmented", 1, GOOD)
    (evaluation_folder("bach", 1, 1, "resnet50", "augmented") / "votes.parquet").unlink()
    with pytest.raises(Problem, match=r"votes\.parquet is missing; run `dvc repro`"):
        loaded(study)
