"""A model on one slide, from its file to the three files of its results.

What is done lies in a folder of the slide's own: a file a block of the maps and a file a cell of objects. A call that
is killed goes on from the last of them, and ends in the same bytes.
"""

import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from pipeline.applying.blending import Blender, Sums, decide
from pipeline.applying.cells import Cells
from pipeline.applying.field import Field, look, tile_grid
from pipeline.applying.folder import refuse_others
from pipeline.applying.inputs import NUCLEI, OME_TIFF, OPTION, POINTS, STATE, open_slide, results_of
from pipeline.applying.maps import Maps, Position
from pipeline.applying.nuclei_table import write_nuclei
from pipeline.applying.ome_tiff import write_ome_tiff
from pipeline.applying.reading import SIDE, Pixels
from pipeline.applying.results import (
    Describe,
    count_nuclei,
    count_pixels,
    describe_slide,
    picture_side,
    write_geojson,
    write_picture,
    write_points,
    write_table,
)
from pipeline.applying.rows import work_rows
from pipeline.applying.task import Task
from pipeline.applying.windows import Window
from pipeline.base.files import read_json, replacing, write_json
from pipeline.base.progress import area_bar
from pipeline.base.records import AppliedSlide
from pipeline.reporting.pictures import colours
from pipeline.slides.slide import Slide
from pipeline.slides.tiling import READERS


def apply_to(path: Path, name: str, out: Path, task: Task) -> AppliedSlide:
    """Write <name>.geojson, <name>.csv, <name>.png and what else is wanted; what an earlier call did is not done again.

    Raises:
        Problem: the slide cannot be read, or its resolution does not fit.
    """
    started = time.monotonic()
    state, key = out / STATE / name, task.key(path)
    done, results = state / "done.json", {kind: out / f"{name}.{kind}" for kind in task.kinds}
    _begin(state, key, results_of(name, out))
    lacking = [kind for kind, result in results.items() if not result.exists()]
    if done.exists() and not lacking:
        _tidy(state)
        return AppliedSlide.model_validate(read_json(done))
    try:
        with open_slide(path, task.parameters.microns_per_pixel) as slide:
            if done.exists() and {POINTS, NUCLEI}.issuperset(lacking):
                found = AppliedSlide.model_validate(read_json(done))
            else:
                work = _work if task.kind == "segmentation" else work_rows
                found = work(slide, name, out, state, task)
            corner = slide.corner
    except Exception:
        if [each.name for each in state.rglob("*") if each.is_file()] == ["key"]:  # nothing was begun
            shutil.rmtree(state)
        raise
    outlined = results[task.kinds[0]]
    if POINTS in results:
        write_points(results[POINTS], outlined, task.classes, colours(task.classes))
    if NUCLEI in results:
        write_nuclei(results[NUCLEI], name, outlined, corner, found.microns_per_pixel)
    found = found.model_copy(update={"seconds": round(time.monotonic() - started, 2)})
    write_json(done, found.model_dump(mode="json"))
    _tidy(state)
    return found


def _begin(state: Path, key: str, results: Sequence[Path]) -> None:
    """Forget what lies there of the slide as it was, or under other parameters; what nobody made here is left alone.

    Raises:
        Problem: what this would overwrite.
    """
    if (state / "key").exists() and (state / "key").read_text() == key:
        return
    if state.exists():
        for result in results:
            result.unlink(missing_ok=True)
        shutil.rmtree(state)
    else:
        refuse_others(results)
    state.mkdir(parents=True)
    with replacing(state / "key") as temporary:
        temporary.write_text(key)


def _tidy(state: Path) -> None:
    """Remove what a slide that is done needs no more."""
    for part in ("maps", "cells", "rows"):
        shutil.rmtree(state / part, ignore_errors=True)


def _work(slide: Slide, name: str, out: Path, state: Path, task: Task) -> AppliedSlide:
    size, overlap = task.parameters.tile_size, task.parameters.overlap
    grid = tile_grid(slide, size, overlap, task.microns_per_pixel, OPTION)
    field = look(slide, grid, task.parameters.background, task.regions)
    tints = colours(task.classes)
    describe = Describe(task.classes, tints, grid.microns_per_pixel, "detection" if task.instances else "annotation")
    maps = Maps(state / "maps", grid.height, grid.width, task.block)
    cells = Cells(
        state / "cells", maps, grid, task.background, task.instances, task.regions, describe, task.cell, task.margin
    )
    find_objects(slide, name, field, maps, cells, task)
    write_geojson(out / f"{name}.{task.kinds[0]}", cells)
    nuclei = count_nuclei(cells, len(task.classes)) if task.instances else None
    counts = count_pixels(cells.look, grid, len(task.classes), picture_side(grid))
    pixels = [int(value) for value in counts.sum(axis=(1, 2), dtype="float64")]
    write_table(out / f"{name}.csv", task.classes, pixels, nuclei, grid.microns_per_pixel)
    write_picture(out / f"{name}.png", slide, grid, counts, tints, task.background)
    if task.ome_tiff:
        write_ome_tiff(out / f"{name}.{OME_TIFF}", name, cells.look, grid, tints)
    return describe_slide(slide, name, field, task, pixels, nuclei)


def find_objects(slide: Slide, name: str, field: Field, maps: Maps, cells: Cells, task: Task) -> None:
    """Predict the blocks that lack a file and, beside it, work through the cells, each once what it sees is there."""
    assert task.predict is not None
    grid, size = field.grid, field.grid.tile_size
    tiles = {position: field.tiles_in(block) for position, block in maps.blocks.items()}
    missing = [position for position in maps.blocks if tiles[position] and not maps.path(position).exists()]
    kept = 2 * (-(-(task.block + 2 * size) // SIDE) + 2) ** 2
    tile_area = (grid.stride * grid.microns_per_pixel / 1000) ** 2
    with (
        ThreadPoolExecutor(READERS) as readers,
        ThreadPoolExecutor(1) as outliner,  # one, since a cell needs those before it
        ThreadPoolExecutor(1) as decider,
        area_bar(name, field.tiles * tile_area) as bar,
        tempfile.TemporaryFile(dir=maps.folder.parent) as file,
        ExitStack() as stack,
    ):
        pixels = Pixels(slide, task.microns_per_pixel, task.greyscale, readers, kept)
        blender = Blender(task.predict, pixels, len(task.classes), size, task.parameters.overlap, task.batch, file)
        waiting = list(cells.windows)
        outlined: list[Future[None]] = []
        decided = decider.submit(lambda: None)
        predicted = len({tile for position in maps.blocks if position not in set(missing) for tile in tiles[position]})
        bar.update(predicted * tile_area)
        stack.callback(lambda: [future.cancel() for future in outlined])  # of what waits when something goes wrong
        for number, position in enumerate(missing):
            for ahead in missing[number : number + 2]:
                pixels.prepare(Window(*tile, size, size) for tile in tiles[ahead])
            sums = blender.sums(maps.blocks[position], tiles[position], lambda count: bar.update(count * tile_area))
            decided.result()  # the block before, whose sums are no more held
            decided = decider.submit(_decide, maps, position, *sums)
            del sums
            while waiting and cells.seen(waiting[0]).bottom <= maps.blocks[position].top:
                outlined.append(outliner.submit(cells.work, waiting.pop(0)))
            _raise_first(outlined)
        decided.result()
        outlined += [outliner.submit(cells.work, position) for position in waiting]
        for future in outlined:
            future.result()


def _decide(maps: Maps, position: Position, sums: Sums, total: Sums) -> None:
    maps.write(position, *decide(sums, total))


def _raise_first(futures: list[Future[None]]) -> None:
    """Raise what went wrong in one that is done, before more work is put into it."""
    for future in futures:
        if future.done():
            future.result()
