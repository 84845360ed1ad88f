"""`lobule apply`: a model of a folder or a study on slides and pictures, what it refuses, and what a kill leaves."""

import fcntl
import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pipeline import commands
from pipeline.applying.inputs import find_slides
from pipeline.base.errors import Problem
from pipeline.base.records import Applied, Model
from pipeline.models import build, weights
from tests import fabricated
from tests.records import MODEL
from tests.slide_files import box, feature, speckled, write_features, write_tiff

KINDS = ("geojson", "csv", "png")
SHAPE = {"width": 4, "decoder_channels": [16, 8, 4], "head": 1}


def make_model(folder: Path, task: str = "segmentation", microns_per_pixel: float = 0.5) -> Path:
    """The weights folder of a network that was never trained."""
    folder.mkdir(parents=True)
    torch.manual_seed(3)
    weights.save(build("unet", 3, 4, [16, 8, 4]), folder / "model.safetensors")
    MODEL.model_copy(
        update={
            "study": "elsewhere",
            "task": task,
            "classes": ["background", "tumour", "stroma"],
            "tile_size": 32,
            "microns_per_pixel": microns_per_pixel,
            "shape": SHAPE,
            "mean": [0.7, 0.6, 0.7],
            "std": [0.1, 0.1, 0.1],
            "sample": True,
        }
    ).write(folder / "model.json")
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model and two slides, and nothing else."""
    monkeypatch.chdir(tmp_path)
    make_model(tmp_path / "weights")
    write_tiff(tmp_path / "slides/one.tif", speckled(200, 260), 0.5)
    write_tiff(tmp_path / "slides/two.tif", speckled(150, 200, seed=1), 0.25)
    return tmp_path


def apply(*words: str) -> None:
    fabricated.run(commands.main, "apply", "weights", *words, "--out", "out")


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        apply(*words)
    assert stopped.value.code == 1
    return capsys.readouterr().err


def test_a_folder_of_slides_has_results_a_summary_and_a_record(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apply("slides", "--instances", "watershed", "--ome-tiff")
    assert "trained on drawn tiles alone" in capsys.readouterr().out
    kinds = (*KINDS, "ome.tif")
    for name in ("one", "two"):
        assert all((project / f"out/{name}.{kind}").stat().st_size for kind in kinds)
    summary = pd.read_csv("out/summary.csv")
    assert summary["slide"].tolist() == ["one"] * 3 + ["two"] * 3
    assert list(summary) == ["slide", "class", "area_mm2", "share", "nuclei", "nuclei_per_mm2"]
    record = Applied.read(Path("out/run.json"))
    assert [slide.downsample for slide in record.slides] == [1, 2]
    assert record.licence == "CC BY 4.0" and record.model.trained_on[0].patients == ["7"]
    assert record.peak_memory > 10**7 and record.failed == {}
    assert record.slides[0].nuclei is not None
    page = Path("out/index.html").read_text(encoding="utf-8")
    links = set(re.findall(r'(?:href|src)="([^"]*)"', page))
    assert links >= {f"{name}.{kind}" for name in ("one", "two") for kind in kinds}
    assert all((project / "out" / link).exists() for link in links)


def test_the_batch_changes_nothing_and_what_is_done_is_not_done_again(project: Path) -> None:
    apply("slides/one.tif", "--instances", "none", "--batch", "3")
    first = [(project / f"out/one.{kind}").read_bytes() for kind in KINDS]
    touched = (project / "out/one.png").stat().st_mtime_ns
    apply("slides/one.tif", "--instances", "none", "--batch", "1")
    assert (project / "out/one.png").stat().st_mtime_ns == touched
    (project / "out/.lobule/one/key").unlink()
    apply("slides/one.tif", "--instances", "none", "--batch", "1")
    assert (project / "out/one.png").stat().st_mtime_ns > touched
    assert [(project / f"out/one.{kind}").read_bytes() for kind in KINDS] == first


def test_one_bad_slide_is_told_and_the_others_are_done(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "slides/broken.svs").write_bytes(b"nothing")
    said = refused(capsys, "slides", "--instances", "none")
    assert "lobule: broken: slides/broken.svs is no slide that OpenSlide can open" in said
    assert said.endswith("lobule: 1 of 3 slides failed, as said above: broken.\n")
    assert not (project / "out/.lobule/broken").exists()
    record = Applied.read(Path("out/run.json"))
    assert [slide.name for slide in record.slides] == ["one", "two"] and set(record.failed) == {"broken"}


@pytest.mark.parametrize("name", ["flat.png", "flat.jpg", "flat.tif"])
def test_pictures_are_taken_at_the_resolution_that_is_given(
    project: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(speckled(100, 130)).save(name)
    assert "does not tell its resolution; give it in --microns-per-pixel" in refused(
        capsys, name, "--instances", "none"
    )
    assert not Path("out/run.json").exists() and not Path("out/summary.csv").exists()
    apply(name, "--microns-per-pixel", "0.25", "--instances", "none")  # into the same folder
    record = Applied.read(Path("out/run.json"))
    assert (record.slides[0].width, record.slides[0].downsample) == (130, 2)


def test_an_ome_tiff_tells_its_resolution(project: Path) -> None:
    import tifffile

    pixels = speckled(100, 130)
    told = {
        "axes": "YXS",
        "PhysicalSizeX": 500,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 500,
        "PhysicalSizeYUnit": "nm",
    }
    tifffile.imwrite("strips.ome.tif", pixels, photometric="rgb", metadata=told)
    apply("strips.ome.tif", "--instances", "none")
    assert Applied.read(Path("out/run.json")).slides[0].microns_per_pixel == 0.5
    assert (project / "out/strips.geojson").exists()


def test_what_cannot_be_is_refused_before_any_work(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere is not there; give a slide" in refused(capsys, "nowhere")
    assert "say --instances watershed or none" in refused(capsys, "slides")
    assert "--overlap must be from 0 to 0.5" in refused(capsys, "slides", "--overlap", "0.7")
    assert "--instances must be" in refused(capsys, "slides", "--instances", "magic")
    assert "--microns-per-pixel must be above 0" in refused(capsys, "slides", "--microns-per-pixel", "0")
    with pytest.raises(SystemExit):
        fabricated.run(commands.main, "apply", "weights", "slides", "--out", "weights/model.json")
    assert "--out is weights/model.json, which is no folder" in capsys.readouterr().err
    assert "nothing.geojson" in refused(capsys, "slides", "--instances", "none", "--regions", "nothing.geojson")
    empty = write_features(project / "empty.geojson", feature("Point", [3, 4]))
    assert "holds no area" in refused(capsys, "slides", "--instances", "none", "--regions", str(empty))
    old = json.loads((project / "weights/model.json").read_text()) | {"format": 1}
    (project / "old").mkdir()
    (project / "old/model.json").write_text(json.dumps(old))
    with pytest.raises(SystemExit):
        fabricated.run(commands.main, "apply", "old", "slides", "--out", "out")
    assert "old/model.json is broken or of another version of Lobule" in capsys.readouterr().err
    make_model(project / "sorter", task="tiles")
    with pytest.raises(SystemExit):
        fabricated.run(commands.main, "apply", "sorter", "slides", "--out", "out", "--instances", "none")
    assert "is a model of the task tiles, which has no class map; leave --instances out" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        fabricated.run(commands.main, "apply", "sorter", "slides", "--out", "out", "--ome-tiff")
    assert "is a model of the task tiles: no class map; leave --ome-tiff out" in capsys.readouterr().err
    assert "no detector; leave --score out" in refused(capsys, "slides", "--instances", "none", "--score", "0.5")
    assert "leave --points out" in refused(capsys, "slides", "--instances", "none", "--points")
    assert "leave --parquet out" in refused(capsys, "slides", "--instances", "none", "--parquet")
    with pytest.raises(SystemExit):
        fabricated.run(commands.main, "apply", "no/such", "slides", "--out", "out")
    assert "'no/such' is no STUDY/VARIANT-PLAN" in capsys.readouterr().err
    assert not (project / "out").exists()


def test_two_slides_of_one_name_are_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(speckled(100, 130)).save("one.png")
    assert "would both be one in out" in refused(capsys, "slides", "one.png")
    Image.fromarray(speckled(100, 130)).save("model.png")
    assert "model.png has a name that `lobule apply` keeps for itself; rename it" in refused(capsys, "model.png")


def test_a_folder_of_results_is_of_one_model_and_one_call(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    apply("slides/one.tif", "--instances", "none")
    other = refused(capsys, "slides/one.tif", "--instances", "watershed")
    assert "out holds results with another --instances, --minimum-size; give it as before, another --out, or" in other
    make_model(project / "weights2", microns_per_pixel=0.25)
    file = project / "weights2/model.safetensors"
    torch.manual_seed(4)
    weights.save(build("unet", 3, 4, [16, 8, 4]), file)
    capsys.readouterr()
    with pytest.raises(SystemExit):
        fabricated.run(commands.main, "apply", "weights2", "slides/one.tif", "--instances", "none", "--out", "out")
    assert "out holds results of another model; give another --out, or remove it" in capsys.readouterr().err
    with Path("out/.lobule/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another `lobule apply` is at work in out" in refused(capsys, "slides/one.tif", "--instances", "none")


def test_results_in_a_folder_of_slides_are_no_slides(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(speckled(30, 30)).save("slides/old.png")
    apply("slides/one.tif", "--instances", "none")
    apply("slides/two.tif", "--instances", "none", "--ome-tiff")
    assert set(find_slides([project], project / "elsewhere")) == {"one", "two", "old"}
    assert f"{project}: 3 pictures in it are results of `lobule apply`, no slides." in capsys.readouterr().out
    with pytest.raises(Problem, match="out has no slide"):
        find_slides([project / "out"], project / "elsewhere")
    found = find_slides([project / "slides/one.tif", project / "slides/two.tif"], project / "slides")  # beside them
    assert list(found) == ["one", "two"]


def test_nothing_that_no_call_wrote_is_written_over(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(speckled(30, 30)).save("flat.png")
    (project / "flat.geojson").write_text("mine")
    before = (project / "flat.png").read_bytes()
    words = ["apply", "weights", "flat.png", "--microns-per-pixel", "0.5", "--instances", "none", "--out"]
    for out in (".", str(project)):
        with pytest.raises(SystemExit):
            fabricated.run(commands.main, *words, out)
        assert "flat.png would be overwritten by its own results" in capsys.readouterr().err
    (project / "out").mkdir()
    for kind in ("geojson", "png", "nuclei.parquet"):
        mine = project / f"out/one.{kind}"
        mine.write_text("mine")
        said = refused(capsys, "slides", "--instances", "none")
        assert f"lobule: one: out/one.{kind} is there and `lobule apply` did not write it; give another --out" in said
        assert said.endswith("lobule: 1 of 2 slides failed, as said above: one.\n")
        assert mine.read_text() == "mine" and not (project / "out/.lobule/one").exists()
        mine.unlink()
    (project / "new").mkdir()
    (project / "new/summary.csv").write_text("mine")
    with pytest.raises(SystemExit):
        fabricated.run(commands.main, "apply", "weights", "slides", "--instances", "none", "--out", "new")
    assert "new/summary.csv is there and `lobule apply` did not write it" in capsys.readouterr().err
    assert (project / "new/summary.csv").read_text() == (project / "flat.geojson").read_text() == "mine"
    assert (project / "flat.png").read_bytes() == before
    apply("slides", "--instances", "none")  # what it wrote itself it may write again
    (project / "slides/one.tif").touch()
    apply("slides", "--instances", "none")


def test_a_row_a_nucleus_may_be_asked_for_afterwards(project: Path) -> None:
    words = ["slides/one.tif", "--instances", "watershed"]
    apply(*words)
    outlined = (project / "out/one.geojson").stat().st_mtime_ns
    apply(*words, "--parquet", "--points")
    assert (project / "out/one.geojson").stat().st_mtime_ns == outlined
    fabricated.run(commands.main, "apply", "weights", *words, "--parquet", "--points", "--out", "at-once")
    for kind in ("nuclei.parquet", "points.geojson", "geojson"):
        assert (project / f"out/one.{kind}").read_bytes() == (project / f"at-once/one.{kind}").read_bytes()


def test_a_slide_without_colour_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(speckled(100, 130)).convert("L").save("grey.png")
    apply("grey.png", "slides/one.tif", "--microns-per-pixel", "0.5", "--instances", "none")
    said = capsys.readouterr().err
    assert "lobule: grey: grey.png has no colour, and the model saw colours" in said and "one.tif has no" not in said
    assert [len(slide.notes) for slide in Applied.read(Path("out/run.json")).slides] == [1, 0]
    assert "grey.png has no colour" in Path("out/index.html").read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_made_is_one_sentence(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "file").write_text("")
    for out in ("file/below", "/proc/below"):
        with pytest.raises(SystemExit):
            fabricated.run(commands.main, "apply", "weights", "slides", "--instances", "none", "--out", out)
        assert capsys.readouterr().err.startswith(f"lobule: {out} cannot be made (")


def test_regions_limit_the_work(project: Path) -> None:
    write_features(project / "regions.geojson", feature("Polygon", [box(10, 10, 60, 60)]))
    apply("slides/one.tif", "--instances", "none", "--regions", "regions.geojson")
    record = Applied.read(Path("out/run.json"))
    assert record.slides[0].square_millimetres == pytest.approx(50 * 50 * 0.25e-6)
    assert record.parameters.regions is not None


def test_a_variant_of_a_study_tells_how_nuclei_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fabricated.make_params()
    folder = make_model(tmp_path / "models/pannuke/run1/seed42/unet-plain/weights")
    record = Model.read(folder / "model.json").model_copy(update={"study": "pannuke"})
    record.write(folder / "model.json")
    write_tiff(tmp_path / "one.tif", speckled(100, 130), 0.5)
    fabricated.run(commands.main, "apply", "pannuke/unet-plain", "one.tif", "--out", "out")
    parameters = Applied.read(Path("out/run.json")).parameters
    assert (parameters.instances, parameters.minimum_size) == ("watershed", 10)


def test_a_classifier_of_tiles_and_a_detector_are_applied(project: Path) -> None:
    from pipeline.models.classifier import TileClassifier
    from pipeline.models.mask_rcnn import mask_rcnn

    torch.manual_seed(0)
    told = Model.read(make_model(project / "sorter", task="tiles") / "model.json")
    told = told.model_copy(update={"encoder": "resnet18", "classes": ["background", "tumour"], "target": "tumour"})
    told.write(project / "sorter/model.json")
    weights.save(TileClassifier("resnet18"), project / "sorter/model.safetensors")
    shape = {"width": 16, "channels": 32, "anchors": [8, 16, 32, 64, 128], "anchor_iou": [0.3, 0.7]}
    shape |= {"proposals": 50, "sampled": 16, "nuclei": 0.5, "nms": 0.5}
    told = Model.read(make_model(project / "detector", task="detection") / "model.json")
    told = told.model_copy(update={"encoder": "resnet50", "tile_size": 96, "shape": shape})
    told.write(project / "detector/model.json")
    weights.save(mask_rcnn(told), project / "detector/model.safetensors")
    for name, words in (("sorter", ()), ("detector", ("--score", "0.1", "--points", "--parquet"))):
        out = project / f"out-{name}"
        fabricated.run(commands.main, "apply", name, "slides/one.tif", "--out", str(out), *words)
        record = Applied.read(out / "run.json")
        assert all((out / f"one.{kind}").stat().st_size for kind in KINDS)
        assert (record.slides[0].nuclei is None) == (name == "sorter")
        assert record.parameters.score == (None if name == "sorter" else 0.1)


@pytest.mark.slow
def test_killed_at_random_it_ends_in_the_same_bytes(project: Path) -> None:
    write_tiff(project / "slide.tif", np.concatenate([speckled(400, 260, seed) for seed in range(3)], axis=1), 0.5)
    command = [sys.executable, "-m", "pipeline.commands", "apply", "weights", "slide.tif", "--instances", "watershed"]
    environment = {"PYTHONPATH": str(fabricated.ROOT), "PATH": "/usr/bin:/bin", "HOME": str(project)}
    started = time.monotonic()
    subprocess.run([*command, "--out", "whole"], env=environment, check=True, cwd=project)
    whole = time.monotonic() - started
    chance = random.Random(0)
    for _ in range(4):
        child = subprocess.Popen([*command, "--out", "broken"], env=environment, cwd=project)
        try:
            child.wait(chance.uniform(0.3, 1.0) * whole)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
    subprocess.run([*command, "--out", "broken"], env=environment, check=True, cwd=project)
    for kind in KINDS:
        assert (project / f"broken/slide.{kind}").read_bytes() == (project / f"whole/slide.{kind}").read_bytes()
    assert (project / "broken/summary.csv").read_bytes() == (project / "whole/summary.csv").read_bytes()
    assert not list((project / "broken").rglob("*.partial"))
