"""Resolutions that OME-TIFFs tell, in the ways in which their writers spell them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from pipeline.slides.flat import ome_resolution

HEAD = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
PIXELS = 'ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="8" SizeY="8" SizeC="1" SizeZ="1" SizeT="1"'
DATA = '<Channel ID="Channel:0:0" SamplesPerPixel="1"/><TiffData/>'


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ('PhysicalSizeX="0.5" PhysicalSizeXUnit="\u00b5m" PhysicalSizeY="0.5" PhysicalSizeYUnit="\u00b5m"', 0.5),
        ('PhysicalSizeX="0.5" PhysicalSizeXUnit="&#181;m" PhysicalSizeY="0.5" PhysicalSizeYUnit="&#xb5;m"', 0.5),
        ('PhysicalSizeX="0.5" PhysicalSizeXUnit="\u03bcm" PhysicalSizeY="0.5" PhysicalSizeYUnit="\u03bcm"', 0.5),
        ("PhysicalSizeX='250' PhysicalSizeXUnit='nm' PhysicalSizeY='250' PhysicalSizeYUnit='nm'", 0.25),
        ('PhysicalSizeX="0.25" PhysicalSizeY="0.75"', 0.5),  # without a unit it is micrometres; the mean of both axes
        ('PhysicalSizeX="1" PhysicalSizeXUnit="pixel" PhysicalSizeY="1" PhysicalSizeYUnit="pixel"', None),
        ('PhysicalSizeX="0" PhysicalSizeY="0"', None),
        ('PhysicalSizeX="0.5"', None),
        ("", None),
    ],
)
def test_a_resolution_is_read_however_it_is_written(sizes: str, expected: float | None, tmp_path: Path) -> None:
    path = tmp_path / "slide.ome.tif"
    told = f'{HEAD}<Image ID="Image:0"><Pixels {PIXELS} {sizes}>{DATA}</Pixels></Image></OME>'
    tifffile.imwrite(path, np.zeros((8, 8), np.uint8), description=told.encode(), metadata=None)
    assert ome_resolution(path) == expected
