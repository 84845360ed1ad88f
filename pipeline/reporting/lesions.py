"""What the report of a study with a target adds: its train side, precision and recall, a heat map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageDraw

from pipeline.base import hdf5
from pipeline.base.files import read_json
from pipeline.base.paths import TILES
from pipeline.base.study import PixelStudy
from pipeline.metrics import curve, pixel
from pipeline.reporting import figures, tile_classifier
from pipeline.reporting.results import Variant
from pipeline.reporting.scoring import name_units
from pipeline.reporting.style import NEUTRAL, figure
from pipeline.tiles.plan import read_plan
from pipeline.tiles.store import Shard

SCORES = ("accuracy", "precision", "recall", "f1")
TARGET, OTHER = (20, 20, 20), (120, 120, 120)  # outlines of a heat map
HOT = (213, 30, 0)
LONGEST = 1000  # px, of a slide's picture


@dataclass(frozen=True)
class DrawnSlide:
    """A slide's thumbnail and what is drawn on it, lengths in px of the thumbnail."""

    thumbnail: Path
    outlines: list[dict[str, Any]]
    tile: float
    corners: npt.NDArray[np.float64]  # (N, 2), x and y of the predicted tiles
    heat: npt.NDArray[np.uint8]  # (N, cells, cells), percent


def add(
    folder: Path, private: Path, study: PixelStudy, variants: Sequence[Variant], rows: Any, best: int, plan: Path
) -> dict[str, Any]:
    """Write the study's own figures into the report's folders; return what its template shows beside them.

    Pictures of slides go to `private`, which is `folder` where they may be published. `plan` is the plans' folder.
    """
    assert study.target is not None
    trained = [place for place, row in enumerate(rows) if not row["baseline"]]
    named = [rows[place] for place in trained]
    train_side = [replace(variants[place], images=variants[place].train) for place in trained]
    figures.confusions(train_side, named, study.classes, folder / "confusion_train.png")
    precision_recall(folder / "precision_recall.png", variants, rows)
    own = tile_classifier.add(folder, study) if study.classifiers else {}
    slide = richest_slide(variants[best])
    save_small(heat_map(find_slide(plan, variants[best], study, slide)), private / "heat.jpg")
    with Image.open(TILES / study.datasets[0] / f"{slide}.jpg") as sheet:
        save_small(sheet, private / "sheet.jpg")
    return own | {
        "train_side": [
            {name: float(value) for name, value in zip(SCORES, side_scores(variant.counts), strict=True)}
            for variant in (replace(variant, images=variant.train) for variant in variants)
        ],
        "pixels": {
            "test": variants[0].counts.sum(axis=(0, 2)).tolist(),
            "train": train_side[0].counts.sum(axis=(0, 2)).tolist(),
        },
        "share": float(variants[0].counts.sum(axis=0)[1].sum() / variants[0].counts.sum()),
        "slide": slide,
    }


def save_small(picture: Image.Image, path: Path) -> None:
    """Write a slide's picture for a page, as JPEG."""
    picture.thumbnail((LONGEST, LONGEST))
    picture.save(path, "JPEG", quality=85)


def side_scores(counts: pixel.Counts) -> tuple[Any, ...]:
    """Accuracy of all pixels; precision, recall and F1 of the target's, from counts (N, 2, 2)."""
    total = counts.sum(axis=0)
    return (
        pixel.pixel_accuracy(total),
        pixel.precision(total)[1],
        pixel.recall(total)[1],
        pixel.f1(total)[1],
    )


def histograms(variant: Variant) -> curve.Counts:
    """Pixels of each truth by probability of each test image of a variant, (N, 2, STEPS)."""
    return variant.histograms[curve.COLUMNS].to_numpy().reshape(-1, 2, curve.STEPS)


def by_unit(variants: Sequence[Variant]) -> pd.DataFrame:
    """Histograms of each variant, summed over the units that intervals resample."""
    parts = []
    for variant in variants:
        table = variant.histograms[curve.COLUMNS].groupby(name_units(variant.images)[1], sort=False).sum()
        names = {"variant": variant.name, "plan": variant.plan, "unit": table.index}
        parts.append(pd.DataFrame(names).join(table.reset_index(drop=True)))
    return pd.concat(parts, ignore_index=True)


def precision_recall(path: Path, variants: Sequence[Variant], rows: Sequence[Mapping[str, Any]]) -> None:
    """Precision by recall of every trained variant over all test pixels; baselines as points or the share of pixels."""
    with figure(path, figsize=(7, 5)) as (drawing, axes):
        axis = axes[0, 0]
        for variant, row in zip(variants, rows, strict=True):
            counts = histograms(variant).sum(axis=0)
            precision, recall = curve.precision_recall(counts)
            if variant.name == "background":
                share = counts[1].sum() / counts.sum()
                axis.axhline(share, color=NEUTRAL, linestyle=":", label=f"share of the class, {share:.3f}")
            elif variant.is_baseline:
                axis.plot(recall[0], precision[0], "x", color=NEUTRAL, label=row["model"])
            else:
                label = f"{row['model']} (AP {curve.average_precision(counts):.3f})"
                axis.step([0, *recall], [precision[0], *precision], where="pre", label=label)
        axis.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
        drawing.legend(loc="outside lower center", ncols=2)


def richest_slide(variant: Variant) -> str:
    """The test slide with most pixels of the target."""
    pixels = pd.Series(variant.counts[:, 1].sum(axis=1)).groupby(variant.images["shard"].to_numpy(), sort=False).sum()
    return str(pixels.idxmax())


def find_slide(plan: Path, variant: Variant, study: PixelStudy, name: str) -> DrawnSlide:
    """A slide's thumbnail and outlines, which convert wrote, with the heat that a variant gives to its test tiles."""
    rows = read_plan(plan / "split.csv")
    rows = rows[rows["split"] == "test"].reset_index(drop=True)
    mine = (rows["shard"] == name).to_numpy()
    folder = TILES / study.datasets[0]
    drawn = read_json(folder / f"{name}.outlines.json")
    with hdf5.reading(variant.folders[0] / "class_maps.h5") as file:
        heat = hdf5.read_array(file, "heat")[mine]
    corners = rows.loc[mine, ["x", "y"]].to_numpy() / drawn["downsample"]
    target = Shard(folder / f"{name}.h5").info.classes.index(study.target)
    outlines = [outline | {"target": outline["code"] == target} for outline in drawn["outlines"]]
    return DrawnSlide(folder / f"{name}.thumbnail.jpg", outlines, drawn["tile"], corners, heat)


def heat_map(slide: DrawnSlide) -> Image.Image:
    """The thumbnail, paler; red where a model sees the target, a grey frame round each tile it saw, outlines on top."""
    with Image.open(slide.thumbnail) as file:
        picture = Image.blend(file.convert("RGB"), Image.new("RGB", file.size, "white"), 0.35)
    draw = ImageDraw.Draw(picture)
    side = max(1, round(slide.tile))
    for (x, y), cells in zip(slide.corners, slide.heat, strict=True):
        mask = Image.fromarray((cells * 2.0).astype(np.uint8)).resize((side, side), Image.Resampling.BILINEAR)
        picture.paste(HOT, (round(x), round(y)), mask)
        draw.rectangle((round(x), round(y), round(x) + side - 1, round(y) + side - 1), outline=(170, 170, 170))
    for outline in sorted(slide.outlines, key=lambda outline: bool(outline["target"])):
        ring = [tuple(point) for point in outline["ring"]]
        draw.line([*ring, ring[0]], fill=TARGET if outline["target"] else OTHER, width=3 if outline["target"] else 1)
    return picture
