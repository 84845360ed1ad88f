"""Refuse a split that leaks: `python -m pipeline.stages.guard <study> --run RUN`.

In:  split.csv and the tile store. Out: leaks.json, only if no leak is found: tiles on each side, whose patient is known
     and whose is not, and groups of tiles on two sides that look nearly alike, for a person to judge.

No plan to train on is made before this has passed. Refused are a patient, slide or source tile on two sides (see
`pipeline.tiles.plan.check_plan`), and two tiles on two sides that have the same pixels, whatever they are called. Tiles
without any texture, such as pure glass, are compared with none: all of them look alike.

`split.by: tile` and `image` ask for a split that leaks, as some papers have it, `block` where there is one slide alone.
Then what leaks is not refused but listed in leaks.json, under `leaks`, for the report to say.
"""

from pipeline.base.errors import Problem, run_stage
from pipeline.base.paths import plan_folder
from pipeline.base.records import Leaks
from pipeline.plans.job import read_run
from pipeline.plans.known import known, unknown
from pipeline.plans.leaks import compare_pixels, tile_name
from pipeline.plans.likeness import DISTANCE
from pipeline.tiles.plan import SPLITS, check_plan, parted, read_plan


def main() -> None:
    study, run = read_run("Refuse a split that leaks.")
    split, folder = study.split, plan_folder(study.study, run)
    plan = read_plan(folder / "split.csv")
    check_plan(plan, split.leaky)
    pixels = compare_pixels(plan)
    if pixels.same and not split.leaky:
        first, second = (f"{tile_name(tile)} on the side {side}" for side, tile in pixels.same[0].items())
        more = f" ({len(pixels.same) - 1:,} more pictures are on two sides)" if len(pixels.same) > 1 else ""
        raise Problem(
            f"the plan puts {first} and {second}, and both have the same pixels; remove one of them from the data, or"
            f" split anew{more}."
        )
    counts, owners = plan["split"].value_counts(), known(plan)
    leaks = {what: len(names) for what, names in parted(plan).items()} | {"identical tiles": len(pixels.same)}
    found = Leaks(
        tiles={side: int(counts.get(side, 0)) for side in SPLITS},
        known=owners,
        unknown=unknown(owners),
        textureless=pixels.textureless,
        distance=DISTANCE,
        near_duplicates=pixels.near,
        near_groups=pixels.groups,
        leaks=leaks if split.leaky else {},
    )
    found.write(folder / "leaks.json")
    if split.leaky:
        listed = ", ".join(f"{what} {count:,}" for what, count in leaks.items())
        print(f"split.by is {split.by}, so this split leaks, as asked for. On two sides: {listed}.")
    else:
        print("No leak was found; what cannot be known:" if found.unknown else "Nothing leaks: every patient is known.")
    for sentence in found.unknown:
        print(f"  {sentence}")
    if pixels.textureless:
        print(f"{pixels.textureless:,} tiles have no texture: their likeness is no evidence, they were not compared.")
    print(f"Groups of tiles on two sides that look nearly alike: {pixels.groups:,}.")


if __name__ == "__main__":
    run_stage(main)
