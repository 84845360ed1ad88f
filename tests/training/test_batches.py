"""A last batch of one image joins the one before where the network cannot learn from it, and only there."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pipeline.base.errors import Problem
from pipeline.base.study import read_study
from pipeline.models.unet import UNet
from pipeline.tasks.segmentation.learn import Segmentation
from pipeline.training.batches import Joined, need_company
from pipeline.training.loop import Shuffled, _loader

TRAIN = read_study("pannuke").train


def learner(batch: int, depth: int = 5, norm: bool = True) -> Any:
    model = SimpleNamespace(classes=["a", "b"], mean=[0.0] * 3, std=[1.0] * 3)
    train = TRAIN.model_copy(update={"batch": batch, "workers": 0})
    torch.manual_seed(0)
    return Segmentation(UNet(2, 2, depth, norm), model, train, [1.0, 1.0], 0)  # type: ignore[arg-type]


def examples(count: int, side: int = 32) -> Any:
    return [(np.full((side, side, 3), number, np.uint8), np.zeros((side, side), np.uint8)) for number in range(count)]


def sizes(module: Any, count: int, side: int = 32) -> list[int]:
    """Images in each batch that the loop would train on; each is learnt from."""
    found = []
    for batch in _loader(examples(count, side), module, Shuffled(count, 0)):
        module.train().measure(batch)
        found.append(len(batch[0]))
    return found


@given(count=st.integers(1, 60), size=st.integers(1, 9), epoch=st.integers(0, 3))
def test_every_position_once_and_none_alone(count: int, size: int, epoch: int) -> None:
    batches = Joined(Shuffled(count, 1), size)
    batches.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
    found, order = list(batches), Shuffled(count, 1)
    order.set_epoch(epoch)
    assert [position for batch in found for position in batch] == list(order)
    assert len(found) == len(batches) and {len(batch) for batch in found[:-1]} <= {size}
    assert len(found[-1]) in range(1 + (count > 1 and size > 1), size + 2)


def test_the_last_one_joins_where_it_cannot_be_learnt_from() -> None:
    assert sizes(learner(2), 5) == [2, 3]
    assert sizes(learner(4), 9) == [4, 5]
    assert sizes(learner(4), 10) == [4, 4, 2]


@pytest.mark.parametrize(("depth", "norm", "side"), [(4, True, 32), (5, False, 32), (5, True, 64)])
def test_all_else_is_as_it_was(depth: int, norm: bool, side: int) -> None:
    assert sizes(learner(2, depth, norm), 5, side) == [2, 2, 1]


def test_finding_out_changes_nothing() -> None:
    module = learner(2)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = torch.random.get_rng_state()
    assert need_company(module, examples(5))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_another_error_is_not_hidden() -> None:
    module = learner(2)
    module.network = nn.Sequential(nn.BatchNorm2d(7))
    with pytest.raises(RuntimeError):
        need_company(module, examples(5))


@pytest.mark.parametrize(("batch", "count", "said"), [(1, 4, "train.batch is 1"), (2, 1, "has one training example")])
def test_nothing_to_join_is_a_sentence(batch: int, count: int, said: str) -> None:
    with pytest.raises(Problem, match=rf"{said}, but the network's deepest map has 1 px.*\.$"):
        need_company(learner(batch), examples(count))
