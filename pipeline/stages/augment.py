"""Add turned and mirrored copies of the training tiles: `python -m pipeline.stages.augment <study> <run>`.

In: `plain.csv`. Out: `augmented.csv`, the plan on which augmented variants train. No pixel is written: a row names its
transform, and `pipeline.tiles.examples` applies it when the tile is read.
"""

import argparse

from pipeline.base.errors import run_stage
from pipeline.base.params import read_params
from pipeline.base.paths import plan_folder
from pipeline.base.study import read_study
from pipeline.plans.augment import augment
from pipeline.tiles.plan import read_plan, write_plan


def main() -> None:
    parser = argparse.ArgumentParser(description="Add turned and mirrored copies of the training tiles.")
    parser.add_argument("study")
    parser.add_argument("run", type=int)
    arguments = parser.parse_args()
    study = read_study(arguments.study)
    folder = plan_folder(arguments.study, arguments.run)
    plan = read_plan(folder / "plain.csv")
    augmented = augment(plan, study.augment, read_params().seed)
    write_plan(augmented, folder / "augmented.csv", study.split.leaky)
    rows = [(table["split"] == "train").sum() for table in (plan, augmented)]
    print(f"{rows[0]:,} training rows became {rows[1]:,}")


if __name__ == "__main__":
    run_stage(main)
