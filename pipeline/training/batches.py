"""Batches of a single image, of which batch normalisation cannot learn where a map has a single pixel."""

import copy
from collections.abc import Iterator, Sized
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import Sampler

from pipeline.base.errors import Problem

if TYPE_CHECKING:
    from pipeline.training.loop import Learner

ALONE = "Expected more than 1 value per channel"  # torch's words


class Joined(Sampler[list[int]]):
    """Batches of a sampler's positions, of which a last one of one position joins the one before.

    Attributes:
        sampler: where Lightning looks for what is told the epoch.
    """

    def __init__(self, sampler: Sampler[int], size: int) -> None:
        assert isinstance(sampler, Sized)
        self.sampler = sampler
        self.count = len(sampler)
        self.size = size

    def __len__(self) -> int:
        return -(-self.count // self.size) - (self.count > self.size and self.count % self.size == 1)

    def __iter__(self) -> Iterator[list[int]]:
        order = list(self.sampler)
        for number in range(len(self)):
            last = number + 1 == len(self)
            yield order[number * self.size : None if last else (number + 1) * self.size]


def need_company(learner: "Learner", examples: Any) -> bool:
    """Whether a learner cannot learn from the last batch, since that is of one example. Changes nothing of the learner.

    Raises:
        Problem: every batch is of one example.
    """
    count, size = len(examples), learner.train_params.batch
    if count % size != 1 % size or not _fails_alone(learner, examples):
        return False
    if size == 1 or count == 1:
        why = "train.batch is 1" if size == 1 else "the plan has one training example"
        raise Problem(
            f"{why}, but the network's deepest map has 1 px, of which batch normalisation cannot learn from one image:"
            f" give {'train.batch 2 or more' if size == 1 else 'more tiles'}, a larger tile_size or fewer"
            " model.decoder_channels in the study's params.yaml."
        )
    return True


def _fails_alone(learner: "Learner", examples: Any) -> bool:
    """Whether a step with one example ends in torch's refusal; tried on a copy, without drawing a random number."""
    if not any(isinstance(module, _BatchNorm) for module in learner.modules()):
        return False
    trial = copy.deepcopy(learner).train()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            trial.measure(trial.collate([examples[0]]))
        except ValueError as error:
            if ALONE in str(error):
                return True
            raise
    return False
