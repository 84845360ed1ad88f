"""From slides, results and annotations to truth.md."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.applying.field import Regions, look, tile_grid
from pipeline.applying.folder import refuse_others
from pipeline.applying.inputs import OPTION, STATE, open_slide
from pipeline.applying.model import Chosen
from pipeline.applying.truth import report
from pipeline.applying.truth.asked import Asked
from pipeline.applying.truth.counting import Counted, count
from pipeline.applying.truth.maps import Outlines
from pipeline.applying.truth.pairs import Pairs, pair
from pipeline.applying.truth.reading import Truths, understand
from pipeline.applying.truth.seen import trained_on
from pipeline.base.errors import Problem
from pipeline.base.records import AppliedParameters
from pipeline.datasets.masks.patients import by_pattern, by_table
from pipeline.metrics.pixel import BACKGROUND
from pipeline.tiles.store import IGNORE

NAMED = 3  # slides, in a sentence


@dataclass(frozen=True)
class Done:
    """A model that was applied, and where its results lie."""

    model: Chosen
    name: str
    out: Path
    parameters: AppliedParameters
    slides: Sequence[str]  # that could be done


@dataclass
class Plan:
    """What will be compared, known before any model is at work."""

    pairs: Pairs
    truths: Truths
    patients: Mapping[str, str]
    patients_from: str
    seen: list[dict[str, str]]  # of each model: slides that it was trained on -> how that is known
    left_out: dict[str, str] = field(default_factory=dict)  # slides -> why
    failed: dict[str, str] = field(default_factory=dict)  # those of them that are wrong, not missing


def plan(models: Sequence[Chosen], slides: Mapping[str, Path], asked: Asked, out: Path) -> Plan:
    """Pair slides and annotations, and refuse what cannot be compared before hours of work.

    Raises:
        Problem: a model is of a task without outlines, models have other classes, nothing can be compared, or a model
            was trained on a slide, or what no call wrote lies where the comparison goes.
    """
    if not (out / "truth/scores.csv").is_file():
        refuse_others([out / "truth"])
    if not (out / STATE).is_dir():
        refuse_others([out / "truth.md"])
    first = models[0]
    for model in models:
        if model.record.task == "tiles":
            raise Problem(f"{model.folder} classifies tiles, and --truth compares areas and nuclei; leave it out.")
        if model.record.classes != first.record.classes:
            raise Problem(
                f"{first.folder} and {model.folder} have other classes, {', '.join(first.record.classes)} and"
                f" {', '.join(model.record.classes)}; compare models of the same ones."
            )
    pairs = pair(slides, asked.folder, asked.class_maps, out)
    truths = understand(pairs.used, first.record.classes, first.ignored, asked)
    patients, told = _patients(pairs, asked)
    given = {name: each.slide for name, each in pairs.used.items()}
    found = Plan(pairs, truths, patients, told, [trained_on(each.record, given, patients) for each in models])
    found.left_out |= pairs.without
    for name, why in truths.failed.items():
        tell(found, name, why)
    _check_seen(found, models, asked.trained_on)
    if not pairs.used.keys() - found.left_out.keys():
        raise Problem(f"none of {len(slides)} slide(s) can be compared, as said above.")
    return found


def finds_nuclei(model: Chosen) -> bool:
    """Whether a model finds nuclei, each by itself, and not areas."""
    return model.instances is not None or model.record.task == "detection"


def tell(found: Plan, name: str, why: str) -> None:
    """Say that a slide cannot be compared."""
    found.left_out[name] = found.failed[name] = why
    print(f"lobule: {name}: {why}", file=sys.stderr, flush=True)


def compare(found: Plan, done: Sequence[Done], slides: Mapping[str, Path], regions: Regions | None, out: Path) -> None:
    """Count what every model found on every slide that all of them could do, and write the report.

    Raises:
        Problem: nothing could be compared.
    """
    counts: list[dict[str, Counted]] = [{} for _ in done]
    notes: dict[str, list[str]] = {}
    for name, each in found.pairs.used.items():
        if name in found.left_out:
            continue
        if not all(name in model.slides for model in done):
            found.left_out[name] = "a model could not be applied to it"
            continue
        try:
            mine, notes[name] = _of_slide(found.truths, each.name, found, done, regions)
        except (Problem, OSError) as error:
            tell(found, name, str(error))
            continue
        for place, counted in enumerate(mine):
            counts[place][name] = counted
    if not counts[0]:
        raise Problem(f"none of {len(slides)} slide(s) could be compared, as said above.")
    models = [
        report.Scored(
            each.name,
            each.model.record,
            each.model.sha256,
            each.model.folder,
            counts[place],
            {name: how for name, how in found.seen[place].items() if name in counts[place]},
        )
        for place, each in enumerate(done)
    ]
    used = {name: slides[name] for name in counts[0]}
    words = [*found.truths.words]
    if found.pairs.rule != "{}":
        words.append(f"Masks are called as their slides, with something around: {found.pairs.rule}.")
    bare = [name for name in used if not found.truths.parts_nuclei(found.pairs.used[name])]
    if bare and all(finds_nuclei(each.model) for each in done):
        words.append(
            f"Nuclei were not compared: the mask of {bare[0]} tells none apart (--nuclei takes each connected piece for"
            " one)."
        )
    account = report.Account(
        len(slides),
        found.pairs.files,
        found.left_out,
        found.pairs.alone,
        notes,
        words,
        found.patients_from,
    )
    report.write(out, models, used, found.patients, account)
    print(f"{out / 'truth.md'}: {len(used)} of {len(slides)} slide(s) compared with {found.pairs.files} annotation(s).")


def _of_slide(
    truths: Truths, name: str, found: Plan, done: Sequence[Done], regions: Regions | None
) -> tuple[list[Counted], list[str]]:
    """The counts of every model on a slide, and what of its annotation is not used."""
    annotation, counts = found.pairs.used[name], []
    with open_slide(annotation.slide, done[0].parameters.microns_per_pixel) as slide:
        truth, notes = truths.load(annotation, slide)
        nuclei = truths.parts_nuclei(annotation) and all(finds_nuclei(each.model) for each in done)
        for each in done:
            classes, parameters = each.model.record.classes, each.parameters
            grid = tile_grid(
                slide, parameters.tile_size, parameters.overlap, each.model.record.microns_per_pixel, OPTION
            )
            field = look(slide, grid, parameters.background, regions)
            elsewhere = classes.index(BACKGROUND) if BACKGROUND in classes else IGNORE
            path = each.out / f"{name}.geojson{'.gz' if parameters.gzip else ''}"
            results = Outlines.of_results(path, classes, elsewhere)
            counts.append(count(field, truth, results, classes, regions, nuclei))
    return counts, notes


def _patients(pairs: Pairs, asked: Asked) -> tuple[dict[str, str], str]:
    """Whose each slide is, and what tells it."""
    if asked.patients is not None:
        return by_table(pairs.used, asked.patients), f"the table {asked.patients}"
    if asked.patient_pattern is not None:
        return by_pattern(pairs.used, asked.patient_pattern), f"the pattern {asked.patient_pattern} on the names"
    return dict.fromkeys(pairs.used, ""), "none told"


def _check_seen(found: Plan, models: Sequence[Chosen], answer: str) -> None:
    """Refuse slides that a model was trained on, or leave them out; they may be marked as well."""
    for model, seen in zip(models, found.seen, strict=True):
        if seen and answer == "refuse":
            listed = ", ".join(f"{name} ({how})" for name, how in list(seen.items())[:NAMED])
            more = f" and {len(seen) - NAMED:,} more" if len(seen) > NAMED else ""
            raise Problem(
                f"{model.folder} was trained on what these slides are called: {listed}{more}. Its figures would be too"
                " good; give other slides, or `--trained-on leave-out`, or `--trained-on mark` to have them marked."
            )
        if answer == "leave-out":
            for name, how in seen.items():
                found.left_out.setdefault(name, f"{model.record.variant} was trained on {how}")
                print(f"{name}: not compared, since {found.left_out[name]}")
