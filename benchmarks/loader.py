"""Whether the loader of a training keeps up with its network, and where the loader's time goes.

    python -m benchmarks.loader [--sides 128 256 512] [--encoder unet] [--batch 4] [--tiles 24] [--rounds 2]

For tiles of each side, without `augment.online`, with it, and with it where its stain and colour are left to the
device, as a training on a GPU leaves them: the tiles a second of a training's own loader, read in the training process
and in two processes beside it, both by the clock; the tiles a second of the training on this device; and a step of the
training as a multiple of a step of a plain loop, with the same network on the same batches of the same loader, in
seconds of the core that runs both. Below, what each part of the loader's work takes of a core, and what this device
takes for stain and colour.

The first pass over the tiles compares checksums and is left out, as are the first steps. A busy machine slows the
clock and not the ratio.
"""

import argparse
import copy
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from pipeline.base.paths import plan_folder
from pipeline.base.study_blocks import Online
from pipeline.models import to_input
from pipeline.tasks.segmentation.learn import prepare, stack
from pipeline.tiles.examples import resize_image, resize_map
from pipeline.tiles.plan import COLUMNS, write_plan
from pipeline.tiles.store import IGNORE, Shard, Tile
from pipeline.tiles.writer import ShardWriter
from pipeline.training import loop
from pipeline.training.jitter import recolour
from pipeline.training.job import Lesson
from pipeline.training.online import OnlineExamples, crop, draw_colour, draw_stain, jitter_colour, jitter_stain
from tests.tiny_study import INFO, STUDY, job_of, set_params

PLANS = ("plain", "augmented")
WORKERS = (0, 2)
WARM = 2  # steps that are not counted
STORE = Path("data/tiles/pannuke/fold1.h5")


class Timed(loop.Epochs):
    """Notes when each step ended, s of this process's cores."""

    def __init__(self) -> None:
        super().__init__(None, lambda *_, **__: None, keep_last=True)
        self.marks: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:
        super().on_train_batch_end()
        self.marks.append(clock())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[128, 256, 512], help="px of tiles")
    parser.add_argument("--encoder", default="unet")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--tiles", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=2, help="in which a step is measured; the fastest counts")
    arguments = parser.parse_args()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "a CPU"
    threads = f"{torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}"
    print(f"{arguments.encoder}, batches of {arguments.batch}, {device}, {threads}\n")
    print("| px | online | loader, tiles/s | with 2 workers | training, tiles/s | step / plain loop's |")
    print("|--:|---|--:|--:|--:|--:|", flush=True)
    parts: dict[str, list[str]] = {}
    for side in arguments.sides:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            write_tiles(side, arguments.tiles)
            plain, drawn = (lesson_of(arguments.encoder, side, arguments.batch, plan) for plan in PLANS)
            left = replace(drawn, training=drawn.training.for_gpu())
            for name, lesson in {"no": plain, "yes": drawn, "colours by the device": left}.items():
                rates = [loader_rate(lesson, workers) for workers in WORKERS]
                step, plain_step = steps(lesson, arguments.rounds)
                told = " | ".join(f"{rate:.1f}" for rate in (*rates, arguments.batch / step))
                print(f"| {side} | {name} | {told} | {step / plain_step:.3f} |", flush=True)
            for name, seconds in profile(side, arguments.tiles, arguments.batch, drawn.training, device):
                parts.setdefault(name, []).append(f"{1000 * seconds:.3f}")
            os.chdir("/")
    print(f"\n| ms of a core a tile | {' | '.join(f'{side} px' for side in arguments.sides)} |")
    print(f"|---|{'--:|' * len(arguments.sides)}")
    for name, values in parts.items():
        print(f"| {name} | {' | '.join(values)} |")


def clock() -> float:
    """Seconds of this process's cores; by the clock where a GPU works, whose queue is emptied first."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def write_tiles(side: int, count: int) -> None:
    """A shard of noisy tiles with blobs of classes, and plans on which all of them train."""
    random, rows = np.random.default_rng(0), []
    with ShardWriter(STORE, count, side, INFO) as shard:
        for index in range(count):
            areas = random.integers(0, 6, (8, 8)).astype(np.uint8)
            class_map = np.kron(areas, np.ones((side // 8, side // 8), np.uint8))
            image = np.clip(200 - 20 * class_map[..., None] + random.normal(0, 12, (side, side, 3)), 0, 255)
            shard.add(
                Tile(image.astype(np.uint8), class_map, np.zeros((side, side), np.int32), {}, index, group="Breast")
            )
            rows.append(("pannuke", STORE.stem, index, "", "", 0, 0, 0.25, "train", 0, "{}"))
    plan = pd.DataFrame(rows, columns=list(COLUMNS))
    for name in ("split", "plain", "augmented"):
        write_plan(plan, plan_folder(STUDY, 1) / f"{name}.csv")


def online(side: int) -> Online:
    """Everything that a training may draw anew, as the recipe of docs/results/tnbc.md has it."""
    return Online(crop=side, crops=1, scale=0.25, flips=True, turns=True, stain=0.3, colour=0.1)


def lesson_of(encoder: str, side: int, batch: int, plan: str) -> Lesson:
    """What a training of the tiles is; one epoch, without validation."""
    drawn = {"augment__online": online(side).model_dump()} if plan == "augmented" else {}
    lengths = {"train__epochs": 1, "train__patience": "none", "train__batch": batch}
    shape = {"model__width": 16, "model__decoder_channels": [128, 64, 32, 16]}
    set_params(Path(), tile_size=side, **lengths, **shape, **drawn)
    return prepare(job_of(encoder, plan))


def loader_rate(lesson: Lesson, workers: int) -> float:
    """Tiles a second of the training's loader in its second epoch, by the clock."""
    learner, taken = lesson.learner, 0.0
    learner.train_params = learner.train_params.model_copy(update={"workers": workers})
    order = order_of(lesson)
    loader = loop._loader(lesson.training, learner, order)
    for epoch in range(2):
        order.set_epoch(epoch)
        start = time.perf_counter()
        for _ in loader:
            pass
        taken = time.perf_counter() - start
    learner.train_params = learner.train_params.model_copy(update={"workers": 0})
    return len(lesson.training) / taken


def order_of(lesson: Lesson) -> loop.Shuffled:
    return loop.Shuffled(len(lesson.training), 0, numbered=getattr(lesson.training, "numbered", False))


def steps(lesson: Lesson, rounds: int) -> tuple[float, float]:
    """Seconds of a step of the training and of a plain loop's, the medians of the fastest round of each."""
    found: dict[str, list[float]] = {"plain": [], "training": []}
    for _ in range(rounds):
        network = copy.deepcopy(lesson.learner.network)
        found["plain"].append(typical(plain_loop(network, lesson)))
        epochs = Timed()
        with mock.patch.object(loop, "shown_to", lambda _, training: training):  # either way, whatever the device
            loop.fit(copy.deepcopy(lesson.learner), epochs, lesson.training, [])
        found["training"].append(typical(epochs.marks))
    return min(found["training"]), min(found["plain"])


def typical(marks: list[float]) -> float:
    return statistics.median(np.diff(marks[WARM:]).tolist())


def plain_loop(network: torch.nn.Module, lesson: Lesson) -> list[float]:
    """What one would write down first; when each step ended."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device, memory_format=torch.channels_last).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.001, fused=True)
    model, marks = lesson.model, []
    for images, truth, *numbers in loop._loader(lesson.training, lesson.learner, order_of(lesson)):
        optimiser.zero_grad()
        images = images.to(device)
        if numbers:
            images = recolour(images, numbers[0].to(device))
        logits = network(to_input(images, model.mean, model.std))
        loss = functional.cross_entropy(logits, truth.to(device).long(), ignore_index=IGNORE)
        loss.backward()
        optimiser.step()
        marks.append(clock())
    return marks


def profile(side: int, count: int, batch: int, training: OnlineExamples, device: str) -> Iterator[tuple[str, float]]:
    """Each part of the loader's work, and its seconds of a core a tile; what this device takes for a part of it."""
    shard, random, drawn = Shard(STORE), np.random.default_rng(0), online(side)
    read = lambda index: (shard.image(index), shard.class_map(index))  # noqa: E731
    yield "HDF5: read and compare the checksum, the first time", each(read, count)
    yield "HDF5: read again", each(read, count)
    tiles = [read(index) for index in range(count)]
    large = [tuple(np.kron(values, np.ones((2, 2, 1)[: values.ndim], np.uint8)) for values in tile) for tile in tiles]

    def halve(index: int) -> None:
        resize_image(large[index][0], side)
        resize_map(large[index][1], side)

    yield "resize from twice the side", each(halve, count)
    yield "online: crop and resize", each(lambda index: crop(*tiles[index], drawn.crop, drawn.scale, random), count)
    turned: Callable[[int], Any] = lambda index: [np.rot90(values[:, ::-1]).copy() for values in tiles[index]]  # noqa: E731
    yield "online: flip and turn", each(turned, count)
    stain = lambda index: jitter_stain(tiles[index][0], draw_stain(drawn.stain, random))  # noqa: E731
    yield "online: stain", each(stain, count)
    colour = lambda index: jitter_colour(tiles[index][0], draw_colour(drawn.colour, random))  # noqa: E731
    yield "online: colour", each(colour, count)
    yield "all of a tile with online", each(training.__getitem__, count)
    left = training.for_gpu()
    yield "all of a tile whose colours are left to the device", each(left.__getitem__, count)
    yield "a batch of 4 tiles, its share of one", each(lambda index: stack(tiles[:4]), count) / 4
    yield f"stain and colour of a batch, by {device}: a tile's share", on_device(stack([left[i] for i in range(batch)]))


def on_device(batch: tuple[torch.Tensor, ...], times: int = 5) -> float:
    """Seconds that this device takes for the stain and colour of one tile of a batch."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images, _, numbers = (values.to(device) for values in batch)
    for _ in range(WARM):
        recolour(images, numbers)
    start = clock()
    for _ in range(times):
        recolour(images, numbers)
    return (clock() - start) / times / len(images)


def each(work: Callable[[int], Any], count: int) -> float:
    """Seconds of this process's cores for one of `count` tiles."""
    start = time.process_time()
    for index in range(count):
        work(index)
    return (time.process_time() - start) / count


if __name__ == "__main__":
    main()
