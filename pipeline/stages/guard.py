"""Refuse a split that leaks: `python -m pipeline.stages.guard <study> --run RUN`.

In:  split.csv and the tile store. Out: leaks.json, only if nothing leaks: tiles on each side, and pairs of tiles on two
     sides that look nearly alike, for a person to judge.

No plan to train on is made before this has passed. Refused are a patient, slide or source tile on two sides (see
`pipeline.tiles.plan.check_plan`), and two tiles on two sides that have the same pixels, whatever they are called.

`split.by: tile` and `image` ask for a split that leaks, as some papers have it. Then what leaks is not refused but
listed in leaks.json, under `leaks`, for the report to say.
"""

from pipeline.base.errors import Problem, run_stage
from pipeline.base.paths import plan_folder
from pipeline.base.records import Leaks
from pipeline.plans.job import read_run
from pipeline.plans.leaks import DISTANCE, compare_pixels, tile_name
from pipeline.tiles.plan import SPLITS, check_plan, parted, read_plan


def main() -> None:
    study, run = read_run("Refuse a split that leaks.")
    split, folder = study.split, plan_folder(study.study, run)
    plan = read_plan(folder / "split.csv")
    check_plan(plan, split.leaky)
    near, same = compare_pixels(plan)
    if same and not split.leaky:
        first, second = (f"{tile_name(plan, row)} on the side {plan['split'][row]}" for row in same[0])
        raise Problem(
            f"the plan puts {first} and {second}, and both have the same pixels; remove one of them from the data, or"
            " split anew."
        )
    counts = plan["split"].value_counts()
    tiles = {side: int(counts.get(side, 0)) for side in SPLITS}
    leaks = {what: len(names) for what, names in parted(plan).items()} | {"identical tiles": len(same)}
    found = Leaks(tiles=tiles, distance=DISTANCE, near_duplicates=near, leaks=leaks if split.leaky else {})
    found.write(folder / "leaks.json")
    if split.leaky:
        listed = ", ".join(f"{what} {count:,}" for what, count in leaks.items())
        print(f"split.by is {split.by}, so this split leaks, as asked for. On two sides: {listed}.")
    else:
        print(f"Nothing leaks; {len(near)} pairs of tiles on two sides look nearly alike.")


if __name__ == "__main__":
    run_stage(main)
