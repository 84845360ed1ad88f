"""A batch for which memory is short is learnt in parts: the same gradient, the same counts, and it is said."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from pipeline.base.errors import Problem
from pipeline.base.records import Training
from pipeline.models import unet
from pipeline.training import loop
from pipeline.training.learner import cut
from tests.tiny_study import make_tiny_study
from tests.trainings import curves, run_train

VARIANT = Path("models/tiny/run1/seed42/unet-plain")


def limit(monkeypatch: pytest.MonkeyPatch, images: int) -> None:
    """A U-Net that runs out of memory on more than so many images, as a small GPU would, backward or forward."""
    forward = unet.UNet.forward

    def short(self: nn.Module, batch: torch.Tensor) -> torch.Tensor:
        if len(batch) > images:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(self, batch)

    monkeypatch.setattr(unet.UNet, "forward", short)


def test_a_batch_is_cut_into_parts_with_their_share() -> None:
    batch = torch.arange(5), [0, 1, 2, 3, 4]
    parts = list(cut(batch, 2))
    assert [(part[0].tolist(), part[1], share) for part, share in parts] == [
        ([0, 1, 2], [0, 1, 2], 0.6),
        ([3, 4], [3, 4], 0.4),
    ]
    assert next(cut(batch, 1))[0] is batch


def test_too_little_memory_halves_the_batch_and_keeps_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_tiny_study(tmp_path, train__epochs=1, train__loss__dice=0)  # cross-entropy is a mean of pixels, as many a tile
    run_train(tmp_path, monkeypatch)
    whole, losses = load_file(VARIANT / "weights/model.safetensors"), curves(VARIANT)
    limit(monkeypatch, 2)
    run_train(tmp_path, monkeypatch)
    parts = load_file(VARIANT / "weights/model.safetensors")
    assert "batches are learnt in 2 parts" in capsys.readouterr().out
    assert Training.read(VARIANT / "training/training.json").machine.parts == 2
    assert all(torch.allclose(whole[name], parts[name], atol=1e-3) for name in whole)
    for name in ("train_loss", "validation_loss"):
        assert float(curves(VARIANT)[0][name]) == pytest.approx(float(losses[0][name]), rel=0.02)


def test_too_little_memory_for_one_image_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path)
    limit(monkeypatch, 0)
    with pytest.raises(
        Problem, match="the GPU has too little memory for one image at a time; take a smaller tile_size"
    ):
        run_train(tmp_path, monkeypatch)
    assert not VARIANT.exists()


def test_weights_that_the_last_step_spoiled_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path, train__epochs=1)
    fit = loop.Epochs.on_train_epoch_end

    def spoiled(self: loop.Epochs, *arguments: Any) -> None:
        fit(self, *arguments)
        next(iter(self.best.values())).fill_(torch.nan)

    monkeypatch.setattr(loop.Epochs, "on_train_epoch_end", spoiled)
    with pytest.raises(Problem, match=r"the trained weights are no finite numbers \(.*\); lower train\.learning_rate"):
        run_train(tmp_path, monkeypatch)
    assert not VARIANT.exists()


def test_what_a_process_that_reads_tiles_says_or_dies_of_is_one_sentence() -> None:
    handed = (
        "Caught Problem in DataLoader worker process 0.\nTraceback:\npipeline.base.errors.Problem: a.h5 is damaged.\n"
    )
    assert str(loop.told(Problem(handed))) == "a.h5 is damaged."
    died = loop.told(RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "))
    assert isinstance(died, Problem) and str(died).startswith(
        "a process that reads tiles died (DataLoader worker (pid 7)"
    )
