"""Strips of a variant's best, worst or first test tiles, and the nuclei that it merges and splits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.base import hdf5
from pipeline.base.study import PixelStudy
from pipeline.metrics import pixel
from pipeline.reporting import overlays, pictures
from pipeline.reporting.results import Variant
from pipeline.tiles.examples import Examples
from pipeline.tiles.plan import read_plan


def draw(folder: Path, titles: Sequence[str], variant: Variant, study: PixelStudy, plans: Path) -> list[Path]:
    """Draw test tiles by mean IoU without background, of the variant's first run and seed; return the pictures.

    `titles` are best, worst, first; tiles whose mean IoU is not defined are left out, and of equal ones the more wrong
    pixels are the worse. Where nuclei have one class, those that are merged and split are shown, too. `plans` is the
    folder of the first run's plans.
    """
    run, seed = variant.runs[0].run, variant.runs[0].seed
    mine = ((variant.images["run"] == run) & (variant.images["seed"] == seed)).to_numpy()
    plan = read_plan(plans / "split.csv")
    examples = Examples.of(plan[plan["split"] == "test"], study)
    counts = variant.counts[mine]
    scores = pixel.mean(pixel.iou(counts), pixel.foreground(study.classes))
    wrong = counts.sum(axis=(1, 2)) - np.trace(counts, axis1=1, axis2=2)
    order = [int(position) for position in np.lexsort((wrong, -scores)) if not np.isnan(scores[position])]
    shard, index = examples.plan["shard"], examples.plan["index"]
    orders = {"best": order, "worst": order[::-1], "first": sorted(order)}
    drawn = []
    with hdf5.reading(variant.folders[0] / "class_maps.h5") as file:
        for title in titles:
            rows = [
                pictures.Row(
                    f"{shard[i]}, tile {index[i]}: mean IoU{' of nuclei' if study.instances else ''} {scores[i]:.3f}",
                    examples.image(i),
                    examples.class_map(i),
                    hdf5.read_row(file, "class_map", i),
                )
                for i in orders[title][: study.report.examples]
            ]
            drawn.append(folder / f"{title}.png")
            pictures.save(pictures.strip(rows, study.classes), drawn[-1])
        if study.instances and len(study.classes) == 2:
            joined = overlays.collect(examples, file["native"], study.instances, study.report.examples)
            drawn.append(folder / "overlays.png")
            pictures.save(overlays.sheet(joined), drawn[-1])
    return drawn
