"""What processes of a training add up is what one would have, integers exactly, whatever each has a part of."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pipeline.base.study_blocks import Loss
from pipeline.tiles.store import IGNORE
from pipeline.training.batches import Joined, Shared
from pipeline.training.loop import Shuffled
from pipeline.training.losses import segmentation_loss
from pipeline.training.peers import Alone, Peers, together
from tests.forked import on_each

TERMS = Loss(cross_entropy=1, dice=2, focal=3, smooth=1, dice_background=False)
BIG = 2**53 + 1  # which no float holds


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 5), st.integers(1, 2))
def test_every_position_is_had_by_one_process_an_epoch(count: int, size: int, processes: int, least: int) -> None:
    order = Shuffled(count, 1)
    whole = [set(batch) for batch in Joined(order, size)]
    parts = [list(Shared(Joined(order, size), rank, processes, least)) for rank in range(processes)]
    assert {len(part) for part in parts} == {len(whole)} == {len(Shared(Joined(order, size), 0, processes, least))}
    for number, batch in enumerate(whole):
        had = [part[number] for part in parts]
        assert sorted(position for mine in had for position in mine) == sorted(batch)
        assert all(len(mine) >= least for mine in had if mine) or len(batch) < least
        having = [len(mine) for mine in had if mine]
        assert max(having) - min(having) <= 1


def in_peers(check: Callable[[Peers], None]) -> None:
    """Have two processes check something of themselves and each other."""

    def run() -> None:
        with together() as peers:
            assert isinstance(peers, Peers)
            check(peers)

    assert on_each(run) == [0, 0]


def test_a_loss_and_its_gradient_are_those_of_the_whole_batch() -> None:
    drawn = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, 8, 8, generator=drawn)
    truth = torch.randint(0, 3, (3, 8, 8), generator=drawn)
    truth[0, :6] = IGNORE  # images of one batch count by their pixels
    weights = torch.tensor([0.5, 1.0, 2.0, 1.0])
    whole = logits.clone().requires_grad_()
    wanted = segmentation_loss(whole, truth, weights, TERMS)
    wanted.backward()

    def check(peers: Peers) -> None:
        rows = slice(0, 1) if peers.rank == 0 else slice(1, 3)
        own = logits[rows].clone().requires_grad_()
        loss = segmentation_loss(own, truth[rows], weights, TERMS, peers.add)
        loss.backward()
        assert whole.grad is not None
        torch.testing.assert_close(loss, wanted)
        torch.testing.assert_close(own.grad, whole.grad[rows])

    in_peers(check)


def test_counts_are_added_up_as_integers() -> None:
    def check(peers: Peers) -> None:
        counted = {"images": BIG, "confusion": torch.tensor([BIG, peers.rank]), "loss": 0.5}
        found = peers.total(counted if peers.rank else counted | {"rest": 1})
        assert found["images"] == 2 * BIG and found["loss"] == 1.0 and found["rest"] == 1
        assert found["confusion"].tolist() == [2 * BIG, 1]
        assert peers.total({"images": 3} if peers.rank else {}) == {"images": 3}

    in_peers(check)


def test_gradients_are_summed_where_any_process_has_one() -> None:
    def check(peers: Peers) -> None:
        network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Conv2d(3, 2, 1), nn.Conv2d(2, 2, 1))
        network = network.to(memory_format=torch.channels_last)
        nn.init.ones_(network[0].weight)
        first, second, third = network
        second.requires_grad_(False)
        if peers.rank == 0:
            first(torch.ones(1, 2, 4, 4)).sum().backward()
        peers.add_gradients(network)
        assert first.weight.grad is not None and first.weight.grad.unique().tolist() == [4.0]
        assert first.weight.grad.stride() == first.weight.stride()
        assert second.weight.grad is None and third.weight.grad is None
        if peers.rank:
            third(torch.ones(1, 2, 1, 1)).sum().backward()
        first(torch.ones(1, 2, 4, 4)).sum().backward()
        peers.add_gradients(network)
        assert first.weight.grad.unique().tolist() == [16.0]  # of both the 4 that they had, and 4
        assert third.weight.grad.unique().tolist() == [1.0]

    in_peers(check)


def test_what_batch_normalisation_saw_becomes_the_mean() -> None:
    def check(peers: Peers) -> None:
        norm = nn.BatchNorm2d(1)
        assert norm.running_mean is not None
        norm.running_mean.fill_(peers.rank * 2.0)
        peers.average_norms(norm)
        assert norm.running_mean.tolist() == [1.0]

    in_peers(check)


def test_parts_have_the_share_of_all_processes_parts() -> None:
    def check(peers: Peers) -> None:
        parts = [((torch.ones(2),), 0.67), ((torch.ones(1),), 0.33)] if peers.rank else [((torch.ones(1),), 1.0)]
        shares = [share for _, share in peers.weigh(parts, 2)]
        assert shares == pytest.approx([0.75, 0.25] if peers.rank else [0.75])

    in_peers(check)


def test_all_learn_that_one_lacked_memory_though_it_missed_sums() -> None:
    def check(peers: Peers) -> None:
        def idle() -> None:
            peers.add(torch.zeros(2))

        for short in (False, True):
            peers.weigh([], 1)
            if peers.rank == 0:
                assert peers.add(torch.ones(2))[0].tolist() == [1, 1]
            assert peers.agree(short and peers.rank == 1, 1, idle) == short

    in_peers(check)


def test_the_first_prepares_before_the_others_and_one_speaks(tmp_path: Path) -> None:
    def run() -> None:
        with together() as peers:
            with peers.first_alone():
                assert (tmp_path / "prepared").exists() == bool(peers.rank)
                (tmp_path / "prepared").touch()
            assert peers.tell(f"of {peers.rank}") == "of 0"
            raise ValueError("both fail")

    assert sorted(on_each(run), key=str) == [1, 75]


def test_who_is_alone_changes_nothing() -> None:
    with together() as peers:
        assert type(peers) is Alone and peers.add(torch.ones(1))[0].tolist() == [1]
        with peers.first_alone():
            assert peers.tell(3) == 3
