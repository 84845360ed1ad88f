"""The tables of a comparison, as rows of plain values; templates say how they look."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from pipeline.metrics import pixel
from pipeline.reporting.published import Published
from pipeline.reporting.results import Variant

AVERAGES = (
    "pixel_accuracy",
    "mean_iou",
    "mean_iou_no_background",
    "dice_micro",
    "dice_micro_no_background",
    "dice_macro",
    "dice_macro_no_background",
    "mean_iou_of_images",
)
CLASS_SCORES = ("iou", "precision", "recall", "f1")
SEGMENTATION, CLASSIFICATION = "Table 3", "Table 4"  # of the pannuke paper


def difference(ours: float | None, published: float | None) -> float | None:
    """ours - published, where there are both."""
    return None if ours is None or published is None else ours - published


def names(variant: Variant, published: Published, encoder: str) -> dict[str, Any]:
    """What each row of a table starts with."""
    return {
        "model": published.name(variant.encoder),
        "augmentation": variant.augmentation,
        "marked": variant.encoder == encoder,
    }


def segmentation(variants: Sequence[Variant], published: Published, encoder: str) -> list[dict[str, Any]]:
    """One row a variant: the averages, and the published mean IoU and Dice with their differences to ours."""
    rows = []
    for variant in variants:
        row = names(variant, published, encoder) | {name: variant.scores[name] for name in AVERAGES}
        for name, printed in (("mean_iou", "mean_iou"), ("dice_micro", "dice")):
            value = published.value(SEGMENTATION, variant.encoder, variant.augmentation, printed)
            row |= {f"{name}_published": value, f"{name}_difference": difference(row[name], value)}
        rows.append(row)
    return rows


def constant_row(variant: Variant, classes: Sequence[str]) -> dict[str, float | None]:
    """The averages of a prediction that is background everywhere, on the same truth."""
    total = pixel.constant(variant.counts, classes.index(pixel.BACKGROUND)).sum(axis=0)
    return {name: pixel.number(value) for name, value in pixel.averages(total, classes).items()}


def classification(
    variants: Sequence[Variant], published: Published, encoder: str, min_count: int
) -> list[dict[str, Any]]:
    """One row a variant; under "classes" a cell a class with ours, the published F1, and whether n is too small."""
    rows = []
    for variant in variants:
        cells = []
        for name, scores in variant.scores["per_class"].items():
            if name != pixel.BACKGROUND:
                value = published.value(CLASSIFICATION, variant.encoder, variant.augmentation, "f1", name)
                few = scores["nuclei"] < min_count
                cells.append({"name": name, **scores, "f1_published": value, "few": few})
        rows.append(names(variant, published, encoder) | {"classes": cells})
    return rows


def augmentation(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What augmentation changes, one row a model, from the rows of `segmentation` (plain and augmented in turn)."""
    result = []
    for plain, augmented in zip(rows[::2], rows[1::2], strict=True):
        row = {"model": plain["model"], "marked": plain["marked"]}
        for name in ("mean_iou", "mean_iou_published", "dice_macro_no_background"):
            row[name] = difference(augmented[name], plain[name])
        result.append(row | {"plain": plain["mean_iou"], "augmented": augmented["mean_iou"]})
    return result


def scores_table(study: str, source: str, variants: Sequence[Variant]) -> pd.DataFrame:
    """Every score of every variant, one row a variant, nothing that depends on the machine."""
    rows = []
    for variant in variants:
        row = {"study": study, "source": source, "encoder": variant.encoder, "augmentation": variant.augmentation}
        row |= {name: variant.training[name] for name in ("run", "seed", "weights", "epochs_run", "best_epoch")}
        row |= {"parameters": variant.speed["parameters"], "flops_per_image": variant.speed["flops_per_image"]}
        row |= {name: variant.scores[name] for name in ("images", *AVERAGES)}
        for name, scores in variant.scores["per_class"].items():
            row |= {f"{score}_{name}": scores[score] for score in (*CLASS_SCORES, "pixels", "nuclei")}
        rows.append(row)
    return pd.DataFrame(rows)


def stacked(variants: Sequence[Variant], attribute: str) -> pd.DataFrame:
    """A table of each variant (`curves` or `images`) below each other, with the variant's names in front."""
    return pd.concat(
        [
            getattr(variant, attribute).assign(encoder=variant.encoder, augmentation=variant.augmentation)
            for variant in variants
        ],
        ignore_index=True,
    ).pipe(lambda table: table[["encoder", "augmentation", *table.columns[:-2]]])
