"""What a study says of training shapes the weights."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipeline.base.records import Training
from pipeline.base.study import PixelStudy
from pipeline.models import build
from pipeline.tasks.segmentation.learn import class_weights, prepare
from pipeline.tiles.examples import Examples
from pipeline.training import resume
from tests.tiny_study import job_of, make_tiny_study, set_params
from tests.trainings import curves, run_train, weights_of

VARIANT = Path("models/tiny/run1/seed42/unet-plain")
ONLINE = {"crop": 32, "crops": 2, "scale": 0.2, "flips": True, "turns": True, "stain": 0.2, "colour": 0.1}


def test_a_frozen_encoder_keeps_its_first_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path, model__freeze_encoder=True)
    run_train(tmp_path, monkeypatch, "mobilenet_v2")
    folder = Path("models/tiny/run1/seed42/mobilenet_v2-plain")
    torch.manual_seed(42)
    network = build("mobilenet_v2", 6, 8, [32, 16, 8])
    trained = load_file(folder / "weights/model.safetensors")
    moved = {name.split(".")[0] for name, first in network.named_parameters() if not torch.equal(first, trained[name])}
    assert moved == {"decoder", "segmentation_head"}
    frozen = sum(value.numel() for value in network.get_submodule("encoder").parameters())
    record = Training.read(folder / "training/training.json")
    assert record.parameters - record.trainable_parameters == frozen


def test_online_augmentation_resumes_to_the_same_weights_and_is_for_augmented_variants_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "SHARE", math.inf)
    changes = {"train__schedule": "cosine", "train__optimiser": "adamw", "train__weight_decay": 0.01}
    changes |= {"train__patience": "none"}  # the last weights differ, the best ones may be the first
    make_tiny_study(tmp_path, **changes)
    run_train(tmp_path, monkeypatch)
    plain = weights_of()
    rates = [float(row["learning_rate"]) for row in curves(VARIANT)]
    assert rates == sorted(rates, reverse=True) and rates[0] < 0.003 and rates[-1] == pytest.approx(0, abs=1e-9)
    set_params(tmp_path, **changes, augment__online=ONLINE)
    plans = tmp_path / "data/plans/tiny/run1"
    (plans / "augmented.csv").write_bytes((plans / "plain.csv").read_bytes())
    run_train(tmp_path, monkeypatch)
    assert weights_of() == plain
    run_train(tmp_path, monkeypatch, plan="augmented")
    straight = weights_of(plan="augmented")
    assert straight != plain
    with pytest.raises(RuntimeError, match="killed"):
        run_train(tmp_path, monkeypatch, fail_at=3, plan="augmented")
    run_train(tmp_path, monkeypatch, plan="augmented")
    assert weights_of(plan="augmented") == straight


def test_adamw_and_weight_decay_change_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path)
    found = []
    for optimiser, decay in (("adam", 0.0), ("adamw", 0.0), ("adamw", 0.1), ("adam", 0.1)):
        set_params(tmp_path, train__optimiser=optimiser, train__weight_decay=decay, train__patience="none")
        run_train(tmp_path, monkeypatch)
        found.append(weights_of())
    assert found[0] == found[1]  # without decay they are the same
    assert len(set(found)) == 3


def test_class_weights_are_none_listed_or_balanced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path)
    monkeypatch.chdir(tmp_path)

    def found(value: object) -> list[float]:
        set_params(tmp_path, train__class_weights=value)
        job = job_of("unet")
        assert isinstance(job.settings, PixelStudy)
        return class_weights(job.settings, Examples.of(job.rows("train"), job.settings))

    assert found("none") == [1.0] * 6
    assert found([1, 2, 3, 0, 0, 0.5]) == [1.0, 2.0, 3.0, 0.0, 0.0, 0.5]
    balanced = found("balanced")
    assert balanced[3:] == [0, 0, 0] and sum(balanced) == pytest.approx(3)
    assert 0.5 < min(balanced[:3]) < 1 < max(balanced[:3]) < 2


def test_a_training_depends_on_what_shapes_it_and_not_on_how_it_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tiny_study(tmp_path)
    monkeypatch.chdir(tmp_path)

    def settings(**changes: object) -> dict[str, object]:
        set_params(tmp_path, **changes)
        lesson = prepare(job_of("unet"))
        return {**lesson.settings, "model": lesson.model}

    first = settings()
    assert settings(train__workers=2, predict__batch=1, report__examples=1, augment__online=ONLINE) == first
    for changes in ({"train__batch": 5}, {"ignore": ["dead"]}, {"model__width": 16}, {"greyscale": True}):
        assert settings(**changes) != first
