"""A package holds what its card says: networks that agree, an example, checksums; and it is written whole or not."""

import hashlib
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import commands
from pipeline.applying.model import choose
from pipeline.base.records import Model
from pipeline.packages import formats
from pipeline.packages.card import intervals
from pipeline.packages.formats import AGREES, run_onnx, run_torchscript, running
from pipeline.packages.networks import outgoing
from pipeline.packages.variants import job_of
from tests import fabricated
from tests.packages.made_up import make_project, write_report
from tests.tiny_study import set_params

FILES = {
    "MLmodel",
    "README.md",
    "SHA256SUMS",
    "example.npz",
    "example.png",
    "model.json",
    "model.onnx",
    "model.safetensors",
    "model.schema.json",
    "model.torchscript.pt",
    "python_env.yaml",
    "requirements.txt",
    "served_model.py",
}
TASKS = [
    pytest.param("segmentation", "unet", id="unet"),
    pytest.param("segmentation", "resnet18", id="resnet18", marks=pytest.mark.slow),
    pytest.param("tiles", "", id="tiles", marks=pytest.mark.slow),
    pytest.param("detection", "", id="detection", marks=pytest.mark.slow),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def unet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a package of a plain U-Net, `out`, which is written once."""
    folder = tmp_path_factory.mktemp("unet")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")  # a person has nothing to do about those of torch
        patch.chdir(folder)
        export(make_project(folder))
    return folder


@pytest.fixture
def there(unet: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory is that project; nothing in it may be changed."""
    monkeypatch.chdir(unet)
    return unet


def export(name: str, *words: str) -> None:
    fabricated.run(commands.main, "export", name, "out", *words)


def refused(capsys: pytest.CaptureFixture[str], name: str, *words: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        export(name, *words)
    assert stopped.value.code == 1
    return capsys.readouterr().err


def without_lobule(code: str, folder: Path) -> str:
    """What Python prints that cannot import Lobule, as of a colleague who has none."""
    blocked = "import sys\nsys.path = [p for p in sys.path if p]\nsys.modules['pipeline'] = None\n"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", blocked + code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("task", "encoder"), TASKS)
def test_the_networks_agree_at_sizes_and_numbers_that_were_not_checked(here: Path, task: str, encoder: str) -> None:
    name = make_project(here, task, encoder)
    export(name)
    assert {path.name for path in Path("out").iterdir()} == FILES
    job, record = job_of(name, None, None), Model.read(Path("out/model.json"))
    wanted = running(outgoing(job.folder / "weights", record, job.settings), task)
    random = np.random.default_rng(0)
    for shape in ((1, 64, 64, 3), (1, 96, 128, 3), (1, 128, 64, 3)) + (
        () if task == "detection" else ((3, 64, 96, 3),)
    ):
        images = random.integers(0, 255, shape, np.uint8)
        true = wanted(images)
        for found in (
            run_onnx(Path("out/model.onnx"), task)(images),
            run_torchscript(Path("out/model.torchscript.pt"), task)(images),
        ):
            assert formats.difference(true, found) == ""
    main = next(iter(true.values()))
    assert main.size and float(np.ptp(main.astype(np.float64))) > 10 * AGREES


@pytest.mark.parametrize(("task", "encoder"), TASKS)
def test_five_lines_of_the_card_reproduce_the_example_without_lobule(here: Path, task: str, encoder: str) -> None:
    export(make_project(here, task, encoder))
    (code,) = re.findall(r"```python\n(.*?)```", Path("out/README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(code.splitlines()) == 5
    assert without_lobule(code, here / "out") == "as in the example: True\n"
    with pytest.raises(AssertionError, match="pipeline"):
        without_lobule("import pipeline", here / "out")


@pytest.mark.slow
def test_a_network_that_sees_brightness_alone_takes_colours(here: Path) -> None:
    export(make_project(here, greyscale=True))
    images = np.random.default_rng(0).integers(0, 255, (1, 64, 64, 3), np.uint8)
    grey = np.asarray(Image.fromarray(images[0]).convert("L").convert("RGB"))[None]
    run = run_onnx(Path("out/model.onnx"), "segmentation")
    assert np.array_equal(run(images)["probabilities"], run(grey)["probabilities"])
    assert "sees brightness alone" in Path("out/README.md").read_text(encoding="utf-8")


def test_the_card_tells_data_licence_figures_and_what_was_seen(there: Path) -> None:
    card = Path("out/README.md").read_text(encoding="utf-8")
    for said in (
        "Trained on drawn tiles",
        "**none: drawn tiles**",
        "PanNuke, drawn by Lobule in its format",
        "The study ranks by mean IoU.",
        "| mean IoU | 0.512 [0.41, 0.61] |",
        "| F1 of neoplastic | 0.400 [0.30, 0.50] |",
        "| F1 of dead | n/a |",
        '"n/a" where too little was tested to tell, as in the report: fewer than 30 nuclei of dead.',
        "In brackets 95 % intervals over 48 test tiles",
        "`lobule apply . slide.svs --out results --instances ",
        "(drawn), 6 tiles, source `aaaaaaaaaaaa`. Parts: fold1. Patients: Mr_7.",
        "Not for diagnosis",
        "| 2 | dead |",
        "at **0.25 µm/px**",
    ):
        assert said in card.replace("\xa0", " "), said
    assert "nobody tells" not in card and "keep this folder to yourself" not in card
    sums = dict(reversed(line.split("  ")) for line in Path("out/SHA256SUMS").read_text().splitlines())
    assert {*sums} == FILES - {"SHA256SUMS"}
    for name, wanted in sums.items():
        assert hashlib.sha256(Path("out", name).read_bytes()).hexdigest() == wanted


def test_brackets_are_told_for_what_they_are() -> None:
    rows = [("train_accuracy", 36, "patients"), ("accuracy", 8, "patients"), ("mean_iou", 5, "slides")]
    found = intervals(pd.DataFrame(rows, columns=["score", "units", "unit"]))
    assert found == [
        "95 % intervals over 36 patients on the training side",
        "95 % intervals over 8 patients",
        "too few for 95 %, a bootstrap over 5 slides",
    ]


def test_a_licence_without_derivatives_and_weights_of_unknown_past_are_told(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"licence": "CC BY-NC-ND 4.0", "sample": False, "weights": "/home/me/x.pth", "first_known": False}
    export(make_project(here, **told))
    card = Path("out/README.md").read_text(encoding="utf-8")
    assert "lets nothing be passed on that was made of them: keep this folder to yourself" in card
    assert "First weights: `/home/me/x.pth`; nobody tells what these have seen." in card
    assert "Please cite" in card and "drawn by Lobule" not in card
    assert "keep the folder to yourself" in capsys.readouterr().out


def test_model_json_fits_its_schema(there: Path) -> None:
    schema = json.loads(Path("out/model.schema.json").read_text())
    model = json.loads(Path("out/model.json").read_text())
    assert schema["additionalProperties"] is False
    assert {*schema["required"]} <= {*model} <= {*schema["properties"]}
    seen = schema["$defs"]["Seen"]
    assert {*seen["required"]} <= {*model["trained_on"][0]} <= {*seen["properties"]}


def test_lobule_apply_takes_a_package(there: Path) -> None:
    chosen, own = choose("out", None, None, None, 0), choose("tiny/unet-plain", None, None, None, 0)
    assert (chosen.record, chosen.sha256, chosen.instances) == (own.record, own.sha256, own.instances)


def test_a_package_is_written_over_and_nothing_else_is(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = make_project(here)
    export(name)
    Path("out/README.md").write_text("cut")
    export(name)
    assert Path("out/README.md").read_text().startswith("# tiny, unet-plain")
    Path("out/mine.txt").write_text("mine")
    assert "out is there and no package" in refused(capsys, name)
    assert Path("out/mine.txt").read_text() == "mine"


def test_what_does_not_agree_is_refused_and_nothing_is_left(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = make_project(here)
    monkeypatch.setattr(formats, "AGREES", -1.0)
    assert "model.onnx does not give what the network gives (probabilities differs by" in refused(capsys, name)
    assert [path.name for path in here.iterdir() if "out" in path.name] == []


def test_a_detector_goes_out_without_a_format_that_does_not_hold(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = make_project(here, "detection")

    def write_onnx(*_: object) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(formats, "write_free", write_onnx)
    export(name)
    mlflow = {"MLmodel", "served_model.py", "python_env.yaml", "requirements.txt"}
    assert {path.name for path in Path("out").iterdir()} == FILES - mlflow - {"model.onnx"}
    card = Path("out/README.md").read_text(encoding="utf-8")
    assert "There is no model.onnx: it does not give what the network gives (RuntimeError: no such operator)." in card
    assert "onnxruntime" not in card


def test_a_report_of_other_weights_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = make_project(here)
    sha256 = Model.read(job_of(name, None, None).folder / "weights/model.json").sha256
    write_report("unet", "plain", "f" * 64)
    assert "is of other weights than" in refused(capsys, name)
    write_report("unet", "plain", str(sha256), score=0.6)
    assert "reports/tiny/scores.csv is of another training than" in refused(capsys, name)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tiny", "'tiny' is no STUDY/VARIANT-PLAN"),
        ("other/unet-plain", "'other/unet-plain' is no STUDY/VARIANT-PLAN"),
        ("tiny/unet-augmented", "models/tiny/run1/seed42/unet-augmented/weights holds no model"),
        ("tiny/vgg-plain", "tiny trains no vgg-plain; it trains tiny/unet-plain, tiny/unet-augmented"),
    ],
)
def test_a_name_that_names_no_training_is_refused(
    here: Path, name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_params(here, compare=["unet"])
    assert said in refused(capsys, name)


def test_the_tile_is_drawn_whatever_the_data(there: Path) -> None:
    """No tile store is there to take one from: what stands in a package is never a real tile."""
    assert not Path("data").exists()
    with np.load("out/example.npz") as example:
        assert example["images"].shape == (1, 64, 64, 3) and example["images"].std() > 5
