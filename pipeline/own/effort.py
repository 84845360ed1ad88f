"""What a study will need of this machine: disk, memory, and roughly how long its trainings take."""

from time import perf_counter

import numpy as np

STORED = {
    "masks": 8,
    "coco": 8,
    "folds": 8,
    "slides": 5,
}  # bytes of a pixel in the tile store; slides have no instances
HELD = 40  # bytes of a pixel of an image that is read as a whole
BESIDE = 5e8  # bytes that a process holds anyhow
# Operations of a matrix product that take as long as to train on a pixel once, without a GPU, by a processor's seconds;
# measured of resnet18 (424,000 with nothing beside, 562,000 with both cores busy), EfficientNet-Lite0 (544,000 busy),
# mobilenet_v2 (433,000 with nothing beside) and efficientnet-b0 (485,000); larger encoders take more.
COST = 550_000
COPIES = 4  # augment.factor of study.yaml.j2
SIDE = 768  # of the matrix product
LONG = 1.0  # s: what begins on a busy machine is served first for a moment, which no training is


def needs(kind: str, tiles: int, tile_size: int, largest: int, train: float, epochs: int, variants: int) -> list[str]:
    """Disk, memory and time, a line each.

    Args:
        tiles: in all, at most.
        largest: px of an image that is held as a whole.
        train: part of the tiles that is trained on.
    """
    pixels = tiles * tile_size**2
    seconds = pixels * train * COPIES * epochs * variants * COST / speed()
    disk, memory = pixels * STORED[kind] / 1e6, (largest * HELD + BESIDE) / 1e9
    return [
        f"needs: {disk:,.0f} MB of disk for tiles, {memory:.1f} GB of memory",
        f"time: about {duration(seconds)} for {variants} x {epochs} epochs on this machine's processor, as busy as it"
        " is now; less with a GPU, or where training stops early",
    ]


def speed() -> float:
    """Operations a second of a matrix product, as this machine is now."""
    matrix = np.full((SIDE, SIDE), 0.5, np.float32)
    matrix @ matrix  # the first one starts threads
    start, times = perf_counter(), 0
    while (passed := perf_counter() - start) < LONG:
        matrix @ matrix
        times += 1
    return times * 2 * SIDE**3 / passed


def duration(seconds: float) -> str:
    """A time in the unit that a person thinks of it in."""
    units = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"))
    size, unit = next(((size, unit) for size, unit in units if seconds >= 2 * size), (60.0, "minutes"))
    count = max(1, round(seconds / size))
    return f"{count:,} {unit if count > 1 else unit.removesuffix('s')}"
