"""On a real slide: nuclei by their stain alone, outlined, written and read back."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import shapely

from pipeline.applying.blending import FULL
from pipeline.applying.work import apply_to
from tests.applying.drawn import features, task


def by_stain(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """The more haematoxylin, the more probable a nucleus."""
    from skimage.color import rgb2hed

    nucleus = np.rint(np.clip((rgb2hed(images)[..., 0] - 0.02) / 0.08, 0, 1) * FULL)
    return np.stack([FULL - nucleus, nucleus, 0 * nucleus], axis=1).astype(np.uint16)


@pytest.mark.real
@pytest.mark.slow
def test_a_slides_nuclei_are_valid_polygons_with_the_area_of_the_table(real_data: Path, tmp_path: Path) -> None:
    settings = {"tile_size": 256, "overlap": 64, "background": 12.5, "instances": "watershed", "minimum_size": 0}
    work = task(**settings, predict=by_stain, block=1024, cell=700, margin=192)
    found = apply_to(real_data / "wsi/CMU-1-Small-Region.svs", "slide", tmp_path, work)
    shapes = [shapely.geometry.shape(each["geometry"]) for each in features(tmp_path / "slide.geojson")]
    assert len(shapes) > 2000 and all(shape.is_valid for shape in shapes)
    table = pd.read_csv(tmp_path / "slide.csv", index_col="class")
    outlined = sum(shape.area for shape in shapes) * found.microns_per_pixel**2 / 1e6
    assert outlined == pytest.approx(table.loc["tumour", "area_mm2"], rel=0.01)  # what is wider than a margin is cut
