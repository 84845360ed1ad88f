"""The training loop: Lightning runs it, this says what a step, an epoch and an interruption mean here.

The order of tiles and all random numbers of an epoch follow from (seed, epoch) alone, so that a training that was
interrupted and resumed ends with the same weights, bit for bit on one machine, as one that was not. Where several
processes train, all have the same order, and each has its part of every batch; what a network draws, each draws anew.
"""

import logging
import math
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping
from torch.utils.data import BatchSampler, DataLoader, Sampler, SequentialSampler
from tqdm import tqdm

from pipeline.base.errors import Problem
from pipeline.training.batches import Joined, Shared, least_of, need_company
from pipeline.training.learner import NO_NUMBER, Learner
from pipeline.training.resume import ResumeFolder, epochs_of
from pipeline.training.strategy import several


class Shuffled(Sampler[int]):
    """Positions 0 to count - 1 in an order drawn from (seed, epoch); Lightning tells it the epoch.

    Where they are `numbered` by epoch each is count * epoch + position, as `OnlineExamples` takes them.
    """

    def __init__(self, count: int, seed: int, numbered: bool = False) -> None:
        self.count = count
        self.seed = seed
        self.numbered = numbered
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.count)
        return iter((order + self.count * self.epoch * self.numbered).tolist())


class Epochs(L.Callback):
    """Keeps the curves and the best weights, checks the loss, keeps the state, shows progress.

    The best weights are those of the lowest validation loss, or the last ones where `keep_last` says so. Where several
    processes train, only the first one has a resume folder, writes and shows progress.
    """

    def __init__(self, resume: ResumeFolder | None, report: Callable[..., None], keep_last: bool = False) -> None:
        self.resume = resume
        self.report = report
        self.keep_last = keep_last
        self.rows: list[dict[str, float]] = []  # of the learning curves
        self.best: dict[str, torch.Tensor] = {}
        self.best_epoch = 0
        self.best_loss = math.inf

    def state_dict(self) -> dict[str, Any]:
        known = {name: getattr(self, name) for name in ("rows", "best", "best_epoch", "best_loss")}
        return {**known, "threads": torch.get_num_threads()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        torch.set_num_threads(state_dict.pop("threads"))  # which change the order of sums
        self.__dict__.update(state_dict)
        for row in self.rows:
            self._report(row)

    def on_train_start(self, trainer: L.Trainer, module: Learner) -> None:
        if module.peers.count > 1:  # Lightning's handler would wait for the other processes
            signal.signal(signal.SIGTERM, signal.default_int_handler)

    def on_train_epoch_start(self, trainer: L.Trainer, module: Learner) -> None:
        drawn_from = [module.seed, trainer.current_epoch, *filter(None, [module.peers.rank])]
        torch.manual_seed(int(np.random.SeedSequence(drawn_from).generate_state(1)[0]))
        name = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        silent = None if self.resume else True
        self.bar = tqdm(total=trainer.num_training_batches, desc=name, unit="batch", leave=False, disable=silent)
        self.started = time.monotonic()

    def on_train_batch_end(self, *_: Any) -> None:
        self.bar.update()

    def on_validation_epoch_end(self, trainer: L.Trainer, module: Learner) -> None:
        self._end(trainer, module, module.training_counts, module.totals(module.peers.total(module.sums)))

    def _end(
        self, trainer: L.Trainer, module: Learner, training: dict[str, float], validation: dict[str, float]
    ) -> None:
        """Add an epoch's row; `validation` is empty where the plan has no validation part."""
        self.bar.close()
        epoch = trainer.current_epoch + 1
        if not math.isfinite(training["loss"] + validation.get("loss", 0)):
            raise Problem(f"the loss is no finite number after epoch {epoch}; {NO_NUMBER}.")
        if validation:
            module.log("validation_loss", validation["loss"])  # what early stopping watches
        found = {f"train_{name}": value for name, value in training.items()}
        found |= {f"validation_{name}": value for name, value in validation.items()}
        row = {"epoch": epoch, **{name: found.get(name, math.nan) for name in module.curves}}
        row["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
        self.rows.append(row)
        if self.keep_last or validation["loss"] < self.best_loss:
            self.best_loss, self.best_epoch = row["validation_loss"], epoch
            self.best = {key: value.detach().cpu().clone() for key, value in module.network.state_dict().items()}
        self._report(row)
        if not self.resume:
            return
        mean_iou = f"  mean IoU {row['validation_mean_iou']:.3f}" if "validation_mean_iou" in row else ""
        tqdm.write(
            f"epoch {epoch:3}/{trainer.max_epochs}  loss {training['loss']:.4f}, validation"
            f" {row['validation_loss']:.4f}{mean_iou}  {time.monotonic() - self.started:.1f} s"
        )

    def _report(self, row: dict[str, float]) -> None:
        known = {key: value for key, value in row.items() if key != "epoch" and not math.isnan(value)}
        self.report(known, step=int(row["epoch"]))

    def on_train_epoch_end(self, trainer: L.Trainer, module: Learner) -> None:
        if not trainer.num_val_batches:
            module.check_last()
            self._end(trainer, module, module.totals(module.peers.total(module.sums)), {})
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if not last and self.resume and self.resume.is_due():
            self.resume.write(trainer.current_epoch + 1, trainer.save_checkpoint)


def fit(module: Learner, epochs: Epochs, training: Any, validation: Any) -> dict[str, Any]:
    """Train from the start, or from the state that was kept where there is one; return what it ran on.

    The same on each process of the training; the first one's `epochs` has the resume folder.

    Both sides are data sets as torch's loader takes them; `validation` may be empty where `train.patience` asks for no
    early stopping.

    Raises:
        Problem: the loss is no finite number.
        KeyboardInterrupt: the training was told to end; says what is kept of it.
    """
    train = module.train_params
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # what hardware there is, advertisements
    warnings.filterwarnings("ignore", module="lightning")
    callbacks: list[L.Callback] = [epochs]
    if train.patience is not None:
        callbacks.insert(0, EarlyStopping("validation_loss", patience=train.patience, check_finite=False))
    trainer = L.Trainer(
        max_epochs=train.epochs,
        **(several(module.peers.where) if module.peers.where else {"devices": 1}),
        precision=_precision(train.precision),
        deterministic="warn",
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    training = shown_to(trainer.strategy.root_device, training)
    state = module.peers.tell(epochs.resume and epochs.resume.newest())
    order = Shuffled(len(training), module.seed, numbered=getattr(training, "numbered", False))
    if state is not None:
        if epochs.resume:
            tqdm.write(f"going on from {state}")
        order.set_epoch(epochs_of(state))  # Lightning tells it too late where processes of the loader read ahead
    try:
        trainer.fit(
            module,
            _loader(training, module, order),
            _loader(validation, module, None) if len(validation) else None,
            ckpt_path=state,
            weights_only=True,
        )
    except SystemExit:  # what Lightning makes of an interruption
        raise KeyboardInterrupt(epochs.resume.summary() if epochs.resume else "") from None
    except (Problem, RuntimeError) as error:
        if "DataLoader worker" not in str(error):
            raise
        raise told(error) from None
    device = torch.cuda.get_device_name() if trainer.strategy.root_device.type == "cuda" else "cpu"
    return {
        "device": device,
        "processes": module.peers.count,
        "precision": str(trainer.precision),
        "threads": torch.get_num_threads(),
        "parts": module.parts,
    }


def shown_to(device: torch.device, training: Any) -> Any:
    """The examples as a training on a device takes them: a GPU does what of their changes they can leave to it."""
    return training.for_gpu() if device.type == "cuda" and hasattr(training, "for_gpu") else training


def told(error: Problem | RuntimeError) -> Exception:
    """What a process that reads tiles died of, or was told by one, as a sentence; else the error itself."""
    if isinstance(error, Problem) and "DataLoader worker" in str(error):  # with the traceback, as torch hands it over
        return Problem(str(error).rpartition("Problem: ")[2].strip())
    if "DataLoader worker" in str(error):
        return Problem(
            f"a process that reads tiles died ({str(error).splitlines()[0]}), most often for want of main memory; lower"
            " train.workers in the study's params.yaml and run the same command again: it goes on where it was saved."
        )
    return error


def _precision(wanted: str) -> Any:
    if wanted == "float32" or not torch.cuda.is_available():
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"


def _loader(examples: Any, module: Learner, order: Shuffled | None) -> DataLoader[Any]:
    train = module.train_params
    batches: dict[str, Any] = {"batch_size": train.batch, "sampler": order}
    if order is not None and need_company(module, examples):
        batches = {"batch_sampler": Joined(order, train.batch)}
    collate = module.collate
    if module.peers.count > 1:
        whole = batches.get("batch_sampler") or BatchSampler(order or SequentialSampler(examples), train.batch, False)
        least = least_of(module, examples) if order is not None else 1
        batches = {"batch_sampler": Shared(whole, module.peers.rank, module.peers.count, least)}
        collate = partial(_if_any, module.collate)
    return DataLoader(
        examples,
        **batches,
        num_workers=train.workers,
        persistent_workers=train.workers > 0,
        collate_fn=collate,
        worker_init_fn=_end_quietly,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # else each start of the loader draws from the generator that drops paths
    )


def _if_any(collate: Callable[[Any], Any], items: list[Any]) -> Any:
    """A batch, or nothing where this process has no part of it."""
    return collate(items) if items else ()


def _end_quietly(_: int) -> None:
    """Have a loader's process end without an error on SIGTERM, which clusters send to all: the training tells it."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
