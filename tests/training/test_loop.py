"""The order in which tiles are learnt from follows from seed and epoch."""

from pipeline.training.loop import Shuffled


def test_the_order_of_tiles_follows_from_seed_and_epoch() -> None:
    sampler = Shuffled(20, seed=3)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second
    sampler.set_epoch(0)
    assert list(sampler) == first
    assert list(Shuffled(20, seed=4)) != first


def test_positions_are_numbered_by_epoch_where_a_data_set_wants_to_know_it() -> None:
    sampler = Shuffled(20, seed=3, numbered=True)
    assert list(sampler) == list(Shuffled(20, seed=3))
    sampler.set_epoch(2)
    assert sorted(sampler) == list(range(40, 60))
