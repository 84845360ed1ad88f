"""Pictures without tiles (PNG, JPEG, flat TIFF), read as slides; they are held in memory, so their size has a limit."""

import html
import re
import warnings
from pathlib import Path

import openslide
import tifffile
from PIL import Image, UnidentifiedImageError

from pipeline.base.errors import Problem
from pipeline.slides.tiff import UNREADABLE

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
LARGEST = 150_000_000  # px, of four bytes each in memory
MICRONS = {"µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4}  # OME's units; some write a Greek μ


def open_flat(path: Path) -> openslide.ImageSlide | None:
    """A picture with OpenSlide's own interface; None where the file is no picture.

    Raises:
        Problem: it has too many pixels, more than 8 bits a channel, or is damaged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what cannot be read is told below
        try:
            picture = Image.open(path)
        except (UnidentifiedImageError, OSError, SyntaxError):
            return None
        except Image.DecompressionBombError:
            raise Problem(_too_large(path)) from None
    if picture.width * picture.height > LARGEST:
        raise Problem(_too_large(path))
    if picture.mode not in {"1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"}:
        raise Problem(f"{path} has pixels of kind {picture.mode}; make it RGB with 8 bits a channel.")
    try:
        whole = picture.convert("RGBA" if "A" in picture.mode or "transparency" in picture.info else "RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise Problem(f"{path} cannot be read ({error}); get it again from where it came from.") from None
    return openslide.ImageSlide(whole)


def ome_resolution(path: Path) -> float | None:
    """µm a pixel that an OME-TIFF tells; None of any other file."""
    if path.suffix.lower() not in {".tif", ".tiff"}:
        return None
    try:
        with tifffile.TiffFile(path) as tiff:
            text = tiff.ome_metadata or ""
    except UNREADABLE:
        return None
    pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", text)
    told = html.unescape(pixels.group()) if pixels else ""  # in ASCII µ is written &#181;
    found = {name: value for name, _, value in re.findall(r"""(PhysicalSize[XY](?:Unit)?)=(["'])(.*?)\2""", told)}
    try:
        sizes = [float(found[f"PhysicalSize{x}"]) * MICRONS[found.get(f"PhysicalSize{x}Unit", "µm")] for x in "XY"]
    except (KeyError, ValueError):
        return None
    return sum(sizes) / 2 if min(sizes) > 0 else None


def _too_large(path: Path) -> str:
    return (
        f"{path} has more than {LARGEST:,} px and no tiles; make it a tiled TIFF, such as by"
        " `vips tiffsave IN OUT --tile --pyramid --compression jpeg`."
    )
