"""The report of study tnbc: three seeds a variant, medians beside the paper's, nuclei with and without watershed."""

import re
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.base.paths import evaluation_folder, plan_folder
from pipeline.base.records import Leaks
from pipeline.base.study import read_study
from pipeline.metrics import instance
from pipeline.reporting import overlays, scoring
from pipeline.stages import report as stage
from pipeline.tasks.segmentation import report
from pipeline.tiles.store import ShardInfo, Tile
from pipeline.tiles.writer import ShardWriter
from tests import fabricated

SEEDS = (42, 43, 44)
VARIANTS = [("unet", "augmented"), ("unet", "plain"), ("unet-bn", "augmented"), ("resnet50-random", "augmented")]
VARIANTS += [("vgg19", "augmented")]  # of which the paper has nothing
BASELINES = [("background", "plain"), ("otsu", "plain")]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with all variants evaluated with three seeds, and reported."""
    folder = tmp_path_factory.mktemp("tnbc")
    draw = fabricated._tile

    def tile_of_one_class(random: np.random.Generator, index: int) -> Tile:
        tile = draw(random, index)
        nuclei = dict.fromkeys(tile.nuclei, 1)
        return Tile(tile.image, np.minimum(tile.class_map, 1), tile.instance_map, nuclei, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(fabricated, "STUDY", "tnbc")
        patch.setattr(fabricated, "CLASSES", ["background", "nucleus"])
        patch.setattr(fabricated, "_tile", tile_of_one_class)
        for name in ("REPEATS", "PAIRED", "RANKED"):
            patch.setattr(scoring, name, 200)
        fabricated.make_params()
        fabricated.change_study({"compare": ["unet", "unet-bn", "resnet50-random", "vgg19"], "ablation": ["unet"]})
        fabricated.make_tiles("sample")
        make_other_tiles("monuseg")
        for rank, (name, plan) in enumerate(VARIANTS + BASELINES):
            fabricated.make_evaluation(name, plan, noise=0.05 + 0.05 * rank, seeds=SEEDS)
        fabricated.write_report()
    return folder


def make_other_tiles(dataset: str) -> None:
    """A shard of the study's other data set, of which the plans have none here."""
    info = ShardInfo(dataset, ("background", "nucleus"), 0.25, 40.0, "sample", "decaf", *fabricated.LICENCE)
    with ShardWriter(Path(f"data/tiles/{dataset}/a.h5"), 1, fabricated.NATIVE, info) as writer:
        writer.add(fabricated._tile(np.random.default_rng(0), 0))


@pytest.fixture(scope="module")
def page(project: Path) -> str:
    return (project / "reports/tnbc.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def scores(project: Path) -> pd.DataFrame:
    return pd.read_csv(project / "reports/tnbc/scores.csv").set_index(["variant", "plan"])


def section(page: str, title: str) -> str:
    return page.split(f"## {title}")[1].split("\n## ")[0]


def test_the_page_is_whole_and_warns(project: Path, page: str) -> None:
    assert "Synthetic tiles" in page.splitlines()[0]
    assert not re.search(r"\{\{|\{%|\bnan\b|None \||Undefined", page) and "\n\n\n" not in page
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table
    for name in re.findall(r"!\[.*?\]\((.*?)\)", page):
        assert Image.open(project / "reports" / name).size[0] > 400
    assert "validation.png" not in page


def test_medians_and_ranges_stand_beside_the_papers(page: str, scores: pd.DataFrame) -> None:
    values = scores.loc[("unet-bn", "augmented"), "jaccard_of_images"]
    median, low, high = values.median(), values.min(), values.max()
    difference = f"{median - 0.662:+.3f}".replace("-", "−")
    cell = f"{median:.3f} ({low:.3f} to {high:.3f})".replace(" ", "\N{NO-BREAK SPACE}")
    assert f"| Modified U-Net | augmented | {cell} | 0.662 | {difference} ‡ |" in section(page, "Segmentation")
    plain = next(line for line in section(page, "Segmentation").splitlines() if line.startswith("| U-Net | plain |"))
    assert plain.split(" | ")[3:5] == ["–", "–"]  # the paper trained augmented, and its basic U-Net has no figures
    assert "0.448 | 0.486 |" in section(page, "Loss")
    assert "`split.by` is official, the paper's is image" in page


def test_the_band_is_that_of_the_seeds(page: str, scores: pd.DataFrame) -> None:
    values = scores.loc[("unet", "augmented"), "jaccard_of_images"]
    printed = ", ".join(f"{value:.3f}" for value in values)
    row = f"| **U-Net**\N{NO-BREAK SPACE}★ | augmented | {printed} | {values.std():.3f} |"
    assert row in section(page, "Can this be reproduced?")


def test_watersheds_worth_is_a_number_that_the_counts_give(project: Path, page: str) -> None:
    table = pd.read_csv(project / "reports/tnbc/instances.csv")
    sums = table.groupby(["variant", "plan", "seed"]).sum(numeric_only=True).loc[("unet", "augmented")]
    worth = (sums["binary_aji_intersection"] / sums["binary_aji_union"]).mean()
    worth -= (sums["components_aji_intersection"] / sums["components_aji_union"]).mean()
    printed = pd.read_csv(project / "reports/tnbc/intervals.csv").set_index(["variant", "plan", "score"])
    assert printed.loc[("unet", "augmented", "parting_aji"), "value"] == pytest.approx(worth, abs=1e-9)
    text = section(page, "Nuclei, one by one")
    assert "| **U-Net**\N{NO-BREAK SPACE}★ | augmented, watershed |" in text
    assert "| **U-Net**\N{NO-BREAK SPACE}★ | augmented, connected pieces |" in text


def test_both_data_sets_are_named_with_their_licences(page: str) -> None:
    data = section(page, "Data")
    assert data.index("### tnbc") < data.index("### monuseg") < data.index("### Leaks")
    assert data.count("[CC BY-NC-SA 4.0]") == 2


def test_what_depends_on_the_machine_stands_in_one_section(page: str) -> None:
    before, machine = page.split("## On this machine")
    assert "a made-up device" not in before and "speed.png" not in before
    assert "| Modified U-Net | 10.0 | 25.0 | 16 | 129.5 |" in machine


def test_a_split_that_leaks_is_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    path = plan_folder("tnbc", 1) / "leaks.json"
    Leaks.read(path).model_copy(update={"leaks": {"patient": 9, "slide": 0}}).write(path)
    monkeypatch.setattr(report, "draw_figures", lambda *arguments: None)
    monkeypatch.setattr(report, "REPORTS", project / "leaky")
    with mock.patch("pipeline.tasks.segmentation.report.track"):
        fabricated.run(stage.main, "tnbc")
    assert "**This split leaks, as asked for**" in (project / "leaky/tnbc.md").read_text(encoding="utf-8")


def test_units_too_few_for_any_verdict_are_said(page: str) -> None:
    """Five test tiles and five tests: even the background, which finds nothing, cannot read "worse"."""
    text = section(page, "Which differences")
    assert "**Read the intervals here, not the words.**" in text
    row = next(line for line in text.splitlines() if "background everywhere" in line)
    assert float(row.split("|")[4]) >= 0.05


@pytest.mark.parametrize(("name", "plan"), VARIANTS)
def test_the_picture_counts_the_merged_and_split_nuclei_of_the_table(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, plan: str
) -> None:
    """It shows the nuclei that were scored, which probabilities gave, and not those that a class map would give."""
    monkeypatch.chdir(project)
    monkeypatch.setattr(fabricated, "STUDY", "tnbc")
    study = read_study("tnbc")
    assert study.task == "segmentation" and study.instances is not None
    examples = fabricated.tests_of()
    with h5py.File(evaluation_folder("tnbc", 1, 42, name, plan) / "class_maps.h5", "r") as file:
        shown = overlays.collect(examples, file["native"], study.instances, len(examples))
    table = pd.read_csv("reports/tnbc/instances.csv").set_index(["variant", "plan", "seed", "shard", "index"])
    for overlay in shown:
        shard, index = overlay.name.split(", tile ")
        row = table.loc[(name, plan, 42, shard, int(index))]
        assert instance.joins(overlay.table).tolist() == row[["binary_merged", "binary_split"]].tolist()
    assert len(shown) == fabricated.TILES
