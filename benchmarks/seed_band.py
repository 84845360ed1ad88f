"""How far apart trainings with different seeds land: the band that reports and `make verify` use.

    python -m benchmarks.seed_band                             # unet-augmented, seeds 1 to 5, some minutes
    python -m benchmarks.seed_band resnet50-augmented --seeds 1 2 3
    python -m benchmarks.seed_band unet-bn-augmented --study tnbc

For each seed a copy of the project is split, balanced, augmented, trained, predicted and evaluated on its first run.
Writes pipeline/reporting/band.csv, which holds for these parameters and data alone, and a page in docs/results.
Run it from a project whose data stages have run (`dvc repro`).
"""

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

import pandas as pd

from pipeline.errors import run_stage
from pipeline.files import read_json, write_text
from pipeline.paper import apply
from pipeline.params import Study, read_params
from pipeline.reporting import band
from pipeline.verify import copy_project, run_module, scores_of

PAGES = Path("docs/results")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how far trainings with different seeds land apart.")
    parser.add_argument("variant", nargs="?", default="unet-augmented")
    parser.add_argument("--study", default="pannuke")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    arguments = parser.parse_args()
    if len(set(arguments.seeds)) < 3:
        parser.error("a band needs at least three seeds")
    name, variant = arguments.study, arguments.variant
    _, study = read_params().study(name).of(variant.rpartition("-")[0])
    source = read_json(Path("data/raw") / study.datasets[0] / "SOURCE.json")
    started = time.monotonic()
    scores = pd.concat([train(name, variant, seed) for seed in arguments.seeds], ignore_index=True)
    found = [band.measure(score, scores[score].tolist()) for score in band.SCORES if score in scores]
    basis = band.basis(study, source["sha256"])
    band.write_bands(name, variant, basis, found)
    took = time.monotonic() - started
    write_text(PAGES / f"seed_band_{name}.md", page(name, variant, study, source["source"], scores, found, took))


def train(study: str, variant: str, seed: int) -> pd.DataFrame:
    """The scores of one training with a seed, in a copy of the project."""
    encoder, _, augmentation = variant.rpartition("-")
    with tempfile.TemporaryDirectory(prefix="lobule-band-") as temporary:
        folder = Path(temporary)
        copy_project(folder)
        (folder / "data/plans").unlink()  # a link to the project's own; a seed makes its own plans
        params = read_params().study(study)
        run = params.runs.first
        changes = {"seed": seed, f"{study}.runs.second": run, f"{study}.runs.third": run}
        if params.seeds:
            changes |= {f"{study}.seeds.{place}": seed for place in ("first", "second", "third")}
        apply(folder / "params.yaml", changes)
        for stage in ("split", "guard", "balance", "augment"):
            run_module(folder, stage, study, str(run))
        for stage in ("train", "predict"):
            run_module(folder, stage, study, str(run), encoder, augmentation)
        run_module(folder, "evaluate", study, encoder, augmentation)
        scores = scores_of(folder, study, variant)
    print(
        f"seed {seed}: " + ", ".join(f"{name} {scores[name][0]:.3f}" for name in band.SCORES if name in scores),
        flush=True,
    )
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
trained {len(scores)} times. The seed changes the first weights, the order of tiles and the copies that are drawn.

| seed | {" | ".join(b.score for b in found)} |
|--:|{"--:|" * len(found)}
{each}

| score | mean | standard deviation | band |
|---|--:|--:|--:|
{bands}

The band is the 95 % prediction interval of one more training, mean ± t · sd · √(1 + 1/n), for normal scores.

```sh
python -m benchmarks.seed_band {variant} --study {name} --seeds {" ".join(str(seed) for seed in scores["seed"])}
```

It took {seconds:.0f} s on {os.cpu_count()} cores ({platform.machine()}). The band holds for
these parameters and data alone; other ones have their own, measured by the same command.
"""


if __name__ == "__main__":
    run_stage(main)
