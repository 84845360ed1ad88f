"""The front page: a row a study, encoders that studies of a task share, and numbers for DVC."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from pipeline.base.errors import Problem
from pipeline.base.study import study_names
from pipeline.stages import summary
from tests import fabricated

SCORES = {"pannuke": "mean_iou", "tnbc": "jaccard_of_images", "bcss": "accuracy_one_vs_rest"}
SCORES |= {"bracs": "dice_macro_no_background", "bach": "accuracy"}
ROWS = {  # variant, plan, headline score; the best is not the first
    "pannuke": [("resnet50", "plain", 0.3), ("resnet50", "augmented", 0.4), ("unet", "balanced", 0.45)],
    "tnbc": [("unet-bn", "augmented", 0.7), ("resnet50-random", "augmented", 0.6)],
    "bcss": [("resnet34-frozen", "plain", 0.97), ("resnet50", "plain", 0.96)],
    "bracs": [("unet", "augmented", 0.5), ("resnet50", "augmented", 0.55)],
    "bach": [("resnet50", "augmented", 0.7)],
}
BANDS = {"pannuke": (0.3, 0.44), "bach": (0.6, 0.8)}  # where other seeds land


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A project whose studies have their reports' tables."""
    monkeypatch.chdir(tmp_path)
    fabricated.make_params()
    for study, rows in ROWS.items():
        write_intervals(study, rows, SCORES[study])
    curves = {"run": 1, "seed": 42, "epoch": [1, 2], "train_loss": [1, 0.5], "validation_loss": [1, 0.7]}
    parts = [
        pd.DataFrame({"variant": "resnet50", "plan": plan} | curves | {"validation_mean_iou": [0.1, 0.2]})
        for plan in ("plain", "augmented")
    ]
    pd.concat(parts).to_csv("reports/pannuke/curves.csv", index=False)
    yield


def write_intervals(study: str, rows: list[tuple[str, str, float]], score: str) -> None:
    """intervals.csv with these figures of a score, and a baseline that is better than all."""
    found = []
    for variant, plan, value in [*rows, ("otsu" if study != "bach" else "colour", "plain", 0.99)]:
        for name in dict.fromkeys([score, "mean_iou", "dice_macro", "bpq_images"]):
            row = {"study": study, "source": "sample", "variant": variant, "plan": plan, "score": name}
            ends = {"value": value, "sd": None, "low": value - 0.1, "high": value + 0.1}
            seeds = BANDS.get(study, (None, None)) if name == score else (None, None)
            ends |= {"band_low": seeds[0], "band_high": seeds[1]}
            found.append(row | ends | {"runs": 1, "unit": "test tiles", "units": 5})
    folder = Path("reports") / study
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(found).to_csv(folder / "intervals.csv", index=False)


def page() -> str:
    fabricated.run(summary.main)
    return Path("reports/README.md").read_text(encoding="utf-8")


def metrics() -> dict:
    fabricated.run(summary.main)
    return json.loads(Path("reports/metrics.json").read_text())


def test_each_study_has_a_row_with_its_best_variant_and_the_published_figure() -> None:
    text = page()
    assert "| U-Net, balanced | mean IoU 0.450" in text and "0.482 (U-Net + ResNet50 + Aug)" in text
    assert "| Modified U-Net, augmented | Jaccard 0.700" in text
    assert "mean nothing clinically" in text and "None" not in text and "nan" not in text


def test_a_figure_outside_its_band_says_so() -> None:
    rows = {line.split(" | ")[0].strip("| "): line for line in page().splitlines() if line.startswith("| ")}
    assert (
        "0.450 [0.35,\N{NO-BREAK SPACE}0.55] (**outside its band**: with another seed 0.300 to 0.440) |"
        in rows["pannuke"]
    )
    assert [name for name in ROWS if "outside" in rows[name]] == ["pannuke"]


def test_a_study_without_a_paper_has_a_dash() -> None:
    shutil.copytree("studies/pannuke", "studies/mine")
    shutil.rmtree("studies/mine/paper")
    fabricated.change(Path("studies/mine/params.yaml"), {"compare": ["unet"]})
    write_intervals("mine", [("unet", "plain", 0.2)], "mean_iou")
    row = next(line for line in page().splitlines() if line.startswith("| mine |"))
    assert row.split("|")[4:7] == [
        " U-Net + unet, plain ",
        " mean IoU 0.200 [0.10,\N{NO-BREAK SPACE}0.30] ",
        " – ",
    ]
    assert metrics()["mine"] == {"best": 0.2, "unet-plain": 0.2}


def test_encoders_are_joined_within_a_task_alone() -> None:
    """A Mask R-CNN and a U-Net may both be called resnet50."""
    shared = summary.shared_encoders([summary.read_reported(name) for name in study_names()])
    assert list(shared) == ["segmentation"]
    cells = {
        row["model"]: {study: cell["value"] for study, cell in row["cells"].items()}
        for row in shared["segmentation"]["rows"]
    }
    assert cells == {
        "U-Net + ResNet50": {"bcss": 0.96, "bracs": 0.55, "pannuke": 0.4, "tnbc": 0.6},
        "U-Net": {"bracs": 0.5, "pannuke": 0.45},
    }
    section = page().split("## The same encoder in several studies of segmentation")[1].split("\n## ")[0]
    assert "0.700" not in section and "bach" not in section
    unet = next(line for line in section.splitlines() if line.startswith("| U-Net |"))
    assert unet.split("|")[2] == " – " and unet.count("–") == 2


def test_experiments_in_every_study_show_in_the_metrics() -> None:
    found = metrics()
    assert found["encoder"] == "resnet50"
    assert found["tnbc"] == {"best": 0.7, "unet-bn-augmented": 0.7, "resnet50-random-augmented": 0.6}
    assert found["bach"] == {"best": 0.7, "resnet50-augmented": 0.7}
    own = found["pannuke"].pop("encoder")
    assert own == {"mean_iou": 0.4, "dice_macro": 0.4, "bpq": 0.4}  # of its best plan, augmented
    assert found["pannuke"] == {
        "best": 0.45,
        "resnet50-plain": 0.3,
        "resnet50-augmented": 0.4,
        "unet-balanced": 0.45,
    }


def test_the_curves_are_those_of_the_encoder() -> None:
    fabricated.run(summary.main)
    curves = pd.read_csv("reports/curves.csv")
    assert curves["epoch"].tolist() == [1, 2]
    assert {"plain_train_loss", "augmented_validation_loss"} <= set(curves.columns)


def test_a_report_that_is_missing_is_named_with_its_stage() -> None:
    Path("reports/pannuke/intervals.csv").unlink()
    with pytest.raises(Problem, match=r"reports/pannuke/intervals\.csv is missing; run `dvc repro studies/pannuke/"):
        fabricated.run(summary.main)
