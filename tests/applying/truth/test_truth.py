"""`lobule apply --truth`: from slides and annotations in folders to truth.md, and what is told on the way."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import commands
from pipeline.applying.engine import Engine
from pipeline.applying.here import Asked
from pipeline.base.records import Model, Seen
from pipeline.slides.outlines import outlines
from tests import fabricated
from tests.applying import drawn
from tests.applying.drawn import CLASSES, Drawn, draw_areas, draw_nuclei
from tests.commands.test_apply import make_model
from tests.slide_files import box, feature, write_features

NAMES = ("one", "two", "three")


def write_truth(path: Path, truth: Drawn, zoom: int = 1, names: tuple[str, ...] = CLASSES) -> Path:
    """The outlines of all nuclei."""
    found = []
    for number, rings in outlines(truth.nuclei):
        closed = [[*(ring * zoom).tolist(), (ring[0] * zoom).tolist()] for ring in rings]
        code = truth.classes[truth.nuclei == number][0]
        found.append(feature("Polygon", closed, names[code]))
    return write_features(path, *found)


def predict_worse(images: Any) -> Any:
    """Takes stroma for tumour."""
    found = drawn.predict(images)
    return np.stack([found[:, 0], found[:, 1] | found[:, 2], np.zeros_like(found[:, 0])], axis=1)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two models and three slides with their outlines; the first model returns the truth, the other one does not."""
    monkeypatch.chdir(tmp_path)
    make_model(tmp_path / "weights")
    other = make_model(tmp_path / "worse")
    record = Model.read(other / "model.json")
    record.model_copy(update={"variant": "worse-plain"}).write(other / "model.json")
    (other / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes() + b" ")
    for seed, name in enumerate(NAMES):
        truth = draw_nuclei(150 + 10 * seed, 130, seed)
        truth.write(tmp_path / f"slides/{name}.tif")
        write_truth(tmp_path / f"truth/{name}.geojson", truth)

    def network(asked: Asked, device: Any) -> tuple[Engine, None]:
        return Engine(drawn.predict if asked.model.folder.name == "weights" else predict_worse, "torch", 0), None

    monkeypatch.setattr("pipeline.applying.here.network", network)
    yield tmp_path


def apply(*words: str, truth: str = "truth") -> None:
    usual = ["--out", "out", "--background", "0", *(["--truth", truth] if truth else [])]
    if "--instances" not in words:
        usual += ["--instances", "components", "--minimum-size", "1"]
    fabricated.run(commands.main, "apply", "weights", *words, *usual)


def refused(capsys: pytest.CaptureFixture[str], *words: str, truth: str = "truth") -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        apply(*words, truth=truth)
    assert stopped.value.code == 1
    return capsys.readouterr().err


def intervals() -> pd.Series:  # type: ignore[type-arg]
    """The figures, by variant and score."""
    return pd.read_csv("out/truth/intervals.csv").set_index(["variant", "score"])["value"]


def test_a_network_that_returns_the_truth_has_1_throughout(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    apply("slides")
    found = intervals()["unet-plain"]
    for score in (
        "mean_iou",
        "dice_macro",
        "bpq_images",
        "mpq_images",
        "aji",
        "pq",
        "detection_f1",
        "pq_tumour_images",
    ):
        assert found[score] == 1, score
    assert not [name for name in found.index if name.startswith(("components", "parting"))]
    page = (project / "out/truth.md").read_text()
    assert "# Does it hold? 3 slides of my own" in page and "mean IoU of **1.000**" in page
    assert re.search(r"\*\*How sure:\*\* 3 \w+ are too few for an interval\.", page)
    assert re.search(r"^Intervals: bootstrap of the 3 \w+, too few for 95 % \(", page, re.M)
    assert "Slides: 3 given = 3 compared + 0 left out." in page and "Annotations: 3 found; 0 without its slide." in page
    assert "What lies in no outline is background." in page and "3 slides. **These are few" in page
    assert all((project / "out/truth" / name).stat().st_size for name in ("confusion.png", "counts.csv"))
    assert not (project / "out/truth/ranking.png").exists() and "ranking.png" not in page  # of intervals that are none
    touched = (project / "out/one.geojson").stat().st_mtime_ns
    apply("slides")
    assert (project / "out/one.geojson").stat().st_mtime_ns == touched  # what is done is not done again


def test_results_that_lie_there_are_compared_and_several_models_are_tested(project: Path) -> None:
    apply("slides", truth="")
    touched = (project / "out/one.geojson").stat().st_mtime_ns
    assert not (project / "out/truth.md").exists()
    assert "truth.md" not in (project / "out/index.html").read_text()
    apply("slides", "--also", "worse", "--patient-pattern", "^(.)")  # one, and two with three: two patients
    for page in [project / "out/index.html", *(project / "out").glob("*/index.html")]:
        (link,) = re.findall('href="([^"]*truth.md)"', page.read_text())
        assert (page.parent / link).samefile(project / "out/truth.md")
    assert len([*(project / "out").glob("*/index.html")]) == 1
    assert (project / "out/one.geojson").stat().st_mtime_ns == touched
    found = intervals()
    assert found["unet-plain", "mean_iou"] == 1 > found["worse-plain", "mean_iou"]
    assert found["worse-plain", "aji"] == 1 > found["worse-plain", "mpq_images"]
    page = (project / "out/truth.md").read_text()
    assert "## Which differences are more than chance?" in page and "unet-plain has the highest mean IoU" in page
    assert "cannot be told on so few patients" in page and "| n/a | too few patients to tell |" in page
    assert "bootstrap of the 2 patients" in page and "pattern ^(.) on the names" in page.replace("&#94;", "^")
    (folder,) = (project / "out").glob("elsewhere-worse-plain-*")
    assert (folder / "one.geojson").exists() and (folder / "run.json").exists()
    instances = pd.read_csv("out/truth/instances.csv")
    assert len(instances) == 6 and instances["patient"].tolist() == ["o", "t", "t"] * 2


def test_areas_and_masks_have_the_models_codes(project: Path) -> None:
    for name in NAMES:
        truth = draw_areas(100, 120, seed=len(name))
        truth.write(project / f"areas/{name}.tif")
        (project / "masks").mkdir(exist_ok=True)
        Image.fromarray(truth.classes).save(project / f"masks/{name}_mask.png")
    (project / "masks/notes.txt").write_text("mine")
    apply("areas", "--instances", "none", truth="masks")
    found = intervals()["unet-plain"]
    assert found["mean_iou"] == 1 and "aji" not in found
    assert "Masks hold codes of background, tumour, stroma." in (project / "out/truth.md").read_text()


def test_what_stands_around_a_slides_name_is_parted_from_it(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:
        truth = draw_areas(100, 120, seed=len(name))
        truth.write(project / f"areas/{name}.tif")
        for folder, before in (("near", "x"), ("around", "GT_")):
            (project / folder).mkdir(exist_ok=True)
            Image.fromarray(truth.classes).save(project / folder / f"{before}{name}.png")
    words = ("areas", "--instances", "none")
    assert "near holds no annotation of any of 3 slide(s)" in refused(capsys, *words, truth="near")
    apply(*words, truth="around")
    assert (
        "around: masks are called as their slides, 'gt_{}' being the rule that most follow" in capsys.readouterr().out
    )
    assert "Masks are called as their slides, with something around: gt&#95;{}." in Path("out/truth.md").read_text()


def test_a_legend_says_what_the_values_of_masks_are(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = draw_areas(100, 120)
    truth.write(project / "areas/one.tif")
    (project / "masks").mkdir()
    Image.fromarray(np.array([7, 3, 200], np.uint8)[truth.classes]).save(project / "masks/one.png")
    assert "Here the classes are the model's, background, tumour, stroma; --legend FILE gives masks others" in refused(
        capsys, "areas", "--instances", "none", truth="masks"
    )
    Path("legend.csv").write_text("value,name\n3,Krebs\n200,stroma\n7,background\n")
    apply("areas", "--instances", "none", "--legend", "legend.csv", "--class", "tumour=krebs", truth="masks")
    assert intervals()["unet-plain", "mean_iou"] == 1
    counts = pd.read_csv("out/truth/counts.csv")
    assert counts["c1_1"].tolist() == [(truth.classes == 1).sum()]


def test_numbered_nuclei_have_their_classes_beside_and_pieces_are_nuclei_if_that_is_said(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate(NAMES):
        truth = draw_nuclei(150 + 10 * seed, 130, seed)
        for folder, values in (("numbers", truth.nuclei), ("codes", truth.classes)):
            (project / folder).mkdir(exist_ok=True)
            Image.fromarray(values.astype(np.uint16)).save(project / f"{folder}/{name}.png")
    apply("slides", "--values", "instances", "--class-maps", "codes", truth="numbers")
    assert intervals()["unet-plain", "aji"] == 1
    assert "which tells no class" in refused(capsys, "slides", "--values", "instances", truth="numbers")
    apply("slides", truth="codes")
    assert "aji" not in intervals()["unet-plain"]
    assert "Nuclei were not compared" in (project / "out/truth.md").read_text()
    apply("slides", "--nuclei", truth="codes")
    assert intervals()["unet-plain", "aji"] == 1


def test_classes_must_correspond_or_be_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, name in enumerate(NAMES):
        names = ("background", "Invasive", "Stroma")  # the second is written as the model's but for its case
        write_truth(project / f"other/{name}.geojson", draw_nuclei(150 + 10 * seed, 130, seed), names=names)
    said = refused(capsys, "slides", truth="other")
    assert "the truth holds Invasive (" in said and "--class 'stroma=Invasive'" in said
    assert not (project / "out").exists()  # before any work
    apply("slides", "--class", "tumour=Invasive", truth="other")
    assert intervals()["unet-plain", "mpq_images"] == 1
    apply("slides", "--class", "ignore=Invasive", truth="other")
    assert pd.read_csv("out/truth/counts.csv")[["c1_0", "c1_1", "c1_2"]].to_numpy().sum() == 0
    assert "which the model does not know" in refused(capsys, "slides", "--class", "cancer=Invasive", truth="other")
    assert "which the truth does not hold" in refused(capsys, "slides", "--class", "tumour=DCIS", truth="other")
    assert "such as tumour=Tumor" in refused(capsys, "slides", "--class", "tumour")
    assert "two classes" in refused(capsys, "slides", "--class", "tumour=A", "--class", "stroma=a")


def test_what_is_wrong_with_one_is_told_and_the_others_are_compared(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("four", "five", "six"):
        draw_nuclei(90, 90, len(name)).write(project / f"slides/{name}.tif")
    (project / "truth/two.geojson").write_text('{"type": "FeatureCollection", "features": [{"type')
    write_features(project / "truth/four.geojson", feature("Polygon", [box(900, 900, 950, 950)], "tumour"))
    write_features(project / "truth/nobody.geojson", feature("Polygon", [box(0, 0, 9, 9)], "tumour"))
    Image.fromarray(np.zeros((90, 91), np.uint8)).save(project / "truth/five.png")
    said = refused(capsys, "slides")
    assert "lobule: two: truth/two.geojson ends in the middle" in said
    assert "lobule: four: truth/four.geojson has an outline around x 925, y 925" in said
    assert "lobule: five: truth/five.png has 91 x 90 px, its slide slides/five.tif 90 x 90" in said
    assert said.endswith("3 of 6 slides could not be compared, as said above: two, five, four.\n")
    assert intervals()["unet-plain", "mean_iou"] == intervals()["unet-plain", "aji"] == 1
    page = (project / "out/truth.md").read_text()
    assert "Slides: 6 given = 2 compared + 4 left out." in page
    assert "six: no outlines and no mask of its name lie in truth" in page
    assert "nobody.geojson: no slide of its name was given" in page
    assert all((project / f"out/{name}.geojson").exists() for name in ("two", "four", "five", "six"))


def test_a_truth_of_nothing_here_is_refused_before_any_work(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "empty").mkdir()
    assert "holds no annotation of any of 3 slide(s)" in refused(capsys, "slides", truth="empty")
    assert "--truth is nowhere, which is not there" in refused(capsys, "slides", truth="nowhere")
    assert "give --truth DIR, too" in refused(capsys, "slides", "--nuclei", truth="")
    assert "give one of them" in refused(capsys, "slides", "--patients", "a.csv", "--patient-pattern", "a")
    make_model(project / "sorter", task="tiles")
    with pytest.raises(SystemExit):
        fabricated.run(commands.main, "apply", "sorter", "slides", "--truth", "truth", "--out", "out")
    assert "sorter classifies tiles, and --truth compares areas and nuclei" in capsys.readouterr().err
    assert "name each once" in refused(capsys, "slides", "--also", "weights")
    assert not (project / "out").exists()


def test_models_of_other_classes_are_no_comparison(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = Model.read(project / "worse/model.json")
    record.model_copy(update={"classes": ["background", "tumour", "fat"]}).write(project / "worse/model.json")
    assert "have other classes" in refused(capsys, "slides", "--also", "worse")


def test_what_a_model_was_trained_on_is_refused_left_out_or_marked(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = Model.read(project / "weights/model.json")
    seen = Seen(dataset="mine", sha256="1" * 64, shards=["one"], patients=["TCGA-A1-A0SP", "P7"])
    record.model_copy(update={"trained_on": [seen]}).write(project / "weights/model.json")
    said = refused(capsys, "slides")
    assert "weights was trained on what these slides are called: one (one of mine)." in said
    assert not (project / "out").exists()
    Path("patients.csv").write_text("slide,patient\none.tif,A\ntwo.tif,P7\nthree.tif,TCGA-A1-A0SP-01Z\n")
    said = refused(capsys, "slides", "--patients", "patients.csv")
    assert "two (patient P7 of mine)" in said and "three (patient TCGA-A1-A0SP of mine)" in said
    apply("slides", "--trained-on", "mark")
    page = (project / "out/truth.md").read_text()
    assert "**unet-plain may have been trained on 1 of these slides**" in page and "one (one of mine)." in page
    apply("slides", "--trained-on", "leave-out")
    page = (project / "out/truth.md").read_text()
    assert "3 given = 2 compared + 1 left out" in page and "one: unet-plain was trained on one of mine" in page
    record.model_copy(update={"trained_on": [seen.model_copy(update={"sample": True})]}).write(
        project / "weights/model.json"
    )
    apply("slides", "--patients", "patients.csv")  # drawn data have seen nobody


def test_regions_of_interest_and_outlined_background_limit_what_counts(project: Path) -> None:
    truth = draw_nuclei(150, 130, 0)
    write_truth(project / "part/one.geojson", truth)
    text = (project / "part/one.geojson").read_text()
    region = feature("Polygon", [box(20, 10, 100, 90)], "ROI")
    (project / "part/one.geojson").write_text(text.replace('"features": [', f'"features": [{_json(region)}, ', 1))
    apply("slides/one.tif", "--region-class", "roi", truth="part")
    counts = pd.read_csv("out/truth/counts.csv").filter(regex=r"^c\d_\d$").to_numpy()
    assert counts.sum() == 80 * 80 and intervals()["unet-plain", "mean_iou"] == 1
    shapes = [feature("Polygon", [box(0, 0, 10, 10)], name) for name in ("background",)]
    shapes.append(feature("Polygon", [box(50, 50, 60, 60)], "tumour"))
    write_features(project / "known/one.geojson", *shapes)
    apply("slides/one.tif", truth="known")
    assert pd.read_csv("out/truth/counts.csv").filter(regex=r"^c\d_\d$").to_numpy().sum() == 200


def _json(value: Any) -> str:
    import json

    return json.dumps(value)
