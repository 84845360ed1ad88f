"""What a folder of whole slides holds, by their headers and outlines alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pipeline.base.errors import Problem
from pipeline.base.params import Slides, names_in
from pipeline.base.schema import parse
from pipeline.datasets.slides.reader import read_outlines, reader
from pipeline.datasets.whole_slide import WholeSlide
from pipeline.own.asked import Asked, common_folder, patients_from
from pipeline.own.found import Found, tried
from pipeline.own.outline_classes import BACKGROUND, classes_of, listed, not_outlined, region_of
from pipeline.own.plan import evenly
from pipeline.own.sheet import GREY, SHOWN, SIDE, Shown, colour_of
from pipeline.slides.annotations import class_names, family, features_of, rings_of
from pipeline.slides.tiling import lesion_free_wanted

AT, TILE = 0.5, 256  # µm/px and px a side of tiles, where nothing else is asked for
COARSER = 1.1  # times the wanted µm/px that a slide may have (pipeline/slides/slide.py)
ALL = 1_000_000  # tiles, more than a slide has: all that is annotated is kept
SOME = 20  # tiles without an outline that are kept of each slide, however few it has with one
LINE = 2  # px of an outline on the sheet
BLACK = (0, 0, 0)  # of outlines of the background


@dataclass(frozen=True)
class Header:
    """What is known of a slide by its header, and of its annotation by the names in it."""

    width: int  # px of full resolution
    height: int
    microns: float
    names: Counter[str]  # of the classes of outlines; "" where there is none


@dataclass(frozen=True)
class Looked:
    """What is known of a slide by its outlines."""

    tiles: int  # that are kept of it, at most
    areas: Counter[int]  # class code -> px of full resolution in its outlines, or code -1 -> in regions


def understand(asked: Asked) -> Found:
    """Read headers of slides and outlines, no pixels; all that cannot be read is told at once.

    Raises:
        Problem: something is missing, wrong, or may mean two things; it names the file or the option that tells.
    """
    if asked.legend or asked.ignore or asked.values or asked.nuclei:
        raise Problem("--legend, --ignore, --values and --nuclei are for masks; outlines have names, give --classes.")
    where = {"slides": asked.slides, "annotations": asked.annotations or asked.slides, "patients": asked.patients}
    folder, below = common_folder(**where)
    given: dict[str, Any] = {
        "slides": below["slides"],
        "annotations": below["annotations"],
        "classes": {BACKGROUND: "none", "lesion": "lesion"},
        "not_outlined": "background",
        "region_class": "none",
        "patient_table": below.get("patients", "none"),
        "patient_pattern": asked.patient_pattern or "none",
        "unpaired": "skip" if asked.skip_unpaired else "refuse",
        "tiling": {"slide_microns_per_pixel": asked.microns_per_pixel or "tags"},
    }
    parts = reader(parse(Slides, given, "the command line")).find(folder)
    headers = tried(parts, header, "slides")
    names = sum((each.names for each in headers), Counter[str]())
    region = region_of(asked.region_class, names)
    classes = classes_of(asked.classes, names, region)
    rest = not_outlined(asked.not_outlined, classes, names)
    given |= {"classes": classes, "not_outlined": rest, "region_class": region or "none"}
    given["tiling"] |= tiling(asked, headers, everything=rest == "ignore" or region is not None)
    settings = parse(Slides, given, "the command line")
    read = partial(read_outlines, settings=settings)
    parts = [replace(part, read=read, settings=settings.tiling) for part in parts]
    looked = tried(parts, look, "slides")
    return Found(
        kind="slides",
        words=f"whole slides with outlines of {', '.join(list(classes)[1:])}",
        source=folder,
        settings=settings,
        classes=list(classes),
        nuclei=False,
        tile_size=settings.tiling.tile_size,
        microns_per_pixel=settings.tiling.microns_per_pixel or AT,
        names=[part.name for part in parts],
        tiles=[each.tiles for each in looked],
        patients={part.name: part.patient for part in parts},
        patients_from=patients_from(asked),
        lines=_lines(settings, headers, looked, names, asked),
        pictures=partial(pictures, parts),
        things="slides",
        at_most="up to ",
    )


def header(part: WholeSlide) -> Header:
    """A slide's header, and how often its annotation names which class."""
    names: Counter[str] = Counter()
    with part.open() as slide:
        for feature in features_of(part.annotations[0]):
            try:
                names.update(next(iter(class_names(one)), "").strip() for one in family(feature))
            except ValueError as error:
                raise Problem(f"{part.annotations[0]} cannot be read ({error}); export it again.") from None
        return Header(slide.width, slide.height, slide.microns_per_pixel, names)


def look(part: WholeSlide) -> Looked:
    """How many tiles a slide gives at most, and what its outlines hold; notes of what is left out are printed."""
    with part.open() as slide:
        outlines, cut = part.outlines(slide), part.settings
        grid = slide.grid(cut.tile_size, cut.stride, cut.microns_per_pixel)
        met, counts = outlines.tiles(grid), outlines.counts(grid)
        lesions = {place for place, shapes in met.items() if any(outlines.codes[shape] for shape in shapes)}
        if counts is not None:
            lesions &= counts
        others = (grid.columns * grid.rows if counts is None else len(counts)) - len(lesions)
        areas: Counter[int] = Counter()
        for shape, code in [
            *zip(outlines.shapes, outlines.codes, strict=True),
            *((region, -1) for region in outlines.regions or []),
        ]:
            areas[code] += round(shape.area)
        return Looked(len(lesions) + min(others, lesion_free_wanted(len(lesions), cut)), areas)


def tiling(asked: Asked, headers: Sequence[Header], everything: bool) -> dict[str, Any]:
    """How slides are cut: at the resolution asked for, or one that all have."""
    coarsest = max(each.microns for each in headers)
    size = asked.tile_size or TILE
    return {
        "tile_size": size,
        "stride": size,
        "microns_per_pixel": asked.at or (AT if coarsest <= AT * COARSER else round(coarsest, 4)),
        "lesion_free": 1,
        "at_least": ALL if everything else SOME,
    }


def _lines(
    settings: Slides, headers: Sequence[Header], looked: Sequence[Looked], names: Counter[str], asked: Asked
) -> list[str]:
    """What was understood, a line each."""
    cut, first = settings.tiling, next(iter(settings.classes))
    at = sorted(each.microns for each in headers)
    areas = sum((each.areas for each in looked), Counter[int]())
    whole = sum(each.width * each.height for each in headers)
    used = {each for text in settings.classes.values() for each in names_in(text)}
    used |= {settings.region_class.lower()} if settings.region_class else set()
    left = Counter({name: count for name, count in names.items() if name.lower() not in used})
    classes = []
    for code, (name, text) in enumerate(settings.classes.items()):
        count = sum(each for called, each in names.items() if called.lower() in names_in(text))
        on = sum(each.areas[code] > 0 for each in looked)
        classes.append(
            f"class {code}: {name}, "
            + (
                f"{count:,} outlines of '{text}' on {on:,} slides, {areas[code] / whole:.1%} of all"
                if count
                else "no outlines"
            )
        )
    said = {
        "background": f"what no outline holds: {first}; right only where everything else was annotated",
        "ignore": "what no outline holds: counts nowhere",
    }[settings.not_outlined]
    return [
        f"slides: {len(headers):,}, each with its annotation",
        *classes,
        *([f"left out: {listed(left)}"] if left else []),
        f"{said} ({'as asked for' if asked.not_outlined else 'else give `--not-outlined`'})",
        f"regions: outside of '{settings.region_class}' nothing counts; {areas[-1] / whole:.1%} of all lies within"
        if settings.region_class
        else "regions: none; all of a slide counts (else give `--region-class`)",
        f"sizes: {min(each.width for each in headers):,} to {max(each.width for each in headers):,} px wide,"
        f" {min(each.height for each in headers):,} to {max(each.height for each in headers):,} px high",
        f"resolution: {cut.microns_per_pixel:g} µm/px of tiles; slides have {at[0]:.4g} to {at[-1]:.4g}, from"
        f" {'--microns-per-pixel' if cut.slide_microns_per_pixel else 'their tags'}",
    ]


def pictures(parts: Sequence[WholeSlide]) -> list[Shown]:
    """Thumbnails of some slides with their outlines, evenly over all of them.

    Raises:
        Problem: one of them cannot be read; all are tried.
    """
    chosen = evenly(parts, SHOWN)
    return list(zip([part.name for part in chosen], tried(chosen, thumbnail, "slides"), strict=True))


def thumbnail(part: WholeSlide) -> Any:
    """A slide at the size of the sheet with its outlines in the colours of their classes, regions in grey."""
    from PIL import Image, ImageDraw

    with part.open() as slide:
        outlines = part.read(part.annotations[0])
        picture = Image.fromarray(slide.overview(max(1, max(slide.width, slide.height) // SIDE)))
    picture.thumbnail((SIDE, SIDE))
    scale = picture.width / slide.width
    draw = ImageDraw.Draw(picture)
    coloured = [
        (shape, colour_of(code) if code else BLACK) for shape, code in zip(outlines.shapes, outlines.codes, strict=True)
    ]
    for shape, colour in [*((region, GREY) for region in outlines.regions or []), *coloured]:
        for ring in rings_of(shape):
            draw.line([*map(tuple, ring * scale), tuple(ring[0] * scale)], fill=colour, width=LINE)
    return picture
