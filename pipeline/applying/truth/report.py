"""truth.md and its tables: the figures of one or several models on a person's own slides, as in a study's report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.applying.truth.counting import MOST, Counted
from pipeline.base.files import replacing, write_text
from pipeline.base.paths import PLANS
from pipeline.base.records import Metrics, Model
from pipeline.metrics import pixel
from pipeline.reporting import figures, rendering, tables
from pipeline.reporting.markdown import literal
from pipeline.reporting.paper import Paper
from pipeline.reporting.published import COLUMNS, Published
from pipeline.reporting.results import Variant
from pipeline.reporting.scoring import Evidence, image_scores
from pipeline.slides import flat

TEMPLATE = "truth.md.j2"
SEED = 42  # of the resamples
ALIKE = ("components_", "parting_", "merged", "split")  # figures that outlines do not tell, or that are no scores
LABELS = {"mean_iou": "mean IoU", "mpq_images": "mPQ"}
PICTURES = flat.SUFFIXES - {".tif", ".tiff"}


@dataclass(frozen=True)
class Scored:
    """A model and its counts on every slide that was compared."""

    name: str  # that tells it from the others
    record: Model
    sha256: str
    folder: Path  # with its weights
    counts: Mapping[str, Counted]  # by slide, in the same order for all models
    seen: Mapping[str, str]  # slides that it was trained on -> how that is known


@dataclass(frozen=True)
class Account:
    """What was found = what was used + what was left out."""

    slides: int  # that were given
    annotations: int  # that were found
    left_out: Mapping[str, str]  # slides -> why
    alone: Mapping[str, str]  # annotations -> why
    notes: Mapping[str, Sequence[str]]  # slide -> clauses on what of its annotation is not used
    words: Sequence[str]  # how annotations were understood, a sentence each
    patients_from: str


def write(
    out: Path, models: Sequence[Scored], slides: Mapping[str, Path], patients: Mapping[str, str], account: Account
) -> None:
    """Write truth.md, and truth/ with the tables from which every figure can be computed again, and figures.

    Args:
        slides: those that were compared.
        patients: of each; "" where nobody is known.
    """
    classes = models[0].record.classes
    variants = [_variant(model, patients) for model in models]
    images = all(path.suffix.lower() in PICTURES for path in slides.values())
    evidence = Evidence(variants, classes, SEED, "images" if images else "slides")
    nuclei = not variants[0].instances.empty
    scores = ["mean_iou", *(["mpq_images"] if nuclei else [])]
    names = {variant.name: model.name for variant, model in zip(variants, models, strict=True)}
    paper = Paper.model_validate({"question": "", "score": "mean_iou", "label": "mean IoU", "names": names})
    found = [{name: value for name, value in each.items() if not name.startswith(ALIKE)} for each in evidence.figures()]
    rows = tables.rows(variants, found, Published(pd.DataFrame(columns=COLUMNS)), paper, None)
    several = len(rows) > 1
    with replacing(out / "truth") as folder:
        folder.mkdir(parents=True)
        parts = {
            "scores": tables.scores_table("truth", "yours", variants, evidence).dropna(axis=1, how="all"),
            "intervals": tables.intervals_table("truth", "yours", variants, found, evidence),
            "counts": tables.stacked(variants, "images"),
            "instances": tables.stacked(variants, "instances").dropna(axis=1, how="all"),
        }
        for name, table in parts.items():
            if len(table):
                table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n", float_format="%.10g")
        if not evidence.few:  # whose intervals it would draw
            figures.ranking(rows, paper.score, paper.label, folder / "ranking.png", "")
        figures.confusions(variants, rows, classes, folder / "confusion.png")
    rows = [row | {"model": literal(row["model"])} for row in rows]
    page = rendering.render(
        TEMPLATE,
        Path(__file__).parent,
        models=models,
        rows=rows,
        best=rows[tables.best_row(rows, paper.score)],
        classes=classes,
        evidence=evidence,
        nuclei=nuclei,
        detected=nuclei and "detection_f1" in parts["intervals"]["score"].to_list(),
        most=MOST,
        tested={LABELS[score]: tables.against_best(evidence, rows, score) for score in scores} if several else {},
        bests={LABELS[score]: rows[tables.best_row(rows, score)] for score in scores},
        cells=_by_slide(models, variants, classes, patients, nuclei),
        pixels=variants[0].counts.sum(axis=(0, 2)).tolist(),
        glass=_glass(models[0], classes),
        used=len(slides),
        account=account,
        thing="image" if images else "slide",
    )
    write_text(out / "truth.md", page)


def _variant(model: Scored, patients: Mapping[str, str]) -> Variant:
    """Counts of a model as a report reads those of a variant: a row a slide, one run."""
    name, _, plan = model.record.variant.rpartition("-")
    rows = pd.DataFrame(
        {
            "run": 1,
            "seed": 0,
            "dataset": "truth",
            "shard": [*model.counts],
            "index": 0,
            "patient": [patients.get(slide, "") for slide in model.counts],
            "slide": [*model.counts],
            "group": "",
        }
    )
    size = len(model.record.classes)
    counts = [each.pixels.ravel() for each in model.counts.values()]
    instances = [each.nuclei for each in model.counts.values() if each.nuclei is not None]
    metrics = Metrics(
        variant=name,
        plan=plan,
        run=1,
        seed=0,
        weights=model.record.weights,
        parameters=None,
        trainable_parameters=None,
        flops_per_image=None,
        epochs_run=None,
        best_epoch=None,
        weights_sha256=model.sha256,
        scores={},
    )
    return Variant(
        name=model.name,
        plan=plan if plan in PLANS else "plain",
        is_baseline=False,
        runs=[metrics],
        machines=[],
        folders=[model.folder],
        curves=pd.DataFrame(),
        images=rows.join(pd.DataFrame(counts, columns=pixel.columns(size))),
        instances=rows.join(pd.DataFrame(instances)) if len(instances) == len(rows) else pd.DataFrame(),
    )


def _by_slide(
    models: Sequence[Scored],
    variants: Sequence[Variant],
    classes: Sequence[str],
    patients: Mapping[str, str],
    nuclei: bool,
) -> list[dict[str, Any]]:
    """A row a slide: its patient, mean IoU of each model, and AJI; what the first model has worst comes first."""
    scores = [image_scores(variant, classes)[:, 0] for variant in variants]
    rows = []
    for place, slide in enumerate(models[0].counts):
        found: dict[str, Any] = {
            "slide": slide,
            "patient": patients.get(slide, ""),
            "mean_iou": [float(each[place]) for each in scores],
            "seen": [model.name for model in models if slide in model.seen],
        }
        if nuclei:
            every = [variant.instances.iloc[place] for variant in variants]
            found["aji"] = [_ratio(row["binary_aji_intersection"], row["binary_aji_union"]) for row in every]
            found["nuclei"] = int(every[0]["binary_tp"] + every[0]["binary_fn"])
        rows.append(found)
    return sorted(rows, key=lambda row: (row["mean_iou"][0] == row["mean_iou"][0], row["mean_iou"][0]))


def _ratio(above: float, below: float) -> float | None:
    return float(above / below) if below else None


def _glass(model: Scored, classes: Sequence[str]) -> float:
    """Part of all that is annotated that was not looked at and counts nowhere."""
    glass = sum(each.glass for each in model.counts.values())
    counted = sum(int(each.pixels.sum()) for each in model.counts.values())
    return glass / max(1, glass + counted)
