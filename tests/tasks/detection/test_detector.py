"""A detector from training to report, on images whose class a colour tells."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline.base import tracking
from pipeline.base.errors import Problem
from pipeline.base.files import read_json, write_json
from pipeline.commands import verify
from pipeline.reporting import band
from pipeline.tiles.plan import COLUMNS, plan_folder, write_plan
from pipeline.tiles.store import ShardInfo, ShardWriter, Tile

ROOT = Path(__file__).parents[3]
CLASSES = ("background", "normal", "benign", "in_situ", "invasive")
GROUPS = ("Normal", "Benign", "InSitu", "Invasive")
COLOURS = ((60, 30, 90), (30, 90, 60), (120, 20, 20), (20, 60, 140))
SIZE = 64  # px
IMAGES = 6  # of each class: four train, one validates, one is held out
SIDES = ("train", "train", "train", "train", "validation", "test")
VARIANT = Path("models/bach/run1/seed42/resnet18-augmented")
TINY = {
    "compare": ["resnet18"],
    "variants": {"resnet18": {"encoder": "resnet18"}},
    "tile_size": SIZE,
    "detector": {"channels": 32, "anchors": [12, 24, 48, 96, 192], "anchor_iou": [0.3, 0.7], "proposals": 40}
    | {"sampled": 32, "nuclei": 0.5, "nms": 0.5, "score": 0.05, "detections": 20},
}


def draw(rng: np.random.Generator, kind: int, index: int) -> Tile:
    """Four squares of the class's colour on white."""
    image = np.full((SIZE, SIZE, 3), 230.0)
    instance_map = np.zeros((SIZE, SIZE), np.int32)
    for number, (y, x) in enumerate(((6, 6), (6, 36), (36, 6), (36, 36)), start=1):
        y, x = y + int(rng.integers(8)), x + int(rng.integers(8))
        image[y : y + 14, x : x + 14] = COLOURS[kind]
        instance_map[y : y + 14, x : x + 14] = number
    pixels = np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8)
    class_map = np.where(instance_map, kind + 1, 0).astype(np.uint8)
    return Tile(pixels, class_map, instance_map, dict.fromkeys(range(1, 5), kind + 1), index, group=GROUPS[kind])


def make_project(folder: Path, **train: Any) -> None:
    """params.yaml, a source record, a tile store and plans."""
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["bach"] |= TINY
    params["bach"]["model"] |= {"weights": "random", "width": 64}
    params["bach"]["train"] |= {"epochs": 2, "patience": 2, "batch": 2, "workers": 0, **train}
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(params, file)
    record = {"source": "sample", "licence": "none: drawn", "licence_url": "", "citation": "", "sha256": "b" * 64}
    write_json(folder / "data/raw/bach/SOURCE.json", record)
    rng = np.random.default_rng(0)
    rows = []
    for kind, name in enumerate(("normal", "benign", "insitu", "invasive")):
        info = ShardInfo("bach", CLASSES, 0.42, 20.0, "sample", "b" * 64, "none: drawn tiles", "", "")
        with ShardWriter(folder / f"data/tiles/bach/{name}.h5", IMAGES, SIZE, info) as shard:
            for index in range(IMAGES):
                shard.add(draw(rng, kind, index))
                slide = f"{name}{index}"
                patient = "" if index == 5 else f"{kind}{index}"
                rows.append(("bach", name, index, patient, slide, 0, 0, 0.42, SIDES[index], 0, "{}", 1.0))
    plan = pd.DataFrame(rows, columns=list(COLUMNS))
    plans = folder / plan_folder("bach", 1, 42)
    for title in ("split", "augmented"):
        write_plan(plan, plans / f"{title}.csv")
    write_json(plans / "leaks.json", {"near_duplicates": []})


def run(main: Callable[[], None], *arguments: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["stage", *arguments])
        main()


class Ignored:
    """Stands in for an MLflow run, whose import takes seconds."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project in which everything has run."""
    from pipeline.stages import evaluate_detector, predict_detector, report_detector, train_detector

    folder = tmp_path_factory.mktemp("project")
    make_project(folder, epochs=20, patience=20, batch=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(tracking, "variant_run", lambda *_, **__: contextlib.nullcontext(Ignored()))
        variant = ("bach", "1", "resnet18", "augmented")
        run(train_detector.main, *variant)
        run(predict_detector.main, *variant)
        run(evaluate_detector.main, "bach", "resnet18", "augmented")
        for baseline in ("constant", "colour"):
            run(evaluate_detector.main, "bach", baseline, "plain")
        run(report_detector.main, "bach")
        yield folder


@pytest.mark.slow
def test_a_training_learns_and_says_what_it_learnt(project: Path) -> None:
    curves = pd.read_csv(VARIANT / "training/curves.csv")
    for name in ("loss", "class", "box", "mask", "rpn", "rpn_box"):
        assert np.isfinite(curves[[f"train_{name}", f"validation_{name}"]].to_numpy()).all()
    assert curves["train_loss"].iloc[-1] < 0.6 * curves["train_loss"].iloc[0]
    parts = curves[[f"train_{name}" for name in ("class", "box", "mask", "rpn", "rpn_box")]].sum(axis=1)
    np.testing.assert_allclose(parts, curves["train_loss"])
    description = read_json(VARIANT / "weights/model.json")
    assert description["licence"] == "none: drawn"
    assert description["detector"]["anchor_iou"] == [0.3, 0.7]


@pytest.mark.slow
def test_detections_of_every_side_are_kept(project: Path) -> None:
    with h5py.File(VARIANT / "predictions/detections.h5") as file:
        for side, images in (("train", 16), ("validation", 4), ("test", 4)):
            group = file[side]
            assert group.attrs["images"] == images
            assert (np.diff(group["image"][:]) >= 0).all()
            assert group["masks"].shape == (len(group["scores"]), SIZE, SIZE // 8)
            assert len(group["scores"]) and (group["scores"][:] >= 0.05).all()


@pytest.mark.slow
def test_the_vote_beats_a_constant_and_colour_wins_where_colour_tells(project: Path) -> None:
    scores = {
        name: read_json(Path("models/bach/evaluation") / name / "metrics.json")["sides"]["train"]["scores"]
        for name in ("resnet18-augmented", "constant-plain", "colour-plain")
    }
    assert scores["constant-plain"]["accuracy"]["value"] == 0.25
    assert scores["colour-plain"]["accuracy"]["value"] == 1
    assert scores["resnet18-augmented"]["accuracy"]["value"] > 0.6
    assert scores["resnet18-augmented"]["ap50"]["value"] > 0.2
    assert "ap50" not in scores["colour-plain"]


@pytest.mark.slow
def test_printed_figures_follow_from_the_saved_votes(project: Path) -> None:
    printed = pd.read_csv("reports/bach/intervals.csv").set_index(["encoder", "score"])["value"]
    votes = pd.read_csv("reports/bach/votes.csv", keep_default_na=False)
    for encoder, rows in votes[votes["split"] == "test"].groupby("encoder"):
        assert printed[encoder, "accuracy"] == (rows["truth"] == rows["call"]).mean()
    again = verify.scores_of(Path(), "bach", "resnet18-augmented")
    reported = verify.reported("bach", "resnet18-augmented")
    checks = verify.compare(reported, again, band.SCORES["bach"], {})
    assert len(checks) == 3 and {check.verdict for check in checks} == {"identical"}
    assert checks[0].before == printed["resnet18", "accuracy"]
    page = Path("reports/bach.md").read_text()
    assert "0.965" not in page  # the paper has no resnet18
    assert "`lobule band resnet18-augmented --study bach` does it" in page
    assert "| normal, n = 4 | benign, n = 4 |" in page  # nuclei, too few for a score
    assert "| n/a | n/a | n/a | n/a |" in page and "| *nothing found* | 0.000 |" in page
    assert "always the commonest class" in page and "Synthetic tiles" in page
    for picture in ("roc", "confusion", "losses", "detections"):
        assert Path(f"reports/bach/{picture}.png").stat().st_size > 1000


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.stages import train_detector

    found = []
    monkeypatch.setattr(tracking, "variant_run", lambda *_, **__: contextlib.nullcontext(Ignored()))
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        make_project(tmp_path / name, epochs=1, patience=None)
        monkeypatch.chdir(tmp_path / name)
        run(train_detector.main, "bach", "1", "resnet18", "augmented")
        found.append((VARIANT / "weights/model.safetensors").read_bytes())
    assert found[0] == found[1]


def test_a_study_without_a_detector_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.stages import train_detector

    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem, match=r"tnbc of params\.yaml has no detector"):
        run(train_detector.main, "tnbc", "1", "unet", "augmented")


def test_detections_of_another_plan_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.stages import evaluate_detector

    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    write_json(VARIANT / "training/training.json", {})
    with pytest.raises(Problem, match="holds no readable detections"):
        run(evaluate_detector.main, "bach", "resnet18", "augmented")
    path = VARIANT / "predictions/detections.h5"
    path.parent.mkdir()
    with h5py.File(path, "w") as file:
        file.attrs["classes"] = '["background", "other"]'
        file.create_group("train").attrs["images"] = 16
    with pytest.raises(Problem, match="another plan or other classes"):
        run(evaluate_detector.main, "bach", "resnet18", "augmented")
