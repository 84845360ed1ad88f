"""What the processes of one training do together: add up sums, gradients and counts, agree, speak with one voice.

Alone does nothing of it, and costs nothing. Of several each has its part of every batch. The loss is that of the whole
batch: what it is a ratio of is added up over processes, and each adds the gradient of its own part. Gradients are added
up after the backward pass and not within it, so that all can learn a batch anew, in smaller parts, where one lacks
memory.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import distributed
from torch.nn.modules.batchnorm import _BatchNorm

from pipeline.base.errors import Problem
from pipeline.training.processes import INTERRUPTED, SILENT, Place, place

COMING = timedelta(minutes=10)  # in which all processes must have come
LONGEST = timedelta(hours=1)  # that one may wait for another


class Alone:
    """The one process of a training."""

    rank = 0
    count = 1
    where: Place | None = None

    def add(self, *sums: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Sums over all processes of what each has summed; the gradient is that of its own part."""
        return sums

    def weigh(self, parts: list[tuple[Any, float]], most: int) -> list[tuple[Any, float]]:
        """Parts of a batch, `most` at most, with the share that all processes' parts of this number have of it."""
        return parts

    def agree(self, short: bool, parts: int, idle: Callable[[], object]) -> bool:
        """Whether memory was short anywhere; `idle` takes part in the sums of a part that this process has not."""
        return short

    def add_gradients(self, network: torch.nn.Module) -> None:
        """Make each gradient the sum over processes."""

    def average_norms(self, network: torch.nn.Module) -> None:
        """Make what batch normalisation has seen the mean over processes."""

    def total(self, sums: dict[str, Any]) -> dict[str, Any]:
        """Sums over processes of what each has counted; of integers exactly."""
        return sums

    def tell(self, value: Any) -> Any:
        """What the first process knows, for all."""
        return value

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """Let the first process do what may fetch or write files, and then the others."""
        yield


class Peers(Alone):
    """One of several processes."""

    def __init__(self, where: Place) -> None:
        self.where = where
        self.rank, self.count = where.rank, where.count
        self.joined = 0  # sums of the batch in which this process took part
        device = _device(where)
        self.store = _meet(where)
        distributed.init_process_group(
            "gloo" if device is None else "nccl",
            store=self.store,
            rank=self.rank,
            world_size=self.count,
            timeout=LONGEST,
            device_id=device,
        )
        self.talk: Any = distributed.new_group(backend="gloo", timeout=LONGEST)  # without waiting for a GPU

    def __deepcopy__(self, _: object) -> Alone:
        """What a learner is copied for is tried by one process."""
        return Alone()

    def add(self, *sums: torch.Tensor) -> tuple[torch.Tensor, ...]:
        flat = torch.cat([values.detach().double().reshape(-1) for values in sums])
        distributed.all_reduce(flat)
        self.joined += 1
        totals = flat.split([values.numel() for values in sums])
        found = (total.reshape(own.shape).to(own.dtype) for own, total in zip(sums, totals, strict=True))
        return tuple(
            total + (own - own.detach()) if own.requires_grad else total for own, total in zip(sums, found, strict=True)
        )

    def weigh(self, parts: list[tuple[Any, float]], most: int) -> list[tuple[Any, float]]:
        self.joined = 0
        if most == 1:
            return parts
        sizes = torch.zeros(most, dtype=torch.long)
        sizes[: len(parts)] = torch.tensor([len(part[0]) for part, _ in parts])
        distributed.all_reduce(sizes, group=self.talk)
        shares = (sizes / sizes.sum()).tolist()
        return [(part, share) for (part, _), share in zip(parts, shares, strict=False)]

    def agree(self, short: bool, parts: int, idle: Callable[[], object]) -> bool:
        while self.joined < parts:
            idle()
        anywhere = torch.tensor([short], dtype=torch.long)
        distributed.all_reduce(anywhere, group=self.talk)
        return bool(anywhere)

    def add_gradients(self, network: torch.nn.Module) -> None:
        learnt = [value for value in network.parameters() if value.requires_grad]
        known = torch.tensor([value.grad is not None for value in learnt], dtype=torch.long)
        distributed.all_reduce(known, group=self.talk)  # a process without images has no gradient
        learnt = [value for value, at in zip(learnt, known.tolist(), strict=True) if at]
        grads = [torch.zeros_like(value) if value.grad is None else value.grad for value in learnt]
        flat = torch.cat([grad.reshape(-1) for grad in grads])
        distributed.all_reduce(flat)
        for value, grad, total in zip(learnt, grads, flat.split([grad.numel() for grad in grads]), strict=True):
            value.grad = grad.copy_(total.reshape(grad.shape))  # in the memory's order that the optimiser wants

    def average_norms(self, network: torch.nn.Module) -> None:
        for module in network.modules():
            if isinstance(module, _BatchNorm) and module.track_running_stats:
                for values in (module.running_mean, module.running_var):
                    assert values is not None
                    distributed.all_reduce(values)
                    values /= self.count

    def total(self, sums: dict[str, Any]) -> dict[str, Any]:
        every: list[Any] = [None] * self.count
        own = {name: value.cpu() if isinstance(value, torch.Tensor) else value for name, value in sums.items()}
        distributed.all_gather_object(every, own, group=self.talk)
        found: dict[str, Any] = {}
        for part in every:
            found |= {name: found.get(name, 0) + value for name, value in part.items()}
        return found

    def tell(self, value: Any) -> Any:
        said = [value]
        distributed.broadcast_object_list(said, group=self.talk)
        return said[0]

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        if self.rank:
            distributed.barrier(self.talk)
        yield
        if not self.rank:
            distributed.barrier(self.talk)

    def may_speak(self, error: BaseException) -> bool:
        """Whether this process says what is wrong: the first that fails by itself does, and no other."""
        if isinstance(error, distributed.DistError) or "gloo" in str(error):  # another process is gone
            return False
        try:
            return bool(self.store.add("spoke", 1) == 1)
        except RuntimeError:  # the first process is gone, and its store
            return False


@contextmanager
def together() -> Iterator[Alone]:
    """This process among those of its training. What goes wrong is said by one of them."""
    where = place()
    if where is None:
        yield Alone()
        return
    peers = Peers(where)
    try:
        yield peers
    except KeyboardInterrupt:
        if peers.rank:
            os._exit(INTERRUPTED)
        raise
    except Exception as error:
        if peers.may_speak(error):
            raise
        os._exit(SILENT)  # at once, since to tidy up would wait for the others
    distributed.destroy_process_group()


def _device(where: Place) -> torch.device | None:
    """The GPU of this process; None where the machine has none."""
    gpus = torch.cuda.device_count()
    if not gpus:
        return None
    if gpus < where.devices:
        if where.local:
            os._exit(SILENT)
        raise Problem(
            f"{where.devices} processes train on this machine and see {gpus} GPU{'s' * (gpus > 1)}; give each machine"
            " as many GPUs as tasks (Slurm: --gpus-per-node, and no --gpus-per-task)."
        )
    torch.cuda.set_device(where.local)
    return torch.device("cuda", where.local)


def _meet(where: Place) -> distributed.TCPStore:
    """Wait until all processes have come to the first one."""
    from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment

    environment = SLURMEnvironment(auto_requeue=False) if where.by_slurm else LightningEnvironment()
    address, port = environment.main_address, environment.main_port
    try:
        return distributed.TCPStore(address, port, where.count, where.rank == 0, timeout=COMING)
    except RuntimeError as error:
        raise Problem(
            f"the {where.count} processes of this training did not all come to {address}:{port}"
            f" ({str(error).splitlines()[0]}); see that all were started and may reach that port, and run again."
        ) from None
