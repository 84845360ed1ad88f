"""The report of study bracs: a target, its train side, average precision, a classifier of tiles, a slide's heat map."""

import json
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.base.paths import plan_folder, variant_folder
from pipeline.base.records import Leaks
from pipeline.metrics import curve
from pipeline.reporting import scoring
from pipeline.stages import evaluate
from pipeline.tiles.examples import Examples
from pipeline.tiles.plan import COLUMNS, read_plan, write_plan
from pipeline.tiles.store import Shard
from tests import fabricated
from tests.command_line import asked
from tests.datasets.bracs.test_reader import run as convert_slides
from tests.datasets.bracs.test_reader import write as write_slide

SIDES = {1: "train", 2: "validation", 3: "test", 4: "test"}  # of the slides, each of another patient
VARIANTS = {"unet": 0.1, "resnet50": 0.3, "unet-paper": 1.0, "unet-densenet121": 0.2}  # share that is wrong
CLASSIFIER = "tiles-densenet121"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose slides are converted, whose variants are made up, scored by their stages and reported."""
    folder = tmp_path_factory.mktemp("bracs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(fabricated, "STUDY", "bracs")
        patch.setattr(fabricated, "CLASSES", ["background", "UDH"])
        for name in ("REPEATS", "PAIRED", "RANKED"):
            patch.setattr(scoring, name, 200)
        fabricated.make_params()
        make_slides(folder)
        for name, noise in VARIANTS.items():
            make_variant(name, noise)
            fabricated.run(evaluate.main, *asked("bracs", 1, 42, name, "augmented"))
        for name in ("background", "otsu"):
            fabricated.make_evaluation(name, "plain", 0)
        make_classifier()
        fabricated.write_report()
    return folder


def make_slides(folder: Path) -> None:
    for number in SIDES:
        write_slide(folder / "slides", number)
    convert_slides(folder / "slides", folder / "store")
    (folder / "data/tiles").mkdir(parents=True)
    (folder / "store/tiles").rename(folder / "data/tiles/bracs")
    for shard in (folder / "data/tiles/bracs").glob("*.h5"):
        with h5py.File(shard, "a") as file:
            file.attrs["source"] = "sample"
    rows = []
    for number, side in SIDES.items():
        table = Shard(folder / f"data/tiles/bracs/BRACS_{number}.h5").table()
        for index, (x, y) in enumerate(zip(table["x"], table["y"], strict=True)):
            rows.append(["bracs", table["slide"][0], index, str(number), "s", x, y, 0.25, side, 0, "{}"])
    plans = plan_folder("bracs", 1)
    split = pd.DataFrame(rows, columns=list(COLUMNS))
    split["slide"] = split["shard"]
    for name in ("split", "plain", "augmented", "balanced"):
        write_plan(split, plans / f"{name}.csv")
    fabricated.no_leak("bracs", len(split), len(split)).write(plans / "leaks.json")


def make_variant(name: str, noise: float) -> None:
    """Probabilities near the truth but in a share of blocks; all background where that share is 1."""
    folder = fabricated.make_variant(name, "augmented", noise) / "predictions"
    plan = read_plan(plan_folder("bracs", 1) / "split.csv")
    for side in ("test", "train"):
        examples = Examples(plan[plan["split"] == side], fabricated.SIZE, target="UDH")
        truth = np.stack([examples.class_map(i) for i in range(len(examples))]) == 1
        wrong = np.random.default_rng(1).random((len(truth), 8, 8)).repeat(4, axis=1).repeat(4, axis=2) < noise
        target = np.where(truth ^ wrong, 0.8, 0.1) if noise < 1 else np.full(truth.shape, 0.2)
        with h5py.File(folder / f"{side}.h5", "w") as written:
            written["class_map"] = (target > 0.5).astype(np.uint8)
            written["probabilities"] = np.stack([1 - target, target], axis=1).astype(np.float16)
            written.attrs["classes"] = json.dumps(["background", "UDH"])


def make_classifier() -> None:
    folder = variant_folder("bracs", 1, 42, CLASSIFIER, "balanced")
    fabricated.write_training(folder, CLASSIFIER, "balanced", 0.1, 1, 42)
    (folder / "predictions").mkdir(parents=True)
    plan = read_plan(plan_folder("bracs", 1) / "split.csv")
    chances = np.linspace(1, 0, 16)  # each slide has its four lesion tiles first
    table = plan[["dataset", "shard", "index", "patient", "slide", "split"]]
    table.assign(probability=chances[table["index"]]).to_csv(folder / "predictions/predictions.csv", index=False)
    fabricated.run(evaluate.main, *asked("bracs", 1, 42, CLASSIFIER, "balanced"))


@pytest.fixture(scope="module")
def page(project: Path) -> str:
    return (project / "reports/bracs.md").read_text(encoding="utf-8")


def test_the_page_is_whole_and_warns(page: str) -> None:
    assert "Synthetic tiles" in page.splitlines()[0]
    assert not re.search(r"\{\{|\{%|\bnan\b|None|Undefined", page)
    for table in re.findall(r"(?:^\|.*\n)+", page, re.M):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_what_the_page_shows_is_there(project: Path, page: str) -> None:
    shown = {Path(name).name for name in re.findall(r"!\[.*?\]\((.*?)\)", page)}
    assert shown >= {"heat.jpg", "sheet.jpg", "precision_recall.png", "confusion_train.png", "losses_classifier.png"}
    for name in shown:
        assert Image.open(project / "reports/bracs" / name).size[0] > 400


def test_a_model_that_finds_nothing_has_a_high_accuracy_and_no_f1(project: Path, page: str) -> None:
    scores = pd.read_csv(project / "reports/bracs/scores.csv").set_index("variant")
    share = scores.loc["background", "average_precision"]
    for name in ("background", "unet-paper"):
        assert scores.loc[name, "dice_macro_no_background"] == scores.loc[name, "recall_UDH"] == 0
        assert scores.loc[name, "average_precision"] == pytest.approx(share)
        assert scores.loc[name, "pixel_accuracy"] == pytest.approx(1 - share)
    assert scores.loc["unet", "average_precision"] > 0.5 > share
    assert "The paper's way, U-Net, BCE, 1e-2: F1 0.000" in page


def test_average_precision_follows_from_the_histograms_beside_the_page(project: Path) -> None:
    scores = pd.read_csv(project / "reports/bracs/scores.csv").set_index("variant")
    table = pd.read_csv(project / "reports/bracs/histograms.csv")
    assert table.groupby("variant").size().eq(2).all()  # two test patients
    for name, rows in table.groupby("variant"):
        counts = rows[curve.COLUMNS].to_numpy().sum(axis=0).reshape(2, -1)
        assert curve.average_precision(counts) == pytest.approx(scores.loc[name, "average_precision"])


def test_the_published_tables_stand_beside_both_sides(page: str) -> None:
    assert "| published: U-Net, 50 epochs | test | 0.8756 | 0.2632 | 0.0001 | 0.0003 | – |" in page
    assert "| published: U-Net + ResNet50, 100 epochs | train | 0.1658 | 0.1653 | 0.9947 | 0.2834 |" in page
    assert "| published, macro | 0.8667 | 0.5547 | 0.8219 | 0.5639 | – |" in page
    assert len(re.findall(r"^\| \*\*U-Net\*\*.★ \| (train|test) \|", page, re.M)) == 2


def test_calling_no_tile_a_lesion_stands_beside_the_classifier(page: str) -> None:
    # A quarter of the tiles have one: 12 of 16 are right, a precision of 12/16 and none, a recall of all and none.
    assert "| *without everywhere*, test, macro | 0.750 | 0.375 | 0.500 | 0.429 | 0.250 |" in page


def test_the_heat_lies_where_the_model_sees_the_target(project: Path) -> None:
    heat = np.asarray(Image.open(project / "reports/bracs/heat.jpg").convert("RGB")).astype(int)
    redness = heat[..., 0] - heat[..., 2]
    scale = heat.shape[1] / 650
    lesion = np.s_[round(45 * scale) : round(85 * scale), round(45 * scale) : round(85 * scale)]
    assert np.median(redness[lesion]) > np.median(redness) + 50


def test_a_split_that_leaks_is_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    path = plan_folder("bracs", 1) / "leaks.json"
    kept, page = path.read_text(), Path("reports/bracs.md").read_text()
    found = {"slide": 4, "patient": 4, "identical tiles": 0}
    Leaks.read(path).model_copy(update={"leaks": found}).write(path)
    try:
        assert "puts on two sides 4 slide, 4 patient, 0 identical tiles." in fabricated.write_report("bracs")
    finally:
        path.write_text(kept)
        Path("reports/bracs.md").write_text(page)


def test_a_study_without_baselines_has_a_page(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(project, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setattr(fabricated, "STUDY", "bracs")
    for name in ("REPEATS", "PAIRED", "RANKED"):
        monkeypatch.setattr(scoring, name, 200)
    fabricated.change_study({"baselines": []})
    page = fabricated.write_report()
    assert "**Without any model**" in (project / "reports/bracs.md").read_text(encoding="utf-8")
    assert "**Without any model**" not in page and "## In short" in page
