"""Write the report of a study: `python -m pipeline.report <study> <encoder> ...`, with the encoders that it compares.

In:  training, predictions and evaluation of every variant, the study's plans, the tile store, SOURCE.json of
     the data, published.csv, the study's template.
Out: reports/<study>.md, to be read; reports/<study>/ with the tables behind it (scores.csv, counts.csv,
     curves.csv) and its figures; reports/private/<study>/ with pictures of tiles where the data's licence does
     not let them be published (git ignores that folder).
"""

import argparse
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from ruamel.yaml import YAML

from pipeline.errors import run_stage
from pipeline.examples import Examples
from pipeline.files import read_json, replacing, write_text
from pipeline.metrics import pixel
from pipeline.params import Params, Study, read_params
from pipeline.plan import SPLITS, plan_folder, read_plan
from pipeline.reporting import figures, pictures, tables
from pipeline.reporting.published import Published
from pipeline.reporting.rendering import render
from pipeline.reporting.results import Variant, load_variants
from pipeline.tiles import shards
from pipeline.variants import AUGMENTATIONS

REPORTS = Path("reports")
PACKAGES = ("torch", "segmentation-models-pytorch", "lightning", "numpy", "dvc")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the report of a study.")
    parser.add_argument("study")
    parser.add_argument("encoders", nargs="+")
    arguments = parser.parse_args()
    name = arguments.study
    params = read_params()
    study = params.study(name)
    published = Published.of(name)
    encoders = list(dict.fromkeys(arguments.encoders))
    variants = load_variants(name, study.run, params.seed, encoders)
    dataset = study.datasets[0]
    source = read_json(Path("data/raw") / dataset / "SOURCE.json")

    rows = tables.segmentation(variants, published, params.encoder)
    best = max(range(len(rows)), key=lambda position: rows[position]["mean_iou"])
    with replacing(REPORTS / name) as folder, replacing(REPORTS / "private" / name) as private:
        folder.mkdir()
        private.mkdir()
        write_tables(folder, name, source["source"], variants)
        draw_figures(folder, variants, rows, study, source["source"] == "sample")
        public = source["source"] == "sample" or study.report.publish_pictures
        draw_strips(folder if public else private, variants[best], study, params.seed, name)
        page = render(
            f"{name}.md.j2",
            study=study,
            params=params,
            parameters=as_yaml(params, name),
            source=source,
            sample=source["source"] == "sample",
            pictures_at=name if public else f"private/{name}",
            tiles=count_tiles(name, study, params.seed),
            classes=study.classes,
            native=native_size(dataset),
            segmentation=rows,
            constant=tables.constant_row(variants[0], study.classes),
            classification=tables.classification(variants, published, params.encoder, study.report.min_count),
            detection=published.others(tables.CLASSIFICATION, "f1"),
            augmentation=tables.augmentation(rows),
            best=rows[best],
            variants=list(zip(rows, variants, strict=True)),
            machine=machine(),
        )
    write_text(REPORTS / f"{name}.md", page)


def write_tables(folder: Path, study: str, source: str, variants: Sequence[Variant]) -> None:
    """Write the tables from which every figure of the report can be recomputed."""
    parts = {
        "scores": tables.scores_table(study, source, variants),
        "counts": tables.stacked(variants, "images"),
        "curves": tables.stacked(variants, "curves"),
    }
    for name, table in parts.items():
        table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n", float_format="%.6g")


def draw_figures(
    folder: Path, variants: Sequence[Variant], rows: list[dict[str, Any]], study: Study, sample: bool
) -> None:
    """Draw the figures that are made of numbers."""
    models = [row["model"] for row in rows[:: len(AUGMENTATIONS)]]
    floor = tables.constant_row(variants[0], study.classes)["mean_iou"] or 0.0
    figures.ranking(rows, floor, folder / "ranking.png", "published" + (" (on real tiles)" if sample else ""))
    figures.learning_curves(variants, models, folder / "losses.png")
    figures.validation_curves(variants, models, folder / "validation.png")
    figures.confusions(variants, models, study.classes, folder / "confusion.png")


def draw_strips(folder: Path, variant: Variant, study: Study, seed: int, name: str) -> None:
    """Draw a variant's best and worst test tiles, by mean IoU of their nuclei; tiles without nuclei are left out."""
    plan = read_plan(plan_folder(name, study.run, seed) / "split.csv")
    examples = Examples(plan[plan["split"] == "test"], study.tile_size)
    scores = pixel.mean(pixel.iou(variant.counts), pixel.foreground(study.classes))
    order = [int(position) for position in np.argsort(-scores, kind="stable") if not np.isnan(scores[position])]
    names, indices = variant.images["shard"], variant.images["index"]
    with h5py.File(variant.folder / "predictions" / "predictions.h5", "r") as file:
        for title, chosen in (
            ("best", order[: study.report.examples]),
            ("worst", order[::-1][: study.report.examples]),
        ):
            strip = [
                pictures.Row(
                    f"{names[i]}, tile {indices[i]}: mean IoU of nuclei {scores[i]:.3f}",
                    examples.image(i),
                    examples.class_map(i),
                    file["class_map"][i],
                )
                for i in chosen
            ]
            pictures.save(pictures.strip(strip, study.classes), folder / f"{title}.png")


def count_tiles(name: str, study: Study, seed: int) -> list[dict[str, Any]]:
    """Tiles of each split, and the training examples that the plans make of them; None where they make none."""
    folder = plan_folder(name, study.run, seed)
    tiles = read_plan(folder / "split.csv")["split"].value_counts()
    training = {kind: (read_plan(folder / f"{kind}.csv")["split"] == "train").sum() for kind in AUGMENTATIONS}
    return [
        {"split": split, "tiles": int(tiles.get(split, 0))}
        | {kind: int(count) if split == "train" else None for kind, count in training.items()}
        for split in SPLITS
    ]


def native_size(dataset: str) -> dict[str, float]:
    """Size of the data set's tiles in pixels, and of a pixel in micrometres."""
    shard = shards(dataset)[0]
    return {"pixels": shard.file["images"].shape[1], "microns": shard.info.microns_per_pixel}


def as_yaml(params: Params, study: str) -> str:
    """The parameters that the report rests on, as they stand in params.yaml."""
    raw = params.model_dump(mode="json")
    used = {
        "encoder": raw["encoder"],
        "seed": raw["seed"],
        "datasets": {name: raw["datasets"][name] for name in raw[study]["datasets"]},
    }
    text = StringIO()
    yaml = YAML()
    yaml.default_flow_style = None  # short lists stay on one line
    yaml.width = 110
    yaml.dump(used | {study: raw[study]}, text)
    return text.getvalue()


def machine() -> dict[str, str]:
    """Versions, commit and platform of the machine that writes the report."""
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "Python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "platform": platform.platform(),
        "commit": git.stdout.strip() or "none",
    }


if __name__ == "__main__":
    run_stage(main)
