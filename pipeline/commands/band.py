"""How far apart trainings with different seeds land: the band that reports and `make verify` use.

    lobule band                                   # unet-augmented, seeds 1 to 5, some minutes
    lobule band resnet50-augmented --seeds 1 2 3
    lobule band unet-bn-augmented --study tnbc

For each seed the variant is trained on the plans of the study's first run, predicted and evaluated in a copy of the
project. Writes pipeline/reporting/band.csv, which holds for these parameters and data alone, and a page in
docs/results. Run it from a project whose data stages have run (`dvc repro`).
"""

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

import pandas as pd

from pipeline.base.errors import Problem
from pipeline.base.files import read_json, write_text
from pipeline.base.params import Study, read_params
from pipeline.commands.paper import apply
from pipeline.commands.verify import DEFAULT, checksums, copy_project, rerun, scores_of
from pipeline.reporting import band
from pipeline.tiles.plan import plan_folder

PAGES = Path("docs/results")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("variant", nargs="?", default=DEFAULT, help="encoder-augmentation, such as %(default)s")
    parser.add_argument("--study", default="pannuke", help="(default: %(default)s)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5], help="at least three")


def run(arguments: argparse.Namespace) -> None:
    if len(set(arguments.seeds)) < 3:
        raise Problem(f"--seeds names {len(set(arguments.seeds))} and a band needs at least three; name more.")
    name, variant = arguments.study, arguments.variant
    params = read_params()
    started = time.monotonic()
    scores = pd.concat([train(name, variant, seed) for seed in arguments.seeds], ignore_index=True)
    found = [band.measure(score, scores[score].tolist()) for score in band.SCORES[name]]
    band.write_bands(name, variant, band.basis(params, name, variant, checksums(name)), found)
    took = time.monotonic() - started
    _, study = params.study(name).of(variant.rpartition("-")[0])
    source = read_json(Path("data/raw") / study.datasets[0] / "SOURCE.json")["source"]
    write_text(PAGES / f"seed_band_{name}.md", page(name, variant, study, source, scores, found, took))


def train(study: str, variant: str, seed: int) -> pd.DataFrame:
    """The scores of one training with a seed on the project's own plans, in a copy of the project.

    There the seed is the top-level one, and the plans lie under its name.
    """
    with tempfile.TemporaryDirectory(prefix="lobule-band-") as temporary:
        folder = Path(temporary)
        copy_project(folder)
        params = read_params()
        run = params.study(study).runs.first
        plans = folder / plan_folder(study, run, seed)
        (folder / "data/plans").unlink()  # a link to all of the project's own
        plans.parent.mkdir(parents=True)
        plans.symlink_to(plan_folder(study, run, params.seed).resolve())
        changes = {"seed": seed, f"{study}.runs.second": run, f"{study}.runs.third": run}
        if params.study(study).seeds:
            changes |= {f"{study}.seeds.{place}": seed for place in ("first", "second", "third")}
        apply(folder / "params.yaml", changes)
        rerun(folder, study, variant, [(run, seed)])
        scores = scores_of(folder, study, variant)
    print(f"seed {seed}: " + ", ".join(f"{name} {scores[name][0]:.3f}" for name in band.SCORES[study]), flush=True)
    return scores


def page(
    name: str,
    variant: str,
    study: Study,
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
lobule band {variant} --study {name} --seeds {" ".join(str(seed) for seed in scores["seed"])}
```

It took {seconds:.0f} s on {os.cpu_count()} cores ({platform.machine()}). The band holds for
these parameters and data alone; other ones have their own, measured by the same command.
"""
