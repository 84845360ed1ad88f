"""Decide which tiles of a study train, validate and test: `python -m pipeline.stages.split <study> --run RUN`.

In: the tile store of the study's data sets. Out: `split.csv`, a plan with every tile of the study once.
"""

import pandas as pd

from pipeline.base.errors import Problem, run_stage
from pipeline.base.params import read_params
from pipeline.base.paths import plan_folder
from pipeline.plans.job import read_run
from pipeline.plans.known import known, unknown
from pipeline.plans.split import SPLITTERS, list_tiles
from pipeline.tiles.plan import SPLITS, write_plan

OFFICIAL = {"official", "image"}  # splits whose sides do not follow from fractions


def main() -> None:
    study, run = read_run("Decide which tiles of a study train, validate and test.")
    name = study.study
    tiles = pd.concat([list_tiles(dataset, study) for dataset in study.datasets], ignore_index=True)
    plan = SPLITTERS[study.split.by](tiles, study, run, read_params().seed)
    counts = plan["split"].value_counts()
    if "validation" not in counts and study.split.by not in OFFICIAL and study.split.fractions[1]:
        raise Problem(
            f"the {study.split.by} split of {name} leaves no tile to validation, which is to have"
            f" {study.split.fractions[1]:g} of {len(plan):,}; give more data, or change split.fractions in"
            f" studies/{name}/params.yaml, to 0 in the middle to train without validation."
        )
    for side in ("train", "test"):  # a study may train without validation
        if side not in counts:
            raise Problem(
                f"the {study.split.by} split of {name} leaves no tile to {side};"
                f" change split in studies/{name}/params.yaml, or give the data set's missing part."
            )
    write_plan(plan, plan_folder(name, run) / "split.csv", leaky=study.split.leaky)
    print(", ".join(f"{counts.get(side, 0):,} tiles {side}" for side in SPLITS))
    for sentence in unknown(known(plan)):
        print(sentence)


if __name__ == "__main__":
    run_stage(main)
