"""The commands of docs/how-to/use-my-data.md, typed word for word: from files to a report, by real DVC."""

import re
import shlex
from pathlib import Path

import pytest

from pipeline.tiles.store import Shard
from tests.dvc.project import ROOT, Project, ran
from tests.own import drawn, folds, instances, slides

pytestmark = pytest.mark.slow
PAGE = ROOT / "docs/how-to/use-my-data.md"


def typed() -> list[list[str]]:
    """The commands of the page, in order: indented, after a line that ends with a colon or a full stop."""
    text = re.sub(r" \\\n *", " ", PAGE.read_text(encoding="utf-8"))
    return [shlex.split(line) for line in re.findall(r"^(?: {4}){1,2}((?:lobule|dvc) .*)$", text, re.MULTILINE)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person's home folder with images and masks as the page has them."""
    folder = tmp_path_factory.mktemp("home")
    truths = drawn.draw(folder / "photos/images", patients=8, classes=3)
    drawn.save(folder / "photos/masks", truths, drawn.indexed)
    slides.draw(folder / "slides", region=True)
    instances.draw(folder / "cells", patients=6)
    folds.draw(folder / "tiles")
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


def test_two_commands_lead_from_files_to_a_report(project: Project, home: Path) -> None:
    understand, run, *_ = typed()
    words = [word.replace("~", str(home)) for word in understand]
    assert "found 16 files = used 16 + left out 0" in project.run(*words)
    done = ran(project.run(*run))
    assert done >= {"download-own@mine", "convert-own@mine", "split@1", "guard@1", "report"}
    assert {f"train@1-42-{encoder}-augmented" for encoder in ("resnet18", "mobilenet_v2")} <= done
    report = (project.folder / "reports/mine.md").read_text()
    for beginning in ("Which model", "How sure", "On how many", "Better than no model", "Against the second best"):
        assert f"- **{beginning}" in report.partition("## What was run")[0]
    assert "tested on 3 patients, trained on 4 patients" in report and "No patient is known" not in report
    assert ran(project.run(*run)) == set()
    assert "nothing of it changes" in project.run(*words)


@pytest.mark.parametrize(
    ("name", "found", "tiles", "words"),
    [
        ("lesions", "found 12 files = used 12 + left out 0", 6 * 16, "tested on 2 patients"),
        ("cells", "found 12 files = used 12 + left out 0", 12, "tested on 2 patients"),
        ("mytiles", "found 9 files = used 9 + left out 0", 24, "tested on 8 test tiles"),
    ],
)
def test_other_kinds_of_data(project: Project, home: Path, name: str, found: str, tiles: int, words: str) -> None:
    understand, run = (line for line in typed() if name in line[2])
    assert understand[:3] == ["lobule", "new", name] and run[:2] == ["dvc", "repro"]
    assert found in project.run(*(word.replace("~", str(home)) for word in understand))
    small = {"predict.speed_batches": [1]}
    project.put(name, small if name == "lesions" else small | {"model.width": 4, "model.decoder_channels": [16, 8, 8]})
    assert ran(project.run(*run)) >= {f"download-own@{name}", f"convert-own@{name}", "report"}
    stored = [len(Shard(path)) for path in (project.folder / f"data/tiles/{name}").glob("*.h5")]
    assert sum(stored) == tiles
    report = (project.folder / f"reports/{name}.md").read_text()
    assert words in report and ("AJI" in report) == (name != "lesions")
    shown = (project.folder / f"reports/private/{name}/slide.jpg").is_file()
    assert shown == ("/slide.jpg)" in report) == ("tiles on the grid = " in report) == (name == "lesions")
    assert ran(project.run(*run)) == set()


def test_a_study_trains_on_one_data_set_and_tests_on_another(project: Project, tmp_path: Path) -> None:
    for name, others in (("hers", ("p5", "p6", "p7")), ("yours", ("p1", "p2", "p3", "p4"))):
        truths = drawn.draw(tmp_path / name / "images", patients=7, classes=3)
        drawn.save(tmp_path / name / "masks", truths, drawn.indexed)
        for path in [path for path in (tmp_path / name).glob("*/*.png") if path.name.startswith(others)]:
            path.unlink()  # the same pictures in both are a leak, which the guard refuses
        folders = ("--images", str(tmp_path / name / "images"), "--masks", str(tmp_path / name / "masks"))
        given = ("--microns-per-pixel", "0.5", "--classes", "background,tumour,stroma", "--encoders", "unet")
        project.run("lobule", "new", name, *folders, *given, "--patient-pattern", r"^(p\d)_", "--epochs", "1")
    both, transfer, run = (line for line in typed() if "both" in line or "transfer" in str(line))
    for command in (both, transfer):
        project.run(*("hers" if word == "mine" else word for word in command))
    project.put("transfer", {"model.width": 4, "predict.speed_batches": [1]})
    done = ran(project.run(*run))
    assert done >= {"convert-own@hers", "convert-own@yours", "split@1", "train@1-42-unet-augmented", "report"}
    report = (project.folder / "reports/transfer.md").read_text()
    assert (
        "tested on 3 patients of yours, of which nothing trained, trained on 4 patients and 8 tiles of hers" in report
    )
    assert "### hers" in report and "### yours" in report and "This split leaks" not in report
    done = ran(project.run("dvc", "repro", "studies/both/dvc.yaml:guard@1"))
    assert done == {"split@1", "guard@1"}  # the data are there


def test_nuclei_without_patients_and_without_validation(project: Project, tmp_path: Path) -> None:
    truths = drawn.draw(tmp_path / "images", patients=3, images=1, size=80)
    drawn.save(tmp_path / "ids", truths, drawn.numbered, "{}_ids.png")
    (tmp_path / "images/notes.txt").touch()
    folders = ("--images", str(tmp_path / "images"), "--masks", str(tmp_path / "ids"))
    said = project.run("lobule", "new", "few", *folders, "--microns-per-pixel", "0.25", "--encoders", "unet",
                       "--epochs", "1")  # fmt: skip
    assert "left out 1 (of no use here: 1, notes.txt)" in said and "NOT KNOWN" in said and "too few" in said
    project.put("few", {"model.width": 4, "model.decoder_channels": [16, 8, 8]})
    project.run("dvc", "repro", "studies/few/dvc.yaml")
    report = (project.folder / "reports/few.md").read_text()
    assert "**No patient is known.** The split is by images" in report and "AJI" in report
    assert "Nothing was validated" in report and "too few for an interval, and no verdict is possible" in report
