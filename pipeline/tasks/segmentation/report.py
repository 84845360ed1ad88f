"""How a study of U-Nets is reported: all its variants and baselines, over all runs and seeds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.files import replacing, write_text
from pipeline.base.params import Params
from pipeline.base.paths import REPORTS, plan_folder
from pipeline.base.study import PixelStudy
from pipeline.metrics import stats
from pipeline.reporting import band, facts, few, figures, lesions, repeats, row_tables, slide_maps, strips, tables
from pipeline.reporting.paper import Paper, differences, headline
from pipeline.reporting.published import Published
from pipeline.reporting.rendering import render_report
from pipeline.reporting.results import Variant, load_variants
from pipeline.reporting.scoring import Evidence, Figure, count_nuclei, image_scores
from pipeline.reporting.tile_classifier import at_ratio
from pipeline.reporting.track import track
from pipeline.tiles.store import shards

RANKED = 3  # trained variants at least for a picture of ranks: of fewer the table of differences says it all


def write(study: PixelStudy, params: Params) -> None:
    """Write reports/<study>.md and reports/<study>/: scores.csv, intervals.csv, counts.csv, ..., figures.

    Pictures of tiles go to reports/private/<study>/, which git ignores, where the data's licence does not let them be
    published.
    """
    name, paper, published = study.study, headline(study), Published.of(study.study)
    encoder = params.joining(study)
    variants = load_variants(study, encoder)
    sources = [shards(dataset)[0].info for dataset in study.datasets]
    sample = any(source.source == "sample" for source in sources)

    own = {kind for dataset in study.datasets for kind in params.datasets[dataset].kinds}
    images = not own <= {"slides"}  # called slides inside
    evidence = Evidence(variants, study.classes, params.seed, "images" if images else "slides")
    by_run, scores = evidence.by_run(), evidence.figures()
    rows = tables.rows(variants, scores, published, paper, encoder)
    plans = {run: plan_folder(name, run) for run in study.runs}
    first = plans[study.runs[0]]
    best = tables.best_row(rows, paper.score)
    here = {f"{row['variant']}-{row['plan']}": {k: each.value for k, each in row["figures"].items()} for row in rows}
    bands = band.measured(params, study, [source.source_sha256 for source in sources], here)
    tested = tables.against_best(evidence, rows, paper.score)
    nuclei = count_nuclei(variants[0], study.classes) if study.instances else {}
    classification = paper.tables.get("classification", "")
    changed = [paper.score, *(["mpq_images"] if study.instances else [])]
    with replacing(REPORTS / name) as folder, replacing(REPORTS / "private" / name) as private:
        folder.mkdir()
        private.mkdir()
        rows_at = write_tables(
            folder, study, "sample" if sample else sources[0].source, variants, scores, evidence, bands
        )
        draw_figures(folder, variants, rows, study, paper, published, sample, evidence)
        public = study.report.publish_pictures or all(source.source == "sample" for source in sources)
        shown = folder if public else private
        drawn = strips.draw(shown, paper.strips, variants[best], study, first)
        of_target: dict[str, Any] = {}
        if study.target is not None and "train" in study.predict.splits:
            of_target = lesions.add(folder, shown, study, variants, rows, best, first)
        slide = None if study.target is not None else slide_maps.draw(shown / "slide.jpg", variants[best], study, first)
        page = render_report(
            study,
            map_of=slide,
            **of_target,
            rows_at=rows_at,
            params=params,
            parameters=facts.as_yaml(params, study),
            sources=sources,
            sample=sample,
            differs=differences(paper, study, params, sample),
            pictures_at=name if public else f"private/{name}",
            runs=variants[best].runs,
            tiles=facts.count_tiles(plans),
            cut=facts.cut_images(first),
            cut_slides=facts.cut_slides,
            parts=facts.count_parts(first),
            native=facts.native_size(study.datasets[0]),
            guarded=facts.guarded(plans),
            evidence=evidence,
            rows=rows,
            paper=paper,
            published=published,
            cells=tables.classes(rows, nuclei, published, classification, study.report.min_count),
            against_best=tested,
            next_best=tables.next_best(evidence, rows, tested, paper.score),
            own_range=few.range_of_units(evidence, paper.score, best),
            least_p=min(1.0, evidence.least_p * (len(rows) - 1)),
            ablations=tables.ablations(evidence, rows, changed),
            by_verdict=tables.by_verdict,
            epochs=tables.epochs,
            at_ratio=at_ratio,
            best=rows[best],
            bands=bands,
            spreads=repeats.spreads(by_run),
            losses=repeats.losses(variants, rows, paper, published),
            seed_bands=repeats.bands(variants, rows, by_run, paper.score),
            speeds=repeats.speeds(variants),
            validated=figures.validated([variant for variant in variants if not variant.is_baseline]),
            variants=list(zip(rows, variants, strict=True)),
            machine=facts.machine(),
        )
    write_text(REPORTS / f"{name}.md", page)
    place = REPORTS / name if public else REPORTS / "private" / name
    track(study, encoder, {(variants[best].name, variants[best].plan): [place / path.name for path in drawn]})


def write_tables(
    folder: Path,
    study: PixelStudy,
    source: str,
    variants: Sequence[Variant],
    scores: Sequence[dict[str, Figure]],
    evidence: Evidence,
    bands: Sequence[dict[str, Any]],
) -> dict[str, str]:
    """Write the tables from which every figure of the report can be recomputed; where those with a row an image are."""
    name = study.study
    parts = {
        "scores": tables.scores_table(name, source, variants, evidence),
        "intervals": band.beside(tables.intervals_table(name, source, variants, scores, evidence), bands),
        "curves": tables.stacked(variants, "curves"),
    }
    for title, table in parts.items():
        table.to_csv(folder / f"{title}.csv", index=False, lineterminator="\n", float_format="%.10g")
    of_images = {
        "counts": tables.stacked(variants, "images"),
        "instances": tables.stacked(variants, "instances"),
        "train": tables.stacked(variants, "train"),
        "histograms": lesions.by_unit(variants) if study.target else pd.DataFrame(),
    }
    return row_tables.write(folder, name, of_images)


def draw_figures(
    folder: Path,
    variants: Sequence[Variant],
    rows: Sequence[dict[str, Any]],
    study: PixelStudy,
    paper: Paper,
    published: Published,
    sample: bool,
    evidence: Evidence,
) -> None:
    """Draw the figures that are made of numbers; that of speed where the paper prints speeds, too."""
    printed = "published" + (" (on real tiles)" if sample else "")
    figures.ranking(rows, paper.score, paper.label, folder / "ranking.png", printed, paper.least)
    places = [place for place, row in enumerate(rows) if not row["baseline"]]
    trained, named = [variants[place] for place in places], [rows[place] for place in places]
    if len(trained) >= RANKED:
        per_image = np.stack([image_scores(variant, study.classes)[:, 0] for variant in trained], axis=1)
        all_pairs = evidence.compare_all(places)
        figures.ranks(named, stats.average_ranks(per_image), all_pairs, folder / "ranks.png")
    figures.learning_curves(trained, named, folder / "losses.png")
    if figures.validated(trained):
        figures.validation_curves(trained, named, folder / "validation.png")
    if (published.rows["metric"] == "fps").any():
        figures.speed(rows, repeats.speeds(variants), paper.score, paper.label, folder / "speed.png")
    shown = [place for place, row in enumerate(named) if row["plan"] != "balanced"]
    figures.confusions(
        [trained[place] for place in shown], [named[place] for place in shown], study.classes, folder / "confusion.png"
    )
