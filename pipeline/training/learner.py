"""What a step is: a network that learns a batch, in parts where the GPU has too little memory for all of it."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import lightning.pytorch as L
import torch
from tqdm import tqdm

from pipeline.base.errors import Problem
from pipeline.base.study_blocks import Train
from pipeline.training.peers import Alone

NO_NUMBER = "lower train.learning_rate or set train.precision to float32 in the study's params.yaml"


class Learner(L.LightningModule):
    """A network with its optimiser; what is learnt says its own loss and what an epoch is measured by.

    A batch for which the GPU has too little memory is learnt in parts, whose gradients add up to that of the batch.
    Where several processes train, each measures what it has of a batch, which may be nothing.

    Attributes:
        peers: the processes that train it.
        collate: makes a batch of what the data set gives.
        curves: columns of the learning curves: the names in `totals`, each with `train_` or `validation_` before it.
    """

    peers: Alone = Alone()
    collate: Callable[[Any], Any]
    curves: tuple[str, ...]

    def __init__(self, network: torch.nn.Module, train: Train, seed: int) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.train_params = train
        self.seed = seed
        self.automatic_optimization = False
        self.parts = 1  # of a batch
        self.sums: dict[str, Any] = {}  # what was counted in the epoch
        self.last: tuple[str, torch.Tensor] | None = None  # the step before, and its loss

    def totals(self, sums: dict[str, Any]) -> dict[str, float]:
        """What an epoch is measured by, from the sums of what `measure` counted; one of the names is loss."""
        raise NotImplementedError

    def measure(self, batch: Any) -> tuple[torch.Tensor, dict[str, Any]]:
        """The loss of a batch, and what is counted of it.

        The loss is that of all processes' parts of the batch, for which `peers.add` is called once; its gradient and
        the counts are those of this process's part.
        """
        raise NotImplementedError

    def idle(self) -> None:
        """Call `peers.add` as `measure` does, for nothing."""
        raise NotImplementedError

    def configure_optimizers(self) -> Any:
        train = self.train_params
        kind = torch.optim.AdamW if train.optimiser == "adamw" else torch.optim.Adam
        parameters = self.network.parameters()
        optimiser = kind(parameters, lr=train.learning_rate, weight_decay=train.weight_decay, fused=True)
        if train.schedule == "constant":
            return optimiser
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        self.sums = {}

    def on_validation_epoch_start(self) -> None:
        self.check_last()
        self.training_counts = self.totals(self.peers.total(self.sums))
        self.sums = {}

    def training_step(self, batch: Any, number: int) -> None:
        self.check_last()
        optimiser: Any = self.optimizers()
        schedule: Any = self.lr_schedulers()
        self.last = f"epoch {self.current_epoch + 1}, step {number + 1}", self.count(batch, self.learn)
        self.peers.add_gradients(self.network)
        optimiser.step()
        if schedule is not None:
            schedule.step()
        if number + 1 == self.trainer.num_training_batches:
            self.peers.average_norms(self.network)

    def validation_step(self, batch: Any, _: int) -> None:
        self.count(batch, lambda loss, share: None)

    def learn(self, loss: torch.Tensor, share: float) -> None:
        """Add a part's share of the batch to the gradient."""
        self.manual_backward(loss if share == 1 else loss * share)

    def count(self, batch: Any, learn: Callable[[torch.Tensor, float], None]) -> torch.Tensor:
        """Count a batch, part by part, and give its loss; in smaller parts where memory is short.

        Raises:
            Problem: it is too short for one image.
        """
        while True:
            self.zero_grad()
            losses, counted = [], []
            loss = counts = None
            short = False
            try:
                for part, share in self.peers.weigh(list(cut(batch, self.parts)) if batch else [], self.parts):
                    loss, counts = self.measure(part)
                    learn(loss, share)
                    losses.append(loss.detach() * share)
                    counted.append(counts)
            except torch.OutOfMemoryError:
                short = True  # and try again outside of here, where nothing holds on to what was computed
            if not self.peers.agree(short, self.parts, self.idle):
                break
            del loss, counts
            self.part_more(len(batch[0]) if self.peers.count == 1 else -(-self.train_params.batch // self.peers.count))
        for counts in counted:
            self.sums |= {name: self.sums.get(name, 0) + value for name, value in counts.items()}
        if not losses:  # other processes have all of the batch
            return torch.zeros(())
        return torch.stack(losses).sum() if len(losses) > 1 else losses[0]

    def part_more(self, images: int) -> None:
        """Learn batches in twice as many parts from now on."""
        if self.parts >= images:
            raise Problem(
                "the GPU has too little memory for one image at a time; take a smaller tile_size or model in the"
                " study's params.yaml, or a larger GPU."
            )
        self.parts = min(2 * self.parts, images)
        torch.cuda.empty_cache()
        if self.peers.rank:
            return
        tqdm.write(
            f"the GPU's memory is too small for {images} images: batches are learnt in {self.parts} parts, whose"
            f" gradients add up to that of the batch of {self.train_params.batch}; batch normalisation"
            " sees a part at a time."
        )

    def check_last(self) -> None:
        """Refuse a loss that is no number, a step late: to look at it at once would stop the GPU's queue.

        Raises:
            Problem: it is none.
        """
        if self.last is not None and not math.isfinite(float(self.last[1])):
            raise Problem(f"the loss is no finite number in {self.last[0]}; {NO_NUMBER}.")


def cut(batch: Any, parts: int) -> Iterator[tuple[Any, float]]:
    """A batch, images and what is true of them, in parts, each with its share of the images."""
    if parts == 1:
        yield batch, 1
        return
    count = len(batch[0])
    size = math.ceil(count / parts)
    for start in range(0, count, size):
        yield tuple(values[start : start + size] for values in batch), min(size, count - start) / count
