"""How far apart trainings with different seeds land: the band that reports and `lobule verify` use.

    lobule band pannuke/unet-augmented            # seeds 1 to 5, some minutes
    lobule band bach/resnet50-augmented --seeds 1 2 3

For each seed the variant is trained on the plans of the study's first run, predicted and evaluated in a copy of the
project. Writes studies/<name>/paper/band.csv, which holds for these parameters and data alone, and a page of
the variant's in docs/results. Run it from a project whose data stages have run (`dvc repro`).
"""

import argparse
import os
import platform
import time
from pathlib import Path

import pandas as pd

from pipeline.base.errors import Problem
from pipeline.base.files import write_text
from pipeline.base.params import read_params
from pipeline.base.study import AnyStudy
from pipeline.base.study import variant as settings_of
from pipeline.commands.verify import checksums, named_variant, reported, train_again
from pipeline.reporting import band
from pipeline.reporting.paper import headline
from pipeline.tiles.store import shards

PAGES = Path("docs/results")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("variant", metavar="STUDY/VARIANT-PLAN", help="as in reports/STUDY/scores.csv")
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5], help="at least three (default: 1 2 3 4 5)"
    )
    parser.add_argument("--replace", action="store_true", help="replace a band that more seeds were trained for")


def run(arguments: argparse.Namespace) -> None:
    if len(set(arguments.seeds)) < 3:
        raise Problem(f"--seeds names {len(set(arguments.seeds))} and a band needs at least three; name more.")
    started = time.monotonic()
    study, name = named_variant(arguments.variant)
    reported(study, name)  # refuses what cannot be trained before the first training
    labels, basis = headline(study).bands, band.basis(read_params(), study, name, checksums(study))
    seeds = max((each.seeds for each in band.read_bands(study.study, name, basis).values()), default=0)
    if seeds > len(set(arguments.seeds)) and not arguments.replace:
        raise Problem(f"{band.band_path(study.study)} has a band of {seeds} seeds; name more, or give --replace.")
    parts = []
    for seed in arguments.seeds:
        scores = train_again(study, name, study.runs[:1], [seed])
        print(f"seed {seed}: " + ", ".join(f"{score} {scores[score][0]:.3f}" for score in labels), flush=True)
        parts.append(scores)
    scores = pd.concat(parts, ignore_index=True)
    found = [band.measure(score, scores[score].tolist()) for score in labels]
    band.write_bands(study.study, name, basis, found)
    source = shards(study.datasets[0])[0].info.source
    _, settings = settings_of(study, name.rpartition("-")[0])
    text = page(study.study, name, settings, source, scores, found, time.monotonic() - started)
    written = PAGES / f"seed_band_{study.study}_{name}.md"
    write_text(written, text)
    for each in found:
        print(f"{each.score}: {each.mean:.3f}, with another seed {each.low:.3f} to {each.high:.3f}")
    print(f"written: {band.band_path(study.study)}, {written}; `lobule repro {study.study}` puts it into the report.")


def page(
    name: str,
    variant: str,
    study: AnyStudy,
    source: str,
    scores: pd.DataFrame,
    found: list[band.Band],
    seconds: float,
) -> str:
    """The result as Markdown."""
    each = "\n".join(
        f"| {row['seed']:.0f} | " + " | ".join(f"{row[b.score]:.3f}" for b in found) + " |"
        for _, row in scores.iterrows()
    )
    bands = "\n".join(f"| {b.score} | {b.mean:.3f} | {b.sd:.3f} | {b.low:.3f} to {b.high:.3f} |" for b in found)
    return f"""# How far apart two trainings land

`{variant}` of the study `{name}` on `{source}` data ({study.train.epochs} epochs at most, {study.tile_size} px),
trained {len(scores)} times on the same plans. The seed changes the first weights and the order of examples.

| seed | {" | ".join(b.score for b in found)} |
|--:|{"--:|" * len(found)}
{each}

| score | mean | standard deviation | band |
|---|--:|--:|--:|
{bands}

The band is the 95 % prediction interval of one more training, mean ± t · sd · √(1 + 1/n), for normal scores.

```sh
lobule band {name}/{variant} --seeds {" ".join(str(seed) for seed in scores["seed"])}
```

It took {seconds:.0f} s on {os.cpu_count()} cores ({platform.machine()}). The band holds for
these parameters and data alone; other ones have their own, measured by the same command.
"""
