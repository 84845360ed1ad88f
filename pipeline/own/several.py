"""Several data sets in one study: all dealt out together, or one to train on and another one to test on."""

from collections.abc import Sequence
from typing import cast

from pipeline import datasets
from pipeline.base.errors import Problem
from pipeline.base.params import own_folder, read_params
from pipeline.base.study import Study
from pipeline.datasets.whole_slide import WholeSlide
from pipeline.own import slides
from pipeline.own.effort import needs
from pipeline.own.found import tried

MOST = 2  # data sets of a study
ALIKE = 1.05  # times the µm/px of another data set, up to which nothing is said
Fractions = tuple[float, float, float]  # of train, validation and test


def sets_of(studies: Sequence[Study], test_on: str | None) -> list[str]:
    """The data sets of some studies, and the one that is tested on, each once.

    Raises:
        Problem: they are too many, have other classes or another kind of them, or the last one is trained on, too.
    """
    names = list(dict.fromkeys(name for study in studies for name in study.datasets))
    if test_on is not None:
        read_params().dataset(test_on)
        if test_on in names:
            raise Problem(
                f"--test-on is {test_on}, which the study trains on; name another data set, or leave it out: then"
                " patients of it are tested on who did not train."
            )
        names.append(test_on)
    if len(names) > MOST:
        raise Problem(f"a study has {MOST} data sets at most, and these are {', '.join(names)}; name fewer.")
    first = studies[0]
    for name in names if len(names) > 1 and first.target is None else []:
        card = datasets.load_card(name)
        if card.classes != tuple(first.classes):
            raise Problem(
                f"{name} has the classes {', '.join(card.classes)}, and {first.study} has {', '.join(first.classes)};"
                " data sets of one study have the same in one order: give `--classes` when you make their studies."
            )
        if card.nuclei != datasets.load_card(names[0]).nuclei:
            raise Problem(f"of {name} and {names[0]} one has nuclei and one has areas; a study is of one of them.")
    return names


def readers_of(names: Sequence[str]) -> list[str]:
    """The folder of pipeline/datasets that reads each data set."""
    own = read_params().own
    return [own.get(name, name) for name in names]


def split_of(studies: Sequence[Study], test_on: str | None) -> tuple[str, Fractions]:
    """How the tiles of several data sets are split.

    By patient where the studies do, or have one slide alone each; where one data set is tested on, the others keep the
    share of their patients that validates.

    Raises:
        Problem: the studies split in ways that do not go together.
    """
    first = studies[0].split
    train, validation, test = first.fractions
    if test_on is not None:
        held = round(validation / (train + validation), 2) if first.by in ("group", "stratified") else 0.0
        return "dataset", (1 - held, held, 0.0)
    ways = {study.split.by for study in studies} - {"block"}
    if len(ways) > 1:
        listed = " and ".join(f"{study.study} by {study.split.by}" for study in studies)
        raise Problem(f"{listed} are split in ways that do not go together; correct split.by in one of them.")
    return (ways or {"group"}).pop(), (train, validation, test)


def lines(study: Study) -> list[str]:
    """How many tiles the data sets of a study have, at which resolution, and how long its trainings may take.

    Headers and outlines of one's own data are read for it; public data are not counted.

    Raises:
        Problem: the data cannot be read.
    """
    tiles = {name: count(name) for name in study.datasets}
    said = ", ".join(f"{name} ({'not counted' if n is None else f'up to {n:,} tiles'})" for name, n in tiles.items())
    found = [f"data sets: {said}"]
    microns = {name: datasets.load_card(name).microns_per_pixel for name in study.datasets}
    if max(microns.values()) > min(microns.values()) * ALIKE:
        listed = ", ".join(f"{name} {each:g} µm/px" for name, each in microns.items())
        found.append(f"  They differ in resolution ({listed}), and a model sees them as they are; bring them to one.")
    if study.split.by == "dataset":
        found.append(f"split: {study.datasets[-1]} tests and does nothing else")
    counted = [n for n in tiles.values() if n is not None]
    if len(counted) == len(tiles):
        trained = counted[:-1] if study.split.by == "dataset" else counted
        share = study.split.fractions[0] * sum(trained) / max(1, sum(counted))
        epochs, variants = study.model_dump()["train"]["epochs"], len(study.compare)
        found += needs("masks", sum(counted), study.tile_size, 0, share, epochs, variants)[1:]
    return found


def count(name: str) -> int | None:
    """The tiles of a data set of one's own, at most; None of a public one."""
    params = read_params()
    if name not in params.own or (folder := own_folder(name, params.datasets[name].source)) is None:
        return None
    parts = datasets.load_reader(name).find(folder)
    if params.own[name] == "slides":
        return sum(looked.tiles for looked in tried(cast(Sequence[WholeSlide], parts), slides.look, "slides"))
    return sum(part.count for part in parts)
