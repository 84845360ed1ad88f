"""Repeat training tiles with what is rare, or leave some out: `python -m pipeline.stages.balance <study> --run RUN`.

In: `split.csv`, the nuclei or lesions of the tile store. Out: two plans on which variants train. In `balanced.csv`
tiles with rare classes, or with the study's target, stand several times; in `plain.csv` every tile stands once, unless
`balance.method` says otherwise. A split that leaves nothing to learn from, or no target to test on, is refused.
"""

import numpy as np

from pipeline.base.errors import Problem, run_stage
from pipeline.base.params import read_params
from pipeline.base.paths import plan_folder
from pipeline.plans.balance import oversample, undersample
from pipeline.plans.census import count_nuclei, has_lesion
from pipeline.plans.job import read_run
from pipeline.plans.presence import check_both, check_classes, check_target
from pipeline.tiles.plan import read_plan, write_plan


def main() -> None:
    study, run = read_run("Repeat training tiles with what is rare, or leave some out.")
    folder = plan_folder(study.study, run)
    plan = read_plan(folder / "split.csv")
    place = f"studies/{study.study}/params.yaml"
    cure = f"deal the tiles out otherwise: split in {place}, seed in params.yaml"
    if study.target is None:
        held = count_nuclei(plan, len(study.classes))
        counted = held * [name not in study.ignore for name in study.classes]
        notes = check_classes(plan, counted, study.classes, study.task == "detection", cure)
    else:
        lesion = has_lesion(plan, study.target)
        held = np.stack([~lesion, lesion], axis=1).astype(np.int64)
        notes = check_target(plan, lesion, study.target, cure)
        if study.classifiers:
            check_both(plan, lesion, study.target, cure)
    balanced = oversample(plan, held, study.balance)
    match study.balance.method:
        case "none":
            plain = plan
        case "oversample":
            plain = balanced
        case "undersample":
            plain = undersample(plan, held[:, 1] > 0, study.balance.lesion_free, read_params().seed)
    for title, table in (("plain", plain), ("balanced", balanced)):
        if not (table["split"] == "train").any():
            raise Problem(f"{title}.csv of {study.study} has no row to train on; change balance or split in {place}.")
    write_plan(plain, folder / "plain.csv", study.split.leaky)
    write_plan(balanced, folder / "balanced.csv", study.split.leaky)
    for note in notes:
        print(note)
    rows = [(table["split"] == "train").sum() for table in (plan, plain, balanced)]
    print(f"{rows[0]:,} training tiles became {rows[1]:,} rows of plain.csv and {rows[2]:,} of balanced.csv")


if __name__ == "__main__":
    run_stage(main)
