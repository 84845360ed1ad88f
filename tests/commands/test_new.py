"""`lobule new`: what it understands of a person's folders, what it writes, and what it refuses in a sentence."""

import difflib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dvc.utils.hydra import apply_overrides
from PIL import Image
from ruamel.yaml import YAML

from pipeline.base.errors import Problem
from pipeline.base.params import read_params
from pipeline.base.study import parse_study, read_study, variant
from pipeline.commands import main
from pipeline.own.like import like
from pipeline.stages import check
from tests.own import drawn
from tests.own.project import make

MICRONS = ("--microns-per-pixel", "0.5")
CLASSES = ("--classes", "background,tumour,stroma")
WRITTEN = {
    "params.yaml",
    "dvc.yaml",
    "studies/mine/params.yaml",
    "studies/mine/dvc.yaml",
    "studies/mine/paper/.gitkeep",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `lobule new` reads and writes of a project, with a study to copy from."""
    return make(tmp_path, monkeypatch)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Images and indexed masks of three classes, two images of each of eight patients."""
    truths = drawn.draw(tmp_path / "data/images", patients=8, classes=3)
    drawn.save(tmp_path / "data/masks", truths, drawn.indexed)
    return tmp_path / "data"


def new(data: Path, *words: str, name: str = "mine") -> None:
    folders = ("--images", str(data / "images"), "--masks", str(data / "masks"))
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patched:
        patched.setattr("sys.argv", ["lobule", "new", name, *folders, *words])
        main()


def refused(data: Path, capsys: pytest.CaptureFixture[str], *words: str, name: str = "mine") -> str:
    """What is said where it ends with exit code 1; nothing was written."""
    before = sorted(Path().rglob("*"))
    texts = {path: path.read_bytes() for path in before if path.is_file()}
    with pytest.raises(SystemExit) as stopped:
        new(data, *words, name=name)
    assert stopped.value.code == 1
    assert {path: path.read_bytes() for path in texts} == texts
    assert [path for path in sorted(Path().rglob("*.*")) if path not in before and "look" not in path.name] == []
    return capsys.readouterr().err


def added(before: str, after: str) -> list[str]:
    """The lines of a file that are new; none of the old ones may be gone."""
    lines = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    assert [line for line in lines if line.startswith("-") and "own: {}" not in line] == []
    return [line[2:] for line in lines if line.startswith("+")]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_class_codes_with_patients_of_a_pattern(project: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, untouched = snapshot(project), snapshot(data)
    new(data, *MICRONS, *CLASSES, "--patient-pattern", r"^(p\d)_", "--encoders", "resnet18,unet")
    said = capsys.readouterr().out
    for line in (
        f"{data / 'images'}: found 16 files = used 16 + left out 0",
        "pairs: 16; the mask of image {} is {}",
        "masks: a code for each class, in the order of the names (16 PNG, indexed; values of 16 read)",
        "class 1: tumour (value 1), ",
        "sizes: 64 to 64 px wide, 64 to 64 px high",
        "resolution: 0.5 µm/px, from --microns-per-pixel",
        r"patients: 8 (p1, p2, p3, p4, p5, ...), from the pattern '^(p\d)_' on the names",
        "tiles: 16 of 64 x 64 px",
        "split: 8 patients: 50% train, 15% validate, 35% test (3 patients)",
        "3 patients to test on: too few",
        "Now: dvc repro studies/mine/dvc.yaml",
    ):
        assert line in said, line
    after = snapshot(project)
    assert {name for name, text in after.items() if before.get(name) != text} == WRITTEN | {
        "reports/private/mine.look.png"
    }
    assert snapshot(data) == untouched
    new_params = added(before["params.yaml"].decode(), after["params.yaml"].decode())
    assert new_params[:2] == ["own:" + new_params[0][4:], "  mine: masks"] and "  mine:" in new_params
    assert added(before["dvc.yaml"].decode(), after["dvc.yaml"].decode()) == [
        "      - reports/mine",
        "      - studies/mine/paper",
        "      - studies/mine/params.yaml: *compared",
    ]
    YAML(typ="safe").load(after["dvc.yaml"].decode())
    apply_overrides(project / "params.yaml", ["encoder=vgg19"])  # as `dvc exp run -S`: one line changes
    lines = [text.splitlines() for text in (after["params.yaml"].decode(), Path("params.yaml").read_text())]
    changed = [line.split()[1:3] for line in difflib.ndiff(*lines) if line[0] in "+-"]
    assert changed == [["encoder:", "resnet50"], ["encoder:", "vgg19"]]
    study, params = read_study("mine"), read_params()
    assert study.compare == ["resnet18", "unet"] and study.classes == ["background", "tumour", "stroma"]
    assert study.split.by == "group" and study.instances is None and study.baselines == ["background"]
    check.check_study(study)
    check.check_project()
    found = params.datasets["mine"]
    assert found.source == str(data) and found.masks is not None and found.masks.tile_size == 64
    sheet = np.asarray(Image.open("reports/private/mine.look.png"))
    assert (sheet == (213, 94, 0)).all(axis=-1).any() and (sheet == (0, 114, 178)).all(axis=-1).any()


def test_run_again_it_changes_nothing_or_shows_the_difference_and_asks(
    project: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    new(data, *MICRONS, *CLASSES)
    before = snapshot(project)
    capsys.readouterr()
    new(data, *MICRONS, *CLASSES)
    assert "nothing of it changes" in capsys.readouterr().out and snapshot(project) == before
    with pytest.raises(SystemExit):
        new(data, *MICRONS, *CLASSES, "--epochs", "3")
    said = capsys.readouterr()
    assert "+  epochs: 3 " in said.out and "-  epochs: 30 " in said.out and "give --yes to write it" in said.err
    assert snapshot(project) == before
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    with pytest.raises(SystemExit):
        new(data, *MICRONS, *CLASSES, "--epochs", "3")
    assert snapshot(project) == before
    monkeypatch.setattr("builtins.input", lambda _: "y")
    new(data, *MICRONS, *CLASSES, "--epochs", "3")
    assert read_study("mine").train.epochs == 3
    new(data, *MICRONS, *CLASSES, "--epochs", "4", "--yes")
    assert read_study("mine").train.epochs == 4


@pytest.mark.parametrize(
    ("mask", "words", "values", "classes"),
    [
        (drawn.numbered, (), "instances", {"background": 0, "nucleus": 1}),
        (drawn.numbered, ("--classes", "none,cell"), "instances", {"none": 0, "cell": 1}),
        (lambda t: drawn.grey(drawn.Truth((t.codes > 0) * 255, t.numbers)), (), "codes",
         {"background": 0, "foreground": 255}),
        (lambda t: drawn.grey(drawn.Truth((t.codes > 0) * 1, t.numbers)), ("--classes", "stroma,tumour", "--nuclei"),
         "codes", {"stroma": 0, "tumour": 1}),
        (drawn.grey, ("--values", "instances"), "instances", {"background": 0, "nucleus": 1}),
        (drawn.coloured, ("--legend", "colours.csv"), "colours",
         {"background": "#000000", "tumour": "#ff0000", "stroma": "#00ff00"}),
        (drawn.grey, ("--legend", "codes.json"), "codes", {"none": 0, "lesion": "1, 2"}),
    ],
    ids=["instances", "named instances", "binary", "binary of nuclei", "said instances", "colours", "joined codes"],
)  # fmt: skip
def test_every_kind_is_named(
    project: Path, data: Path, mask: Any, words: tuple[str, ...], values: str, classes: dict[str, Any]
) -> None:
    truths = drawn.draw(data / "images", patients=8, classes=3)
    shutil.rmtree(data / "masks")
    drawn.save(data / "masks", truths, mask)
    Path("colours.csv").write_text("colour,name\n#000000,background\n#FF0000,tumour\n0,255,0,stroma\n")
    Path("codes.json").write_text('{"0": "none", "1": "lesion", "2": "lesion"}')
    new(data, *MICRONS, *words)
    found = read_params().datasets["mine"].masks
    assert found is not None and found.values == values and found.classes == classes
    study = read_study("mine")
    nuclei = values == "instances" or "--nuclei" in words
    assert (study.instances is not None) == nuclei == ("otsu" in study.baselines)
    check.check_study(study)


@pytest.mark.parametrize(
    ("mask", "words", "said"),
    [
        (drawn.grey, (), "the masks hold the values 0, 1, 2, which may be classes, or nuclei without classes; say it"),
        (drawn.coloured, (), "16 of 16 masks are coloured (3 colours, #000000, #00ff00, #ff0000)"),
        (drawn.grey, ("--classes", "a,b"), "--classes names 2 classes, whose codes are 0 to 1, and the masks hold 2"),
        (drawn.numbered, CLASSES, "a number for each nucleus, which tells no class, and several classes were named"),
        (drawn.coloured, ("--values", "colours"), "nothing names them; give `--legend FILE`"),
        (drawn.coloured, ("--legend", "short.csv"), "holds the colour #00ff00, which no class has"),
        (drawn.grey, ("--legend", "bad.csv"), "the line of 'tumour' is not a value and a name"),
        (drawn.grey, ("--legend", "none.csv"), "none.csv cannot be read"),
        (drawn.grey, (*CLASSES, "--legend", "bad.csv"), "--classes and --legend both name the classes"),
        (drawn.grey, (*CLASSES, "--patients", "a.csv", "--patients", "b.csv"), "a.csv and b.csv both tell"),
        (drawn.grey, (*CLASSES, "--patients", "a.csv"), "which is no file; give a .csv"),
        (drawn.grey, (*CLASSES, "--encoders", "resnet5O"), "the encoder 'resnet5O' is not known"),
        (drawn.grey, (*CLASSES, "--encoders", "resnet18,resnet18"), "--encoders names resnet18 twice"),
        (drawn.grey, (*CLASSES, "--epochs", "0"), "--epochs is 0 and should be at least 1"),
        (drawn.grey, (*CLASSES, "--weights", "nowhere.pth"), "--weights is nowhere.pth, which is no file"),
        (drawn.grey, (*CLASSES, "--weights", "mine=nowhere.pth"), "--weights is nowhere.pth, which is no file"),
        (drawn.grey, (*CLASSES, "--weights", "random", "--weights", "random"), "--weights calls two random; give each"),
        (drawn.grey, (*CLASSES, "--microns-per-pixel", "-1"), "--microns-per-pixel is -1 and should be above 0"),
        (drawn.grey, (*CLASSES, "--ignore", "x"), "--ignore is 'x'"),
        (drawn.grey, ("--classes", "a,b,a"), "--classes names a twice"),
        (drawn.grey, ("--classes", "a,b,c | d"), "calls a class 'c | d'; give it letters, digits, dots, underscores"),
    ],
    ids=lambda value: None if callable(value) else str(value)[:30],
)  # fmt: skip
def test_what_is_ambiguous_or_wrong_is_asked_for(
    project: Path, data: Path, capsys: pytest.CaptureFixture[str], mask: Any, words: tuple[str, ...], said: str
) -> None:
    truths = drawn.draw(data / "images", patients=8, classes=3)
    drawn.save(data / "masks", truths, mask)
    Path("short.csv").write_text("#000000,background\n#ff0000,tumour\n")
    Path("bad.csv").write_text("0,background\ntumour,tumour\n")
    assert said in refused(data, capsys, *MICRONS, *words)


def test_a_pixel_without_a_size_is_asked_for(project: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "does not tell the size of its pixels; give `--microns-per-pixel`" in refused(data, capsys, *CLASSES)


def test_every_unreadable_file_is_told_and_nothing_is_written(
    project: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "masks/p3_1.png").write_bytes(b"\x89PNG no")
    said = refused(data, capsys, *MICRONS, *CLASSES)
    assert "masks/p3_1.png" in said and "save it again, or move it away" in said
    (data / "masks/p3_1.png").write_bytes((data / "masks/p3_0.png").read_bytes())
    Image.new("L", (8, 8)).save(data / "masks/p4_0.png")
    (data / "images/p5_0.png").write_bytes(b"")
    (data / "masks/p6_0.png").write_bytes((data / "masks/p6_1.png").read_bytes()[:-60])
    said = refused(data, capsys, *MICRONS, *CLASSES)
    assert (
        "3 of 16 pairs fail" in said
        and "p6_0.png" in said
        and "p5_0.png" in said
        and "p4_0.png has 8 x 8 px, its image" in said
    )


@pytest.mark.parametrize("name", ["bcss", "masks", "private", "README", "a b", "a.b", "-a", "ä"])
def test_names_that_cannot_be(project: Path, data: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    if name == "-a":
        return  # argparse takes it for an option
    assert refused(data, capsys, *MICRONS, *CLASSES, name=name).startswith("lobule: ")


def test_without_patients_it_says_so(project: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new(data, *MICRONS, *CLASSES)
    said = capsys.readouterr().out
    assert "patients: NOT KNOWN. The split is by image" in said and "split: 16 images" in said


def test_three_images_are_too_few_and_it_goes_on(project: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in [*data.glob("*/p[2-8]_*"), *data.glob("*/p1_1*")]:
        path.unlink()
    assert "there is one image of one tile alone" in refused(data, capsys, *MICRONS, *CLASSES)
    truths = drawn.draw(data / "images", patients=3, images=1, classes=3)
    drawn.save(data / "masks", truths, drawn.indexed)
    new(data, *MICRONS, *CLASSES)
    said = capsys.readouterr().out
    assert "split: 3 images: 60% train, 40% test (1 image)" in said and "too few" in said
    study = read_study("mine")
    assert study.split.fractions == [0.6, 0.0, 0.4] and study.train.patience is None


def test_one_image_alone_is_split_in_blocks(project: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in [*data.glob("*/p[2-8]_*"), *data.glob("*/p1_1*")]:
        path.unlink()
    new(data, *MICRONS, *CLASSES, "--tile", "32", "--patient-pattern", r"^(p\d)_")
    said = capsys.readouterr().out
    assert "split: 4 blocks: 60% train, 40% test (2 blocks)" in said
    assert "There is one image alone, which is too few. It goes on in blocks of it" in said
    study = read_study("mine")
    assert study.split.by == "block" and study.split.leaky and study.train.patience is None
    assert "# one image or slide alone, in blocks, which leaks" in Path("studies/mine/params.yaml").read_text()


def test_several_images_of_one_patient_are_refused(
    project: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(data, capsys, *MICRONS, *CLASSES, "--patient-pattern", "^(p)")
    assert "there is one patient alone, and a model is tested on others" in said
    assert "or leave the patients out: then images are split, and the report warns" in said


def test_thirty_classes(project: Path, data: Path) -> None:
    for number, path in enumerate(sorted((data / "masks").iterdir())):
        codes = np.arange(64 * 64).reshape(64, 64) % 30 if number else np.zeros((64, 64))
        Image.fromarray(codes.astype(np.uint8)).save(path)
    new(data, *MICRONS, "--classes", ",".join([*map(str, range(29)), "true"]))
    study = read_study("mine")
    assert (
        len(study.classes) == 30
        and study.classes[7] == "7"
        and study.classes[29] == "true"
        and study.baselines == ["commonest"]
    )
    check.check_study(study)


def test_dictionaries_as_cellvit_has_them(project: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truths = drawn.draw(data / "images", patients=8, classes=3)
    shutil.rmtree(data / "masks")
    (data / "masks").mkdir()
    for name, truth in truths.items():
        value = {"inst_map": truth.numbers, "type_map": truth.codes}
        np.save(data / f"masks/{name}.npy", np.array(value, object), allow_pickle=True)
    assert "the masks are dictionaries whose classes are 0, 1, 2" in refused(data, capsys, *MICRONS)
    new(data, *MICRONS, *CLASSES)
    assert "masks: a number and a class for each nucleus (16 NumPy dictionary;" in capsys.readouterr().out
    found = read_params().datasets["mine"].masks
    assert found is not None and found.values == "dictionaries" and read_study("mine").instances is not None


def test_one_folder_in_which_names_tell_images_from_masks(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truths = drawn.draw(tmp_path / "both", classes=3)
    drawn.save(tmp_path / "both", truths, drawn.indexed, "{}_label.png")
    (tmp_path / "data").mkdir()
    for name in ("images", "masks"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "both")
    new(tmp_path / "data", *MICRONS, *CLASSES)
    said = capsys.readouterr().out
    assert "pairs: 8; the mask of image {} is {}_label" in said and "found 16 files = used 16 + left out 0" in said


def test_masks_lie_flat_beside_images_in_a_folder_for_each_patient(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truths = drawn.draw(tmp_path / "data/images", patients=8, images=11, classes=3)  # p1_1 begins p1_10
    drawn.save(tmp_path / "data/masks", truths, drawn.indexed)
    for path in list((tmp_path / "data/images").iterdir()):
        (tmp_path / "data/images" / path.name[:2]).mkdir(exist_ok=True)
        path.rename(tmp_path / "data/images" / path.name[:2] / path.name)
    new(tmp_path / "data", *MICRONS, *CLASSES, "--patient-pattern", "^(.*)/")
    said = capsys.readouterr().out
    assert "masks: 88 lie in other folders than their images and are paired by the bare name, such as p1_0.png" in said
    assert "pairs: 88; the mask of image {} is {}" in said and "patients: 8 (p1, p2, p3, p4, p5, ...)" in said


def test_classes_of_nuclei_from_a_table(project: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truths = drawn.draw(data / "images", patients=8, classes=3)
    drawn.save(data / "masks", truths, drawn.numbered)
    rows = drawn.class_rows(truths, ["Tumour", "Immune cell"])
    (data / "nuclei.csv").write_text("\n".join(["image,id,class", *rows]))
    new(data, *MICRONS, "--class-table", str(data / "nuclei.csv"))
    said = capsys.readouterr().out
    assert f"nuclei.csv: found {len(rows)} rows = used {len(rows)} + left out 0" in said
    assert "masks: a number for each nucleus, its class in a table beside" in said
    assert "classes: background, Immune_cell, Tumour, classes from nuclei.csv" in said
    assert f"class 1: Immune_cell, {sum('Immune' in row for row in rows)} rows" in said
    found = read_params().datasets["mine"].masks
    assert found is not None and found.class_table == "nuclei.csv" and found.values == "instances"
    assert read_study("mine").classes == ["background", "Immune_cell", "Tumour"]
    both = ("--class-table", str(data / "nuclei.csv"), "--class-maps", str(data / "masks"))
    assert "--class-maps and --class-table both tell" in refused(data, capsys, *MICRONS, *both)


def test_a_study_like_another_one(project: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new(data, *MICRONS, *CLASSES, "--epochs", "7")
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patched:
        patched.setattr("sys.argv", ["lobule", "new", "other", "--like", "mine", "--encoders", "unet"])
        main()
    mine, other = read_study("mine"), read_study("other")
    assert other.compare == ["unet"] and other.variants == {"unet": {"encoder": "unet"}}
    assert other.datasets == ["mine"] and other.train == mine.train and other.split == mine.split
    said = Path("studies/other/params.yaml").read_text()
    assert said.startswith("# other: masks with") and "go to reports/other, where" in said
    with pytest.raises(Problem, match="there is no study"):
        like("third", ["fourth"])


def test_first_weights_are_compared_where_there_are_several(
    project: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("my weights.pth").touch()
    weights = ("--weights", "random", "--weights", "imagenet=my weights.pth", "--weights", "my weights.pth")
    new(data, *MICRONS, *CLASSES, "--encoders", "resnet18,unet", *weights)
    said = capsys.readouterr().out
    assert "for 4 x 30 epochs" in said and "first weights: random" not in said
    study = read_study("mine")
    assert study.compare == ["resnet18-random", "resnet18-imagenet", "resnet18-my-weights", "unet"]
    assert [variant(study, name)[1].model.weights for name in study.compare] == [
        "random",
        "my weights.pth",
        "my weights.pth",
        "random",
    ]
    check.check_study(study)
    one = {"random": "random"}
    with pytest.raises(Problem, match="the variants have their own; give --encoders, too"):
        like("other", ["mine"], weights=one)
    texts = like("other", ["mine"], ["resnet18"], one)
    other = parse_study(
        YAML(typ="safe").load(texts[Path("studies/other/params.yaml")]), Path("studies/other/params.yaml")
    )
    assert other.compare == ["resnet18"] and other.variants == {"resnet18": {"encoder": "resnet18"}}


def test_one_checkpoint_is_the_first_weights_of_all(project: Path, data: Path) -> None:
    Path("my: weights #1.pth").touch()
    new(data, *MICRONS, *CLASSES, "--encoders", "resnet18", "--weights", "my: weights #1.pth")
    study = read_study("mine")
    assert study.compare == ["resnet18"] and study.model.weights == "my: weights #1.pth"
