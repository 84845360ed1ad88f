"""What a GPU makes of a batch's colours is what the loader would have made of its tiles; no test needs a GPU for it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pipeline.base.study_blocks import Online
from pipeline.models import unet
from pipeline.tasks.segmentation.learn import prepare, stack
from pipeline.training import jitter, loop, online, resume
from pipeline.training.online import Jitter, OnlineExamples, draw_colour, draw_stain, numbers
from tests.tiny_study import job_of, make_tiny_study
from tests.trainings import curves, run_train, weights_of

SIDE = 64  # px; numpy's running sum of larger tiles has too few digits to compare a mean with
ONLINE = {"crop": 32, "crops": 2, "scale": 0.2, "flips": True, "turns": True, "stain": 0.3, "colour": 0.1}
PURE = [[255 * (code >> bit & 1) for bit in range(3)] for code in range(8)]  # black, white and the saturated colours
STRENGTHS = [(0.3, 0), (1, 0), (0, 0.1), (0, 1), (0.3, 0.1), (0.5, 0.5), (1, 1)]  # of stain and colour
VARIANT = Path("models/tiny/run1/seed42/unet-augmented")


class Tiles:
    """Noise, tissue's colours, and areas of pure ones."""

    def __len__(self) -> int:
        return 12

    def native(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(position)
        image = rng.integers(0, 256, (SIDE, SIDE, 3))
        image[SIDE // 2 :] = rng.normal((200, 140, 190), 30, (SIDE // 2, SIDE, 3)).clip(0, 255)
        image[: SIDE // 4] = np.repeat(np.array(PURE), SIDE // 8, 0)
        return image.astype(np.uint8), rng.integers(0, 6, (SIDE, SIDE)).astype(np.uint8)


def data(**changes: Any) -> OnlineExamples:
    return OnlineExamples(Tiles(), Online(**{**ONLINE, "crop": SIDE, **changes}), 3)  # type: ignore[arg-type]


def apart(stain: float, colour: float, images: list[np.ndarray]) -> np.ndarray:
    """Levels between what both ways make of each pixel, the most of its channels, (tiles, H, W)."""
    rng = np.random.default_rng(0)
    drawn = [
        Jitter(draw_stain(stain, rng) if stain else None, draw_colour(colour, rng) if colour else None) for _ in images
    ]
    here = np.stack([online.recolour(image, jitter) for image, jitter in zip(images, drawn, strict=True)])
    there = jitter.recolour(torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack([*map(numbers, drawn)])))
    assert there.dtype == torch.uint8
    return np.asarray(np.abs(there.numpy().astype(int) - here).max(-1))


@pytest.mark.parametrize(("stain", "colour"), STRENGTHS)
def test_a_gpu_makes_the_same_colours_as_the_loader(stain: float, colour: float) -> None:
    found = apart(stain, colour, [Tiles().native(position)[0] for position in range(24)])
    assert found.max() <= 1
    assert (found > 0).mean() <= 1 / 1000


@pytest.mark.parametrize(("stain", "colour"), STRENGTHS)
def test_tiles_of_one_colour_are_at_most_a_level_apart(stain: float, colour: float) -> None:
    assert (
        apart(stain, colour, [np.full((SIDE, SIDE, 3), pure, np.uint8) for pure in PURE for _ in range(3)]).max() <= 1
    )


@pytest.mark.parametrize("name", ["stain", "colour"])
def test_no_study_may_ask_for_more_than_what_was_compared(name: str) -> None:
    with pytest.raises(ValidationError, match=r"less than or equal to 1"):
        Online(**{**ONLINE, name: 1.01})


def test_a_batch_is_its_tiles_one_by_one() -> None:
    left = data().for_gpu()
    images, class_maps, drawn = stack([left[number] for number in range(8)])
    assert images.shape == (8, SIDE, SIDE, 3) and class_maps.shape == (8, SIDE, SIDE) and drawn.shape == (8, 23)
    assert len({tuple(row) for row in drawn.tolist()}) == 8
    alone = [jitter.recolour(images[at : at + 1], drawn[at : at + 1]) for at in range(8)]
    assert torch.equal(jitter.recolour(images, drawn), torch.cat(alone))


def test_half_precision_of_the_network_takes_no_digit() -> None:
    images, _, drawn = stack([data().for_gpu()[number] for number in range(4)])
    with torch.autocast("cpu", torch.bfloat16):
        half = jitter.recolour(images, drawn)
    assert torch.equal(half, jitter.recolour(images, drawn))


def test_what_is_not_asked_for_changes_nothing() -> None:
    images = torch.arange(256, dtype=torch.uint8).repeat(3, 1).T.reshape(1, 16, 16, 3)
    assert torch.equal(jitter.recolour(images, torch.from_numpy(numbers(Jitter(None, None)))[None]), images)
    assert len(data(stain=0, colour=0).for_gpu()[0]) == 2


def test_what_is_left_to_a_gpu_is_what_the_loader_draws() -> None:
    whole, left = data(), data().for_gpu()
    assert len(left) == len(whole)
    for number in range(0, 3 * len(whole), 5):  # of several epochs
        image, class_map, drawn = stack([left[number]])
        changed, codes = whole[number][:2]
        np.testing.assert_array_equal(class_map[0].numpy(), codes)
        assert np.abs(jitter.recolour(image, drawn)[0].numpy().astype(int) - changed).max() <= 1


def test_a_gpu_changes_colours_and_else_the_loader_does() -> None:
    whole, other = data(), [0]
    assert loop.shown_to(torch.device("cpu"), whole) is whole
    assert len(loop.shown_to(torch.device("cuda", 1), whole)[0]) == 3
    assert loop.shown_to(torch.device("cuda", 1), other) is other


def make_study(folder: Path, **changes: Any) -> None:
    slow = {"train__learning_rate": 1e-5}  # Adam's first steps are as long whatever the gradient is
    make_tiny_study(folder, augment__online=ONLINE, train__patience="none", train__epochs=3, **slow | changes)
    plans = folder / "data/plans/tiny/run1"
    (plans / "augmented.csv").write_bytes((plans / "plain.csv").read_bytes())


def pretend(monkeypatch: pytest.MonkeyPatch, gpu: bool) -> list[torch.device]:
    """Show a training what a GPU, or a CPU, would be shown; the devices that ask."""
    asked: list[torch.device] = []
    shown_to = loop.shown_to

    def shown(device: torch.device, training: Any) -> Any:
        asked.append(device)
        return shown_to(torch.device("cuda" if gpu else "cpu"), training)

    monkeypatch.setattr(loop, "shown_to", shown)
    return asked


def train(folder: Path, gpu: bool, **options: Any) -> list[float]:
    """The losses of a training with the colours changed there or here."""
    with pytest.MonkeyPatch.context() as patch:
        asked = pretend(patch, gpu)
        run_train(folder, patch, plan="augmented", **options)
        assert [device.type for device in asked] == ["cuda" if torch.cuda.is_available() else "cpu"]
    return [float(row[name]) for row in curves(folder / VARIANT) for name in ("train_loss", "validation_loss")]


def test_a_step_has_the_loss_and_the_gradient_that_it_has_with_the_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    lesson = prepare(job_of("unet", "augmented"))
    losses, gradients = [], []
    for shown in (lesson.training, lesson.training.for_gpu()):
        lesson.learner.zero_grad()
        loss, _ = lesson.learner.measure(stack([shown[number] for number in range(4)]))
        loss.backward()
        losses.append(loss.item())
        gradients.append(torch.cat([value.grad.ravel() for value in lesson.learner.parameters()]))  # type: ignore[union-attr]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert torch.allclose(*gradients, rtol=0, atol=1e-4 * float(gradients[0].abs().max()))


def test_a_training_has_the_losses_that_it_has_with_the_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    here, there = train(tmp_path, gpu=False), train(tmp_path, gpu=True)
    assert there == pytest.approx(here, rel=1e-4)
    forward = unet.UNet.forward

    def short(self: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(self, batch)

    monkeypatch.setattr(unet.UNet, "forward", short)  # a batch in parts
    assert train(tmp_path, gpu=True) == pytest.approx(here, rel=0.01)


def test_processes_that_read_and_a_resumed_training_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "SHARE", math.inf)
    make_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    train(tmp_path, gpu=True)
    straight = weights_of(plan="augmented")
    with pytest.raises(RuntimeError, match="killed"):
        train(tmp_path, gpu=True, fail_at=2)
    make_study(tmp_path, train__workers=2)
    train(tmp_path, gpu=True)
    assert weights_of(plan="augmented") == straight
