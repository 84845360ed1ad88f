"""Which images make a batch, and which of these a process learns from.

Of a single one batch normalisation cannot learn where a map has a single pixel.
"""

import copy
from collections.abc import Iterable, Iterator, Sized
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


class Shared(Sampler[list[int]]):
    """What one process has of each batch: every position is had by one, and by `least` together or none.

    Attributes:
        sampler: where Lightning looks for what is told the epoch.
    """

    def __init__(self, batches: Any, rank: int, count: int, least: int) -> None:
        self.sampler = batches.sampler
        self.batches: Iterable[list[int]] = batches
        self.length = len(batches)
        self.rank = rank
        self.count = count
        self.least = least

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches:
            having = max(min(self.count, len(batch) // self.least), 1)  # of the last batch not all may have something
            yield batch[self.rank :: having] if self.rank < having else []


def least_of(learner: "Learner", examples: Any) -> int:
    """How many images a process must have of a batch to learn from it.

    Raises:
        Problem: the batch is too small for so many processes.
    """
    size, count = learner.train_params.batch, learner.peers.count
    least = 2 if _fails_alone(learner, examples) else 1
    if size < least * count:
        alone = ", of which each needs two images for its batch normalisation" if least > 1 else ""
        raise Problem(
            f"{count} processes train{alone}, and train.batch is {size}; set LOBULE_DEVICES and LOBULE_NODES so that"
            f" they are {size // least} at most."
        )
    return least


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
