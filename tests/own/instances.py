"""Images with instances as COCO has them, drawn small: polygons, runs as lists and as text, a crowd."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from tests.own import drawn

CATEGORIES = {7: "tumor", 3: "immune cell"}


def draw(folder: Path, patients: int = 4, images: int = 2, size: int = 64) -> dict[str, Any]:
    """`images/` and `instances.json` in a folder: discs as polygons and runs in turn; the content of the file."""
    truths = drawn.draw(folder / "images", patients, images, size, classes=3)
    content: dict[str, Any] = {
        "images": [
            {"id": 100 + place, "file_name": f"{name}.png", "height": size, "width": size}
            for place, name in enumerate(truths)
        ],
        "categories": [{"id": number, "name": name} for number, name in CATEGORIES.items()],
        "annotations": [],
    }
    for place, truth in enumerate(truths.values()):
        for number in np.unique(truth.numbers[truth.numbers > 0]):
            mask = truth.numbers == number
            category = list(CATEGORIES)[truth.codes[mask].max() - 1]
            one = {"id": len(content["annotations"]), "image_id": 100 + place, "category_id": category, "iscrowd": 0}
            content["annotations"].append(one | {"segmentation": segmentation(mask, int(number) % 3)})
    (folder / "instances.json").write_text(json.dumps(content))
    return content


def segmentation(mask: Any, form: int) -> Any:
    """A mask as the box around it, runs as a list, or runs as text."""
    rows, columns = np.nonzero(mask)
    left, top, right, bottom = (int(v) for v in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    if form == 0:
        return [[left, top, right, top, right, bottom, left, bottom]]
    if form == 1:
        return {"size": list(mask.shape), "counts": runs(mask)}
    found = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(found["size"]), "counts": found["counts"].decode()}


def runs(mask: Any) -> list[int]:
    """Runs down the columns, the first one outside."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return [int(value) for value in np.diff([0, *changes, mask.size])]
