"""`lobule new` with several data sets: joined in one study, or one to train on and another one to test on."""

from pathlib import Path

import pytest

from pipeline.base.study import read_study
from pipeline.commands import main
from pipeline.stages import check
from tests.own import drawn, slides
from tests.own.project import make

CODES = ("--microns-per-pixel", "0.5", "--classes", "background,Loose_stroma,Tumor")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two studies of one's own: `mine` of masks of eight patients, `yours` of six slides."""
    folder = make(tmp_path, monkeypatch)
    truths = drawn.draw(tmp_path / "images", patients=8, classes=3)
    drawn.save(tmp_path / "masks", truths, drawn.indexed)
    slides.draw(tmp_path / "slides")
    folders = ("--images", str(tmp_path / "images"), "--masks", str(tmp_path / "masks"))
    new("mine", *folders, *CODES, "--patient-pattern", r"^(p\d)_")
    new("yours", "--slides", str(tmp_path / "slides"), "--tile", "64", "--epochs", "3")
    return folder


def new(*words: str) -> None:
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patched:
        patched.setattr("sys.argv", ["lobule", "new", *words])
        main()


def test_two_data_sets_joined_and_one_tested_on_the_other(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    new("both", "--like", "mine", "--like", "yours", "--encoders", "unet")
    said = capsys.readouterr().out
    assert "data sets: mine (up to 16 tiles), yours (up to " in said and "time: about " in said
    both, mine = read_study("both"), read_study("mine")
    assert both.datasets == ["mine", "yours"] and both.readers == ["masks", "slides"]
    assert both.split == mine.split and both.compare == ["unet"]
    check.check_study(both)
    new("transfer", "--like", "mine", "--test-on", "yours")
    said = capsys.readouterr().out
    assert "split: yours tests and does nothing else" in said
    transfer = read_study("transfer")
    assert transfer.split.by == "dataset" and transfer.split.fractions == [0.77, 0.23, 0.0]
    assert not transfer.split.leaky and transfer.compare == mine.compare
    check.check_study(transfer)
    text = Path("studies/transfer/params.yaml").read_text()
    assert text.startswith("# transfer: trained on mine, tested on yours; its settings are those of mine.\n")
    assert "by: dataset" in text and "# the last data set tests; patients of the others" in text

    for words, wrong in (
        (("--like", "mine", "--test-on", "mine"), "--test-on is mine, which the study trains on"),
        (("--like", "both", "--test-on", "bcss"), "a study has 2 data sets at most, and these are mine, yours, bcss"),
        (("--like", "mine", "--test-on", "bcss"), "bcss has the classes"),
        (("--like", "mine", "--test-on", "nowhere"), "has no data set named 'nowhere'"),
        (("--slides", ".", "--test-on", "mine"), "--test-on goes with --like"),
    ):
        with pytest.raises(SystemExit):
            new("wrong", *words)
        assert wrong in capsys.readouterr().err
        assert not Path("studies/wrong").exists()
