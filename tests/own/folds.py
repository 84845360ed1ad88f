"""Tiles in PanNuke's layout, drawn small: folds with two classes of nuclei and tissues of one's own."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.own import drawn

TISSUES = ("Lymph node", "Skin")


def draw(folder: Path, folds: int = 3, tiles: int = 8, size: int = 64) -> None:
    """`fold1/images.npy` ... with a channel for each class, and the background in the last."""
    for fold in range(1, folds + 1):
        truths = drawn.draw(folder / f"../drawn{fold}", patients=10 * fold + tiles, images=1, size=size, classes=3)
        chosen = dict(list(truths.items())[-tiles:])
        images = [np.asarray(Image.open(folder / f"../drawn{fold}/{name}.png")) for name in chosen]
        masks = []
        for truth in chosen.values():
            ids = [np.where(truth.codes == code, truth.numbers, 0) for code in (1, 2)]
            masks.append(np.stack([*ids, truth.codes == 0], axis=-1))
        (folder / f"fold{fold}").mkdir(parents=True)
        np.save(folder / f"fold{fold}/images.npy", np.array(images, np.float64))
        np.save(folder / f"fold{fold}/masks.npy", np.array(masks, np.float64))
        np.save(folder / f"fold{fold}/types.npy", np.array([TISSUES[tile % 2] for tile in range(tiles)]))
