"""What a detector found, drawn: which boxes, and which scores."""

import numpy as np
from PIL import Image, ImageDraw

from pipeline.reporting.detections import overlay, with_palette
from pipeline.reporting.pictures import CLASS_COLOURS
from pipeline.tiles.objects import Objects


def found(scores: list[float], boxes: list[list[float]]) -> Objects:
    masks = np.zeros((len(scores), 64, 64), np.bool_)
    for mask, (x0, y0, x1, y1) in zip(masks, np.array(boxes, int), strict=True):
        mask[y0:y1, x0:x1] = True
    return Objects(np.array(boxes, np.float32), np.ones(len(scores), np.int64), np.array(scores, np.float32), masks)


def written(objects: Objects, monkeypatch) -> list[str]:
    texts = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda self, xy, text, *rest: texts.append(text))
    overlay(np.full((64, 64, 3), 200, np.uint8), objects, 2, boxes=True)
    return texts


def test_doubtful_detections_are_not_drawn():
    image = np.full((64, 64, 3), 200, np.uint8)
    drawn = np.asarray(overlay(image, found([0.49], [[8, 8, 30, 30]]), 1, boxes=True))
    assert (drawn == 200).all()
    drawn = np.asarray(overlay(image, found([0.5], [[8, 8, 30, 30]]), 1, boxes=True))
    assert (drawn[10:28, 25:28] != 200).any() and (drawn[40:] == 200).all()


def test_pseudo_instances_are_all_drawn():
    drawn = np.asarray(overlay(np.full((64, 64, 3), 200, np.uint8), found([0.1], [[8, 8, 30, 30]]), 1, boxes=False))
    assert (drawn[10:28, 10:28] != 200).any()


def test_of_scores_on_each_other_the_highest_is_written(monkeypatch):
    boxes = [[8, 8, 30, 30], [9, 9, 32, 32], [40, 40, 60, 60]]
    assert written(found([0.7, 0.9, 0.6], boxes), monkeypatch) == ["90", "60"]


def test_a_rare_class_keeps_its_colour():
    draw = np.random.default_rng(0)
    canvas = draw.integers(0, 256, (200, 200, 3)).astype(np.uint8)
    kept = CLASS_COLOURS[:4]
    canvas[0, :4] = kept
    picture = with_palette(Image.fromarray(canvas), kept)
    assert picture.mode == "P"
    assert (np.asarray(picture.convert("RGB"))[0, :4] == kept).all()
