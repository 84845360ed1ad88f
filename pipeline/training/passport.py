"""What shaped a model's weights, its first ones included, and whether a test would ask for what they have seen."""

from collections.abc import Iterable, Sequence

import pandas as pd

from pipeline.base.errors import Problem
from pipeline.base.paths import TILES, expand
from pipeline.base.records import Model, Seen
from pipeline.tiles.plan import tcga_patients
from pipeline.tiles.store import Shard, ShardInfo

PUBLISHED = ("random", "imagenet")
NAMED = 3  # of what was seen, in a sentence


def seen(plan: pd.DataFrame) -> list[Seen]:
    """What of each data set stands in a plan on the sides that shape the weights."""
    shown = plan[plan["split"] != "test"]
    return [
        Seen(
            dataset=str(name),
            sha256=_source(rows).source_sha256,
            sample=_source(rows).source == "sample",
            shards=sorted(set(rows["shard"])),
            patients=sorted(({*rows["patient"]} | {*tcga_patients(rows)}) - {""}),
            tiles={str(shard): as_ranges(tiles["index"]) for shard, tiles in rows.groupby("shard", sort=True)},
        )
        for name, rows in shown.groupby("dataset", sort=True)
    ]


def first_card(weights: str) -> Model | None:
    """The model.json beside first weights; None where there is none, or they are of no file."""
    if weights in PUBLISHED:
        return None
    card = expand(weights).with_name("model.json")
    return Model.read(card) if card.is_file() else None


def is_known(weights: str, card: Model | None) -> bool:
    """Whether it is known what first weights saw: those of ImageNet saw no histology."""
    return weights in PUBLISHED or (card is not None and card.first_known)


def joined(parts: Iterable[Seen]) -> list[Seen]:
    """What several trainings saw, an entry for each source of a data set."""
    found: dict[tuple[str, str], Seen] = {}
    for part in parts:
        key = part.dataset, part.sha256
        if (other := found.get(key)) is None:
            found[key] = part
            continue
        tiles = {
            shard: as_ranges({*from_ranges(part.tiles.get(shard, "")), *from_ranges(other.tiles.get(shard, ""))})
            for shard in sorted({*part.tiles, *other.tiles})
        }
        found[key] = part.model_copy(
            update={
                "shards": sorted({*part.shards, *other.shards}),
                "patients": sorted({*part.patients, *other.patients}),
                "tiles": tiles,
            }
        )
    return [found[key] for key in sorted(found)]


def check_first(plan: pd.DataFrame, trained_on: Sequence[Seen], weights: str) -> None:
    """Refuse first weights that were trained on test tiles of a plan, or on other tiles of their patients.

    A patient whom the plan itself has on two sides counts in no refusal: it leaks as `split.by` asks, and says so.

    Raises:
        Problem: naming what they have seen.
    """
    test = plan[plan["split"] == "test"]
    elsewhere = plan[plan["split"] != "test"]
    known = {*elsewhere["patient"], *tcga_patients(elsewhere)}
    found = [
        what
        for name, rows in test.groupby("dataset", sort=True)
        for what, patient in _met(str(name), rows, trained_on)
        if patient is None or patient not in known
    ]
    if found:
        more = f" and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
        raise Problem(
            f"the weights {weights} were trained on what this study tests with ({', '.join(found[:NAMED])}{more}): its"
            " figures would be too good; give other weights as model.weights, or split so that these stand in train."
        )


def _met(dataset: str, test: pd.DataFrame, trained_on: Sequence[Seen]) -> list[tuple[str, str | None]]:
    """What of a data set's test tiles was seen: a phrase, and the patient where it is one."""
    info = _source(test)
    met: dict[str, str | None] = {}
    barcodes = {*tcga_patients(test)} - {""}
    patients = {*test["patient"]} - {""}
    for part in trained_on:
        same = (part.dataset, part.sha256) == (dataset, info.source_sha256)
        if not same and (part.sample or info.source == "sample"):
            continue  # a drawn patient is nobody
        names = barcodes | (patients if part.dataset == dataset else set())
        met |= {f"patient {name} of {dataset}": name for name in sorted(names & {*part.patients})}
        if same:
            for shard, rows in test.groupby("shard", sort=True):
                if shard in part.tiles:
                    both = {*rows["index"]} & {*from_ranges(part.tiles[str(shard)])}
                else:
                    both = {*rows["index"]} if shard in part.shards else set()
                if both:
                    met[f"tiles {as_ranges(both)} of {dataset} {shard}"] = None
    return list(met.items())


def as_ranges(numbers: Iterable[int]) -> str:
    """Whole numbers in short: 0-4,7."""
    ends: list[list[int]] = []
    for number in sorted({int(number) for number in numbers}):
        if ends and number == ends[-1][1] + 1:
            ends[-1][1] = number
        else:
            ends.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ends)


def from_ranges(text: str) -> list[int]:
    """The numbers that `as_ranges` wrote."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        found += range(int(low), int(high or low) + 1)
    return found


def _source(rows: pd.DataFrame) -> ShardInfo:
    return Shard(TILES / str(rows["dataset"].iloc[0]) / f"{rows['shard'].iloc[0]}.h5").info
