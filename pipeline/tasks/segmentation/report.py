"""Write the report of a study: `python -m pipeline.stages.report <study> [<encoder> ...]`.

It compares the encoders that are named here, or else those of the study's `compare` in params.yaml.

In:  evaluation of every variant and baseline, the study's plans, the tile store, SOURCE.json of the data,
     published.csv, band.csv, the study's template.
Out: reports/<study>.md, to be read; reports/<study>/ with the tables behind it (scores.csv, intervals.csv, counts.csv,
     instances.csv, curves.csv) and its figures; reports/private/<study>/ with pictures of tiles where the data's
     licence does not let them be published (git ignores that folder).
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.base.errors import run_stage
from pipeline.base.files import read_json, replacing, write_text
from pipeline.base.params import Study, read_params
from pipeline.base.paths import AUGMENTATIONS, baselines_of
from pipeline.metrics import pixel, stats
from pipeline.reporting import band, facts, figures, lesions, overlays, pictures, repeats, tables
from pipeline.reporting.headlines import HEADLINES, Headline
from pipeline.reporting.published import Published
from pipeline.reporting.rendering import render
from pipeline.reporting.results import Variant, load_variants
from pipeline.reporting.scoring import Evidence, Figure, count_nuclei, image_scores
from pipeline.tiles.examples import Examples
from pipeline.tiles.plan import SPLITS, plan_folder, read_plan

REPORTS = Path("reports")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the report of a study.")
    parser.add_argument("study")
    parser.add_argument("encoders", nargs="*")
    arguments = parser.parse_args()
    name = arguments.study
    params = read_params()
    study = params.study(name)
    headline, published = HEADLINES[name], Published.of(name)
    variants = load_variants(name, variant_names(study, arguments.encoders or compared(study)))
    sources = [read_json(Path("data/raw") / dataset / "SOURCE.json") for dataset in study.datasets]
    sample = any(source["source"] == "sample" for source in sources)

    evidence = Evidence(variants, study.classes, params.seed)
    by_run, scores = evidence.by_run(), evidence.figures()
    rows = tables.rows(variants, scores, published, headline, params.encoder if arguments.encoders else None)
    plans = {run: plan_folder(name, run, params.seed) for run in study.runs.numbers}
    best = tables.best_row(rows, headline.score)
    ranked = [position for position, row in enumerate(rows) if not row["baseline"]]
    all_pairs = evidence.compare_all(ranked)
    nuclei = count_nuclei(variants[0], study.classes) if study.instances else {}
    with replacing(REPORTS / name) as folder, replacing(REPORTS / "private" / name) as private:
        folder.mkdir()
        private.mkdir()
        write_tables(folder, name, "sample" if sample else sources[0]["source"], variants, scores, evidence)
        draw_figures(folder, variants, rows, study, headline, sample, all_pairs)
        public = study.report.publish_pictures or all(source["source"] == "sample" for source in sources)
        strips = folder if public else private
        draw_strips(strips, headline.strips, variants[best], study, plans[variants[best].runs[0]["run"]])
        own = {}
        if study.target is not None:
            first = plans[study.runs.first]
            own = lesions.add(folder, strips, name, study, variants, rows, best, first)
        page = render(
            f"{name}.md.j2",
            **own,
            study=study,
            params=params,
            parameters=facts.as_yaml(params, name),
            sources=sources,
            sample=sample,
            pictures_at=name if public else f"private/{name}",
            runs=variants[best].runs,
            tiles=count_tiles(plans),
            parts=count_parts(plans[study.runs.numbers[0]]),
            native=facts.native_size(study.datasets[0]),
            leaks=facts.leaks(plans),
            near_duplicates=facts.near_duplicates(plans),
            evidence=evidence,
            rows=rows,
            headline=headline,
            published=published,
            cells=tables.classes(rows, nuclei, published, study.report.min_count),
            detection=published.others(tables.CLASSIFICATION, "f1"),
            bars={score: published.others(tables.BARS, score) for score in ("bpq", "mpq")},
            against_best=tables.against_best(evidence, rows, headline.score),
            least_p=min(1.0, evidence.least_p * (len(rows) - 1)),
            ablations=tables.ablations(evidence, rows, [headline.score, *(["mpq_images"] if study.instances else [])]),
            count_verdicts=tables.count_verdicts,
            epochs=tables.epochs,
            published_rows=lesions.published_rows,
            at_ratio=lesions.at_ratio,
            best=rows[best],
            bands=band.beside(params, name, [source["sha256"] for source in sources], by_variant(variants, scores)),
            spreads=repeats.spreads(by_run),
            losses=repeats.losses(variants, rows, headline, published),
            seed_bands=repeats.bands(variants, rows, by_run, headline.score),
            speeds=repeats.speeds(variants),
            published_speed=published_speed(published, headline),
            validated=figures.validated([variant for variant in variants if not variant.is_baseline]),
            variants=list(zip(rows, variants, strict=True)),
            machine=facts.machine(),
        )
    write_text(REPORTS / f"{name}.md", page)


def compared(study: Study) -> list[str]:
    """The names of the variants that a study trains."""
    return [*study.compare, *(study.classifier.variants if study.classifier else [])]


def variant_names(study: Study, encoders: Sequence[str]) -> list[tuple[str, str]]:
    """Encoder and augmentation of every variant: those of the encoders, the ablation, the baselines.

    A study that names its own variants trains each on the plan that it names, and the ablation on the plain one, too.
    """
    names = []
    for each in dict.fromkeys(encoders):
        kinds = [study.plan] if study.compare else ["plain", "augmented"]
        ablated = [] if each != study.ablation else ["plain"] if study.compare else ["balanced"]
        names += [(each, kind) for kind in kinds + ablated]
    return [*names, *((baseline, "plain") for baseline in baselines_of(study.classes))]


def write_tables(
    folder: Path,
    study: str,
    source: str,
    variants: Sequence[Variant],
    scores: Sequence[dict[str, Figure]],
    evidence: Evidence,
) -> None:
    """Write the tables from which every figure of the report can be recomputed."""
    parts = {
        "scores": tables.scores_table(study, source, variants, evidence),
        "intervals": tables.intervals_table(study, source, variants, scores, evidence),
        "counts": tables.stacked(variants, "images"),
        "instances": tables.stacked(variants, "instances"),
        "curves": tables.stacked(variants, "curves"),
    }
    for name, table in parts.items():
        if len(table):
            table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n", float_format="%.10g")


def draw_figures(
    folder: Path,
    variants: Sequence[Variant],
    rows: Sequence[dict[str, Any]],
    study: Study,
    headline: Headline,
    sample: bool,
    all_pairs: Sequence[stats.Comparison],
) -> None:
    """Draw the figures that are made of numbers; `all_pairs` compares the trained variants."""
    label = "published" + (" (on real tiles)" if sample else "")
    figures.ranking(rows, headline.score, headline.label, folder / "ranking.png", label, headline.least)
    trained = [variant for variant in variants if not variant.is_baseline]
    named = [row for row in rows if not row["baseline"]]
    per_image = np.stack([image_scores(variant, study.classes)[:, 0] for variant in trained], axis=1)
    figures.ranks(named, stats.average_ranks(per_image), all_pairs, folder / "ranks.png")
    figures.learning_curves(trained, named, folder / "losses.png")
    if figures.validated(trained):
        figures.validation_curves(trained, named, folder / "validation.png")
    if study.compare:
        figures.speed(rows, repeats.speeds(variants), headline.score, headline.label, folder / "speed.png")
    shown = [place for place, row in enumerate(named) if row["augmentation"] in ("plain", "augmented")]
    figures.confusions(
        [trained[place] for place in shown], [named[place] for place in shown], study.classes, folder / "confusion.png"
    )


def draw_strips(folder: Path, strips: Sequence[str], variant: Variant, study: Study, plans: Path) -> None:
    """Draw a variant's best, worst or first test tiles, by mean IoU without background; tiles without any are left out.

    They are those of the first run. Where nuclei have one class, those that are merged and split are shown, too.
    """
    run, seed = variant.runs[0]["run"], variant.runs[0]["seed"]
    mine = ((variant.images["run"] == run) & (variant.images["seed"] == seed)).to_numpy()
    plan = read_plan(plans / "split.csv")
    examples = Examples.of(plan[plan["split"] == "test"], study)
    scores = pixel.mean(pixel.iou(variant.counts[mine]), pixel.foreground(study.classes))
    order = [int(position) for position in np.argsort(-scores, kind="stable") if not np.isnan(scores[position])]
    shard, index = examples.plan["shard"], examples.plan["index"]
    of_nuclei = " of nuclei" if study.instances else ""
    with h5py.File(variant.folder / "class_maps.h5", "r") as file:
        class_maps = file[f"run{run}-seed{seed}"]
        orders = {"best": order, "worst": order[::-1], "first": sorted(order)}
        for title in strips:
            strip = [
                pictures.Row(
                    f"{shard[i]}, tile {index[i]}: mean IoU{of_nuclei} {scores[i]:.3f}",
                    examples.image(i),
                    examples.class_map(i),
                    class_maps[i],
                )
                for i in orders[title][: study.report.examples]
            ]
            pictures.save(pictures.strip(strip, study.classes), folder / f"{title}.png")
        if study.instances and len(study.classes) == 2:
            joined = overlays.collect(examples, class_maps, study, study.report.examples)
            pictures.save(overlays.sheet(joined), folder / "overlays.png")


def count_tiles(plans: Mapping[int, Path]) -> list[dict[str, Any]]:
    """Tiles and known patients of each run and split, and the training examples that plans make of them, or None.

    `plans` names the folder of each run's plans.
    """
    result = []
    for run, folder in plans.items():
        plan = read_plan(folder / "split.csv")
        tiles = plan["split"].value_counts()
        patients = plan[plan["patient"] != ""].groupby("split")["patient"].nunique()
        training = {kind: (read_plan(folder / f"{kind}.csv")["split"] == "train").sum() for kind in AUGMENTATIONS}
        for split in SPLITS:
            examples = {kind: int(count) if split == "train" else None for kind, count in training.items()}
            counts = {"tiles": int(tiles.get(split, 0)), "patients": int(patients.get(split, 0))}
            result.append({"run": run, "split": split} | counts | examples)
    return result


def count_parts(folder: Path) -> list[dict[str, Any]]:
    """Data set, side, tiles and known patients of each part of a split, from a folder of plans."""
    plan = read_plan(folder / "split.csv")
    return [
        {"dataset": dataset, "split": split, "tiles": len(rows), "patients": sorted(set(rows["patient"]) - {""})}
        for split in SPLITS
        for dataset, rows in plan[plan["split"] == split].groupby("dataset", sort=False)
    ]


def by_variant(variants: Sequence[Variant], scores: Sequence[dict[str, Figure]]) -> dict[str, dict[str, float]]:
    """Every score of every variant, by what `make verify` calls it."""
    return {
        f"{variant.encoder}-{variant.augmentation}": {name: figure.value for name, figure in found.items()}
        for variant, found in zip(variants, scores, strict=True)
    }


def published_speed(published: Published, headline: Headline) -> dict[str, float | None]:
    """The frames per second that a paper prints of the variants which the study names."""
    return {
        name: published.of_variant(headline.table, printed, "fps", headline.of)
        for name, printed in headline.names.items()
    }


if __name__ == "__main__":
    run_stage(main)
