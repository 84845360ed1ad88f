"""The study tnbc, driven by real DVC in a copy of the project: one variant with one seed, all the way to its report."""

import re

import pandas as pd
import pytest

from pipeline.commands.paper import apply
from tests.dvc.test_pipeline import Project

pytestmark = pytest.mark.slow

# One plain U-Net of four channels for one epoch, on images of 32 px.
TINY = {
    "sample.tnbc.tile_size": 64,
    "sample.tnbc.share": 0.2,
    "sample.monuseg.tile_size": 128,
    "sample.monuseg.images": 1,
    "tnbc.compare": ["unet"],
    "tnbc.ablation": "unet",
    "tnbc.seeds.second": 42,
    "tnbc.seeds.third": 42,
    "tnbc.tile_size": 32,
    "tnbc.model.width": 4,
    "tnbc.train.epochs": 1,
    "tnbc.predict.speed_batches": [1],
}
SEEDS = (42,)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("project"))
    apply(project.folder / "params.yaml", TINY)
    ran = project.ran(project.run("dvc", "repro", "report@tnbc"))
    data = {f"{verb}@{dataset}" for verb in ("download", "convert") for dataset in ("tnbc", "monuseg")}
    plans = {f"{verb}@tnbc" for verb in ("split", "guard", "balance", "augment")}
    trained = {f"{verb}-tnbc@1-{seed}-unet-augmented" for verb in ("train", "predict") for seed in SEEDS}
    ablation = {f"{verb}-tnbc-ablation@1-{seed}-unet-plain" for verb in ("train", "predict") for seed in SEEDS}
    baselines = {f"baseline-tnbc@1-{seed}-{name}" for seed in SEEDS for name in ("background", "otsu")}
    evaluated = {"evaluate-tnbc@unet-augmented", "evaluate-tnbc-ablation@unet-plain"}
    evaluated |= {f"evaluate-tnbc-baseline@{name}-plain" for name in ("background", "otsu")}
    assert ran == data | plans | trained | ablation | baselines | evaluated | {"report@tnbc"}
    return project


def test_the_report_is_whole(project: Project) -> None:
    page = (project.folder / "reports/tnbc.md").read_text()
    assert "Synthetic tiles" in page.splitlines()[0]
    assert not re.search(r"\{\{|\{%|None|\bnan\b|\n\n\n", page)
    for link in re.findall(r"\]\((tnbc/[^)]+)\)", page):
        assert (project.folder / "reports" / link).is_file(), link
    assert not (project.folder / "reports/tnbc/validation.png").exists()  # nothing is held out to validate on
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        assert len({row.count("|") for row in table.splitlines()}) == 1, table


def test_figures_are_means_over_images(project: Project) -> None:
    """The headline from the saved counts, with pandas alone."""
    images = pd.read_csv(project.folder / "reports/tnbc/counts.csv")
    assert sorted(set(images["seed"])) == list(SEEDS)
    found = images["c1_1"] / (images["c1_1"] + images["c0_1"] + images["c1_0"])
    key = ["encoder", "augmentation", "seed"]
    printed = pd.read_csv(project.folder / "reports/tnbc/scores.csv").set_index(key)["jaccard_of_images"]
    expected = images.assign(jaccard=found).groupby(key)["jaccard"].mean()
    pd.testing.assert_series_equal(printed.sort_index(), expected, check_names=False, rtol=1e-6)


def test_a_seed_more_trains_itself_alone(project: Project) -> None:
    apply(project.folder / "params.yaml", {"tnbc.seeds.third": 43})
    planned = project.run("dvc", "status")
    changed = set(re.findall(r"^(\S+):$", planned, re.MULTILINE))
    assert {"train-tnbc@1-43-unet-augmented", "baseline-tnbc@1-43-otsu"} <= changed
    assert not changed & {"train-tnbc@1-42-unet-augmented", "predict-tnbc@1-42-unet-augmented", "augment@tnbc"}
