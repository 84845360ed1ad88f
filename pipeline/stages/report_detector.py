"""Write the report of a study of detectors: `python -m pipeline.stages.report_detector <study>`.

It compares the study's `compare` in params.yaml.

In:  evaluation of every variant and baseline, the study's plans, the tile store, SOURCE.json of the data,
     published.csv, band.csv, the study's template.
Out: reports/<study>.md, to be read; reports/<study>/ with the tables behind it (scores.csv, votes.csv, intervals.csv,
     curves.csv) and its figures; reports/private/<study>/ with pictures of images where the data's licence does not
     let them be published (git ignores that folder).
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from pipeline.base.errors import Problem, run_stage
from pipeline.base.files import read_json, replacing, write_text
from pipeline.base.params import Study, read_params
from pipeline.base.paths import IMAGE_BASELINES, evaluation_folder
from pipeline.metrics import classification, stats
from pipeline.metrics.pixel import BACKGROUND
from pipeline.reporting import band, class_figures, detections, facts, pictures
from pipeline.reporting.headlines import HEADLINES
from pipeline.reporting.published import Published
from pipeline.reporting.rendering import render
from pipeline.tiles.examples import Examples
from pipeline.tiles.objects import Objects, true_objects
from pipeline.tiles.plan import SPLITS, plan_folder, read_plan

REPORTS = Path("reports")
AUGMENTATION = "augmented"
NO_CALL = "no call"
PRINTED = ("accuracy", "precision", "recall", "f1")  # what the paper's comparison has


@dataclass(frozen=True)
class Variant:
    """One evaluated variant, or baseline."""

    name: str
    model: str  # what a table calls it
    record: dict[str, Any]  # metrics.json
    votes: pd.DataFrame  # votes.csv
    curves: pd.DataFrame  # empty for a baseline
    machine: dict[str, Any]

    @property
    def baseline(self) -> bool:
        """A sanity row: nothing was trained."""
        return self.name in IMAGE_BASELINES

    def figures(self, side: str) -> dict[str, stats.Interval]:
        """Every score of a side of the split, with its interval."""
        found = self.record["sides"].get(side, {"scores": {}, "units": 0})
        result = {}
        for name, figure in found["scores"].items():
            value, low, high = (np.nan if figure[end] is None else figure[end] for end in ("value", "low", "high"))
            result[name] = stats.Interval(value, low, high, found["units"])
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the report of a study of detectors.")
    parser.add_argument("study")
    name = parser.parse_args().study
    params = read_params()
    study, published = params.study(name), Published.of(name)
    classes = [each for each in study.classes if each != BACKGROUND]
    variants = [load(name, each, published) for each in [*study.compare, *IMAGE_BASELINES]]
    trained = [variant for variant in variants if not variant.baseline]
    plans = plan_folder(name, study.runs.first, params.seed)
    source = read_json(Path("data/raw") / study.datasets[0] / "SOURCE.json")
    sample = source["source"] == "sample"
    public = sample or study.report.publish_pictures
    here = {
        f"{each.name}-{AUGMENTATION}": {score: figure.value for score, figure in each.figures("test").items()}
        for each in trained
    }
    best = max(trained, key=lambda variant: variant.figures("test")["accuracy"].value)
    with replacing(REPORTS / name) as folder, replacing(REPORTS / "private" / name) as private:
        folder.mkdir()
        private.mkdir()
        write_tables(folder, name, source["source"], variants)
        draw_figures(folder, trained, classes)
        plan = read_plan(plans / "split.csv")
        shown = Examples.of(plan[plan["split"] == "test"], study)
        drawn = draw_detections(name, best, shown, classes)
        pictures.save(drawn, (folder if public else private) / "detections.png")
        page = render(
            f"{name}.md.j2",
            study=study,
            params=params,
            parameters=facts.as_yaml(params, name),
            source=source,
            sample=sample,
            pictures_at=name if public else f"private/{name}",
            classes=classes,
            images=count_images(plans, study),
            nuclei=count_nuclei(trained[0]),
            native=facts.native_size(study.datasets[0]),
            near_duplicates=facts.near_duplicates({study.runs.first: plans}),
            unknown=int((plan["patient"] == "").sum()),
            variants=variants,
            trained=trained,
            best=best,
            printed=printed(published, study.compare),
            others=others(published),
            tests=against_best(variants, best, classes, params.seed),
            bands=band.beside(params, name, [source["sha256"]], here),
            machine=facts.machine(),
        )
    write_text(REPORTS / f"{name}.md", page)


def load(study: str, name: str, published: Published) -> Variant:
    """What `evaluate_detector` wrote of one variant."""
    folder = evaluation_folder(study, name, "plain" if name in IMAGE_BASELINES else AUGMENTATION)
    try:
        return Variant(
            name,
            IMAGE_BASELINES.get(name) or HEADLINES[study].model(published, name),
            read_json(folder / "metrics.json"),
            pd.read_csv(folder / "votes.csv", keep_default_na=False),
            pd.DataFrame() if name in IMAGE_BASELINES else pd.read_csv(folder / "curves.csv"),
            {} if name in IMAGE_BASELINES else read_json(folder / "machine.json"),
        )
    except FileNotFoundError as error:
        raise Problem(f"{error.filename} is missing; run `dvc repro` so that the variant is evaluated first.") from None


def write_tables(folder: Path, study: str, source: str, variants: Sequence[Variant]) -> None:
    """Write the tables from which every figure of the report can be recomputed."""
    named = [{"encoder": variant.name, "augmentation": variant.record["augmentation"]} for variant in variants]
    rows = [
        {"study": study, "source": source, **name, "score": score if side == "test" else f"{side}_{score}"}
        | {"value": figure.value, "sd": None, "low": figure.low, "high": figure.high}
        | {"runs": 1, "unit": "patients, else images", "units": figure.units}
        for name, variant in zip(named, variants, strict=True)
        for side in SPLITS
        for score, figure in variant.figures(side).items()
        if np.isfinite(figure.value)
    ]
    scores = [
        {"study": study, "source": source, **name, "run": variant.record["run"], "seed": variant.record["seed"]}
        | {score: figure.value for score, figure in variant.figures("test").items()}
        for name, variant in zip(named, variants, strict=True)
    ]
    votes = [variant.votes.assign(**name) for name, variant in zip(named, variants, strict=True)]
    curves = [variant.curves.assign(**name) for name, variant in zip(named, variants, strict=True)]
    tables = {"scores": pd.DataFrame(scores), "intervals": pd.DataFrame(rows)}
    tables |= {"votes": pd.concat(votes), "curves": pd.concat(curves)}
    for title, table in tables.items():
        table.to_csv(folder / f"{title}.csv", index=False, lineterminator="\n", float_format="%.10g")


def draw_figures(folder: Path, trained: Sequence[Variant], classes: Sequence[str]) -> None:
    """Draw the figures that are made of numbers."""
    held_out = {variant.model: variant.votes[variant.votes["split"] == "test"] for variant in trained}
    class_figures.roc_curves(held_out, classes, folder / "roc.png")
    matrices = {variant.model: variant.record["sides"]["test"]["confusion"] for variant in trained}
    class_figures.confusions(matrices, classes, folder / "confusion.png")
    class_figures.losses({variant.model: variant.curves for variant in trained}, folder / "losses.png")


def draw_detections(study: str, variant: Variant, examples: Examples, classes: Sequence[str]) -> Any:
    """Draw what a variant found in the first test image of each class."""
    votes = variant.votes[variant.votes["split"] == "test"].reset_index(drop=True)
    rows = []
    with h5py.File(evaluation_folder(study, variant.name, AUGMENTATION) / "shown.h5", "r") as file:
        for position in sorted(int(name) for name in file):
            group = file[str(position)]
            found = Objects(*(group[name][()] for name in ("boxes", "labels", "scores", "masks")))
            row = votes.iloc[position]
            caption = f"{row['slide']}: {row['truth']}, called {row['call']}"
            image = examples.image(position)
            rows.append(detections.Shown(caption, image, true_objects(examples, position), found))
    return detections.sheet(rows, classes)


def count_images(plans: Path, study: Study) -> list[dict[str, Any]]:
    """Images of each class on each side, and rows of its training images in the augmented plan."""
    split, augmented = (read_plan(plans / f"{name}.csv") for name in ("split", "augmented"))
    result = []
    for shard, rows in split.groupby("shard", sort=False):
        training = augmented[(augmented["shard"] == shard) & (augmented["split"] == "train")]
        sides = {side: int((rows["split"] == side).sum()) for side in SPLITS}
        result.append({"class": shard, **sides, "augmented": len(training)})
    return result


def count_nuclei(variant: Variant) -> dict[str, int]:
    """The pseudo-instances of each class in the test images."""
    held_out = variant.votes[variant.votes["split"] == "test"]
    return {str(label): int(count) for label, count in held_out.groupby("truth")["nuclei"].sum().items()}


def printed(published: Published, encoders: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """The paper's figures of each encoder: of training and validation images, and those of its comparison."""
    found: dict[str, dict[str, float | None]] = {}
    for encoder in encoders:
        rows = published.rows[(published.rows["encoder"] == encoder) & (published.rows["cls"] == "all")]
        text, table = rows[rows["table"] == "text"], rows[rows["table"] == "Table 4"]
        found[encoder] = {name: _first(table[table["metric"] == name]) for name in PRINTED}
        found[encoder] |= {side: _first(text[text["split"] == side]) for side in ("train", "validation")}
    return found


def others(published: Published) -> dict[str, dict[str, float | None]]:
    """Other people's systems in the paper's comparison: system -> score -> figure."""
    rows = published.rows[published.rows["encoder"] == ""]
    return {
        str(name): {score: _first(group[group["metric"] == score]) for score in PRINTED}
        for name, group in rows.groupby("variant", sort=False)
    }


def _first(rows: pd.DataFrame) -> float | None:
    return float(rows["value"].iloc[0]) if len(rows) else None


def against_best(
    variants: Sequence[Variant], best: Variant, classes: Sequence[str], seed: int
) -> list[tuple[Variant, stats.Comparison]]:
    """Each other row tested against the best one by accuracy, on the same test images; the nearest first."""
    tables = [variant.votes[variant.votes["split"] == "test"] for variant in variants]
    units = [
        f"{dataset} {patient}" if patient else ""
        for dataset, patient in zip(tables[0]["dataset"], tables[0]["patient"], strict=True)
    ]
    place = variants.index(best)
    tests = stats.compare(
        [_counts(table, classes) for table in tables],
        classification.accuracy,
        units,
        pairs=[(other, place) for other in range(len(variants)) if other != place],
        seed=seed,
    )
    return sorted(((variants[test.first], test) for test in tests), key=lambda found: -found[1].difference.value)


def _counts(votes: pd.DataFrame, classes: Sequence[str]) -> Any:
    """A one for each image (N, C, C + 1), at its class and its call."""
    kinds = [*classes, NO_CALL]
    counts = np.zeros((len(votes), len(classes), len(kinds)))
    truth, called = votes["truth"].map(kinds.index), votes["call"].map(kinds.index)
    counts[np.arange(len(votes)), truth, called] = 1
    return counts


if __name__ == "__main__":
    run_stage(main)
