"""A study's params.yaml is read whole or refused with a sentence that names the key and the cure."""

import copy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.base.errors import Problem
from pipeline.base.schema import parse
from pipeline.base.study import KINDS, AnyStudy, DetectionStudy, PixelStudy, read_study, study_names, variant

ROOT = Path(__file__).parents[2]
NAMES = study_names(ROOT)
DETECTION = "bach"
PIXELS = "pannuke"
AREAS = "bracs"  # with a target


def load(name: str) -> Any:
    return YAML(typ="safe").load((ROOT / "studies" / name / "params.yaml").read_text())


def changed(name: str, **changes: Any) -> Any:
    """The file of a study with changes; `__` stands for a dot."""
    raw = copy.deepcopy(load(name))
    for key, value in changes.items():
        *blocks, last = key.split("__")
        block = raw
        for part in blocks:
            block = block[part]
        block[last] = value
    return raw


def study_of(name: str, **changes: Any) -> AnyStudy:
    raw = changed(name, **changes)
    return parse(KINDS[raw["task"]], {"study": name, **raw}, "params.yaml")


def refused(name: str, **changes: Any) -> str:
    with pytest.raises(Problem) as problem:
        study_of(name, **changes)
    assert str(problem.value).startswith("params.yaml: ")
    return str(problem.value)


def write(folder: Path, raw: Any, name: str = "mine") -> None:
    path = folder / "studies" / name / "params.yaml"
    path.parent.mkdir(parents=True)
    with path.open("w") as file:
        YAML(typ="safe").dump(raw, file)


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_files_are_valid_and_their_variants_studies(name: str) -> None:
    study = read_study(name, ROOT)
    assert isinstance(study, DetectionStudy if study.task == "detection" else PixelStudy)
    for changes in study.variants:
        encoder, settings = variant(study, changes)
        assert encoder == study.variants[changes]["encoder"]
        assert type(settings) is type(study)


@pytest.mark.parametrize("name", NAMES)
def test_no_key_has_a_null_which_dvc_would_lose(name: str) -> None:
    def nulls(value: Any) -> list[Any]:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        return [found for part in inner for found in nulls(part)] + ([value] if value is None else [])

    assert nulls(load(name)) == []


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("tile_sise", 64, "tile_sise is not a known key (did you mean tile_size?)"),
        ("train__epcohs", 3, "train.epcohs is not a known key (did you mean epochs?)"),
        ("train__loss__focall", 1, "train.loss.focall is not a known key (did you mean focal?)"),
        ("train__epochs", 0, "train.epochs is 0 but should be greater than 0"),
        ("train__epochs", "ten", "train.epochs is 'ten' but should be a valid integer"),
        ("train__patience", 0, "train.patience is 0 but should be greater than 0"),
        ("train__patience", "never", "train.patience is 'never'"),
        ("train__learning_rate", float("nan"), "train.learning_rate"),
        ("train__learning_rate", 2, "train.learning_rate is 2 but should be less than or equal to 1"),
        ("train__schedule", "linear", "train.schedule is 'linear' but should be 'constant' or 'cosine'"),
        ("train__class_weights", [1.0, 2.0], "has 2 values in train.class_weights for 6 classes; give one a class"),
        ("train__class_weights", [1.0, -2.0], "train.class_weights.1 is -2.0"),
        ("train__workers", -1, "train.workers is -1"),
        ("tile_size", 50, "tile_size is 50 but should be a multiple of 32"),
        ("greyscale", "no", "greyscale is 'no' but should be a valid boolean"),
        ("runs", [], "runs is []"),
        ("runs", [0], "runs.0 is 0 but should be greater than or equal to 1"),
        ("runs", [1, 2, 1], "names 1 twice in runs"),
        ("seeds", [-1], "seeds.0 is -1"),
        ("seeds", [42, 42], "names 42 twice in seeds"),
        ("seeds", 42, "seeds is 42 but should be a valid list"),
        ("compare", ["unet", "unet"], "names unet twice in compare"),
        ("compare", ["../unet"], "compare.0 is '../unet'"),
        ("compare", ["unet; rm -r"], "compare.0 is 'unet; rm -r'"),
        ("baselines", ["otsus"], "baselines.0 is 'otsus' but should be 'background', 'otsu' or 'commonest'"),
        ("classes", ["background", "dead", "dead"], "names dead twice in classes"),
        ("ablation", ["unet", "unet"], "names unet twice in ablation"),
        ("datasets", [], "datasets is []"),
        ("datasets", ["a", "b", "c"], "datasets is ['a', 'b', 'c'] but list should have at most 2 items"),
        ("datasets", ["a/b"], "datasets.0 is 'a/b'"),
        ("plans", ["plain", "split"], "plans.1 is 'split' but should be 'plain', 'augmented' or 'balanced'"),
        ("plans", ["plain", "plain"], "names plain twice in plans"),
        ("ignore", ["dad"], "ignores 'dad', which is none of its classes"),
        ("classifiers", ["unet"], "classifies tiles without a target"),
        ("started", ["unet"], "has unet start from a classifier and names none under classifiers"),
        ("balance__method", "undersample", "undersamples tiles without a target"),
        ("split__by", "slide", "split.by is 'slide' but should be 'official', 'random', 'group', 'tile'"),
        ("split__fractions", [0.5, 0.2, 0.2], "must add up to 1, not 0.9 (train, validation, test)"),
        ("split__fractions", [0.5, 0.5], "split.fractions is [0.5, 0.5]"),
        ("augment__factor", 0, "augment.factor is 0"),
        ("augment__factor", 7, "too few for a factor of 7 without repetition"),
        ("augment__factor", {"dead": 9.5}, "too few for a factor of 10 without repetition"),
        ("augment__transforms", ["rotate90", "rotate90", "rotate180"], "must not name a transform twice"),
        ("augment__transforms", ["rotate30"], "augment.transforms.0 is 'rotate30'"),
        ("augment__probability", 1.5, "augment.probability is 1.5"),
        ("augment__online", {"crop": 32}, "augment.online.crops is missing; add it"),
        ("instances__method", "stardist", "instances.method is 'stardist' but should be 'watershed' or 'components'"),
        ("instances__minimum_size", -1, "instances.minimum_size is -1"),
        ("model__head", 2, "model.head is 2 but should be 1 or 3"),
        ("model__weights", "", "model.weights is ''"),
        ("model__decoder_channels", [8, 8], "model.decoder_channels is [8, 8]"),
        ("model__anchors", [1, 2, 3, 4, 5], "model.anchors is not a known key"),
        ("predict__splits", ["validation"], "predict.splits.0 is 'validation'"),
        ("predict__score", 0.1, "predict.score is not a known key"),
        ("report__examples", 0, "report.examples is 0"),
        (
            "train__loss",
            {"cross_entropy": 0, "dice": 0, "focal": 0, "smooth": 1, "dice_background": True},
            "train.loss must give at least one term a weight above 0",
        ),
    ],
)
def test_a_wrong_value_is_named(key: str, value: Any, words: str) -> None:
    assert words in refused(PIXELS, **{key: value})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("target", "DCIS", "has the target 'DCIS' and the classes ['background', 'UDH']; give background and it"),
        ("target", "none", "undersamples tiles without a target and names none; give it one"),
        ("predict__probabilities", False, "has a target and predict.probabilities false"),
        ("classifiers", [], "has unet-densenet121 start from a classifier and names none"),
        ("balance__lesion_free", -1, "balance.lesion_free is -1"),
    ],
)
def test_a_wrong_value_of_a_study_with_a_target_is_named(key: str, value: Any, words: str) -> None:
    assert words in refused(AREAS, **{key: value})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("instances", "none", "instances is 'none' but should be 'network'"),
        ("augment__factor", {"insitu": 2}, "has an augment.factor for 'insitu', which is none of its classes"),
        ("model__anchor_iou", [0.7, 0.3], "has anchor_iou [0.7, 0.3]; give the threshold of the background first"),
        ("model__anchors", [8], "model.anchors is [8]"),
        ("model__head", 1, "model.head is not a known key"),
        ("train__loss", {}, "train.loss is not a known key"),
        ("predict__flips", True, "predict.flips is not a known key"),
        ("baselines", ["otsu"], "baselines.0 is 'otsu' but should be 'constant' or 'colour'"),
        ("predict__score", 1.1, "predict.score is 1.1"),
    ],
)
def test_a_wrong_value_of_a_study_of_detection_is_named(key: str, value: Any, words: str) -> None:
    assert words in refused(DETECTION, **{key: value})


@pytest.mark.parametrize("name", NAMES)
def test_no_key_has_a_default_but_what_one_method_needs(name: str) -> None:
    """What a stage reads stands in the file, so that dvc.yaml can name it."""
    raw = {"study": name, **load(name)}
    for key in raw:
        if key != "task":
            with pytest.raises(Problem, match=f"{key} is missing; add it"):
                parse(KINDS[raw["task"]], {other: value for other, value in raw.items() if other != key}, "params.yaml")


def test_a_missing_key_within_a_block_is_named() -> None:
    raw = load(PIXELS)
    del raw["train"]["epochs"]
    with pytest.raises(Problem, match=r"params\.yaml: train\.epochs is missing; add it"):
        parse(KINDS[raw["task"]], raw, "params.yaml")


def test_every_wrong_value_is_named_once() -> None:
    assert len(refused(PIXELS, seeds=[-1], tile_size=50).splitlines()) == 2


def test_none_is_a_word() -> None:
    study = study_of(PIXELS, train__patience="none", instances="none", augment__online="none", target="none")
    assert isinstance(study, PixelStudy)
    assert study.train.patience is study.instances is study.augment.online is study.target is None


def test_a_study_has_the_name_of_its_folder(tmp_path: Path) -> None:
    write(tmp_path, load(PIXELS))
    assert read_study("mine", tmp_path).study == "mine"
    write(tmp_path, {"study": "other", **load(PIXELS)}, "named")
    with pytest.raises(Problem, match=r"studies/named/params\.yaml: study is a key, but .* its folder; remove it\."):
        read_study("named", tmp_path)
    write(tmp_path, load(PIXELS), "a;touch b")
    with pytest.raises(Problem, match=r"'.*studies/a;touch b' is no name of a study; rename the folder: at most 64"):
        read_study("a;touch b", tmp_path)


@pytest.mark.parametrize(
    "bad", ["x; touch y; echo", "../docs", "a b", "", ".hidden", "-x", "x\n", "<b>", "a|b", "é", "x" * 65]
)
@pytest.mark.parametrize("key", ["datasets", "classes", "ignore", "compare", "ablation", "classifiers", "started"])
def test_names_have_one_alphabet(key: str, bad: str) -> None:
    assert f"{key}.0 is {bad!r}, which is no name; give at most 64 letters" in refused(PIXELS, **{key: [bad, "other"]})


@pytest.mark.parametrize("bad", ["x; touch y; echo", "unet\n", "../unet"])
def test_variants_and_encoders_have_it_too(bad: str) -> None:
    assert "which is no name" in refused(PIXELS, variants={bad: {"encoder": "unet"}})
    assert "has a wrong encoder in variants.mine" in refused(PIXELS, variants={"mine": {"encoder": bad}})


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({}, "task is None; give one of segmentation, detection"),
        ([], "task is None; give one of segmentation, detection"),
        ({"task": "tiles"}, "task is 'tiles'; give one of"),  # only a variant may
        ({"task": ["segmentation"]}, r"task is \['segmentation'\]; give one of"),
    ],
)
def test_a_study_has_a_task(tmp_path: Path, raw: Any, words: str) -> None:
    write(tmp_path, raw)
    with pytest.raises(Problem, match=rf"studies/mine/params\.yaml: {words}"):
        read_study("mine", tmp_path)


def test_an_unknown_study_is_named(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path, {}, name)
    (tmp_path / "studies" / "no-study").mkdir()
    assert study_names(tmp_path) == ["one", "two"]
    with pytest.raises(Problem, match=r"there is no study 'no-study' under .*studies; it holds one, two\."):
        read_study("no-study", tmp_path)


def test_a_variant_is_the_study_with_its_changes() -> None:
    study = study_of(PIXELS, variants={"mine": {"encoder": "resnet18", "model": {"weights": "imagenet"}}})
    encoder, settings = variant(study, "mine")
    assert encoder == "resnet18"
    assert isinstance(study, PixelStudy) and isinstance(settings, PixelStudy)
    assert (study.model.weights, settings.model.weights) == ("random", "imagenet")
    assert settings.model.model_copy(update={"weights": "random"}) == study.model
    assert settings.train == study.train


def test_what_a_variant_changes_within_a_block_leaves_the_rest_and_lists_are_replaced() -> None:
    changes = {"train": {"loss": {"dice": 1}}, "model": {"decoder_channels": [8, 8, 8]}, "task": "tiles"}
    study = study_of(PIXELS, variants={"mine": {"encoder": "unet", **changes}})
    _, settings = variant(study, "mine")
    assert isinstance(study, PixelStudy) and isinstance(settings, PixelStudy)
    assert settings.train.loss == study.train.loss.model_copy(update={"dice": 1})
    assert settings.model.decoder_channels == [8, 8, 8]
    assert (study.task, settings.task) == ("segmentation", "tiles")


def test_a_plain_encoder_changes_nothing() -> None:
    study = study_of(PIXELS)
    encoder, settings = variant(study, "vgg19")
    assert encoder == "vgg19"
    assert settings.model_copy(update={"variants": study.variants}) == study


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": {"width": 8}}, "names no encoder in variants.mine; give it one"),
        ({"encoder": "unet", "seeds": [1]}, "changes seeds in variants.mine, which all variants share; remove it"),
        ({"encoder": 19}, "has a wrong encoder in variants.mine, 19; give it the name of one"),
        ({"encoder": "res net"}, "has a wrong encoder in variants.mine, 'res net'; give it the name of one"),
        (
            {"encoder": "unet", "model": {"widht": 8}},
            "has a wrong variant: variants.mine: model.widht is not a known key (did you mean width?)",
        ),
        ({"encoder": "unet", "train": {"epochs": 0}}, "variants.mine: train.epochs is 0 but should be greater than 0"),
        ({"encoder": "unet", "train": 3}, "variants.mine: train is 3"),
        ({"encoder": "unet", "predict": {"splits": ["all"]}}, "variants.mine: predict.splits.0 is 'all'"),
        ({"encoder": "unet", "task": "detection"}, "variants.mine: "),
        ({"encoder": "unet", "task": "regression"}, "variants.mine: "),
    ],
)
def test_a_wrong_variant_is_named(changes: dict[str, Any], words: str) -> None:
    assert words in refused(PIXELS, variants={"mine": changes})


def test_a_variant_has_a_name_that_can_be_a_path() -> None:
    for name in ("a/b", "", "-x", "ä"):
        assert f"variants.{name}" in refused(PIXELS, variants={name: {"encoder": "unet"}})


def test_what_is_trained_stands_in_the_order_of_the_tables() -> None:
    study = study_of(
        PIXELS,
        compare=["vgg19", "encoder", "unet"],
        plans=["plain", "augmented"],
        ablation=["unet"],
        baselines=["otsu"],
    )
    assert study.trained("resnet50") == [
        ("vgg19", "plain"),
        ("vgg19", "augmented"),
        ("resnet50", "plain"),
        ("resnet50", "augmented"),
        ("unet", "plain"),
        ("unet", "augmented"),
        ("unet", "balanced"),
    ]
    assert study.trained("unet") == [*study.trained("vgg19")[:2], *study.trained("resnet50")[-3:]]


def test_the_ablation_of_augmented_variants_is_plain_and_started_ones_come_last() -> None:
    study = study_of(AREAS, compare=["unet", "resnet50"], plans=["augmented"], ablation=["resnet50"])
    assert study.trained("vgg19") == [
        ("unet", "augmented"),
        ("resnet50", "augmented"),
        ("resnet50", "plain"),
        ("unet-densenet121", "augmented"),
    ]


def test_ignored_classes_have_their_codes() -> None:
    assert study_of(PIXELS, ignore=["dead", "background"]).ignored == (4, 0)
    assert study_of(PIXELS).ignored == ()


@pytest.mark.parametrize(
    ("by", "leaky"), [("official", False), ("group", False), ("random", False), ("tile", True), ("image", True)]
)
def test_two_splits_leak_as_their_papers_have_it(by: str, leaky: bool) -> None:
    assert study_of(PIXELS, split__by=by).split.leaky is leaky
