"""Add turned and mirrored copies of the training tiles: `python -m pipeline.stages.augment <study> --run RUN`.

In: `plain.csv`. Out: `augmented.csv`, the plan on which augmented variants train. No pixel is written: a row names its
transform, and `pipeline.tiles.examples` applies it when the tile is read.
"""

from pipeline.base.errors import Problem, run_stage
from pipeline.base.params import read_params
from pipeline.base.paths import plan_folder
from pipeline.plans.augment import augment
from pipeline.plans.job import read_run
from pipeline.tiles.plan import read_plan, write_plan


def main() -> None:
    study, run = read_run("Add turned and mirrored copies of the training tiles.")
    folder = plan_folder(study.study, run)
    plan = read_plan(folder / "plain.csv")
    augmented = augment(plan, study.augment, read_params().seed)
    if not (augmented["split"] == "train").any():
        raise Problem(
            f"augmented.csv of {study.study} has no row to train on; set augment.original to true, or raise"
            f" augment.probability, in studies/{study.study}/params.yaml."
        )
    write_plan(augmented, folder / "augmented.csv", study.split.leaky)
    rows = [(table["split"] == "train").sum() for table in (plan, augmented)]
    print(f"{rows[0]:,} training rows became {rows[1]:,}")


if __name__ == "__main__":
    run_stage(main)
