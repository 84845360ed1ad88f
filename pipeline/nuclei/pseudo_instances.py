"""Nuclei of an image without annotation, by colour: a stand-in for truth, where a model must be shown instances.

Haematoxylin by colour deconvolution, Otsu's threshold on it, and a watershed that parts touching nuclei. No model and
no person is in it.

How good they are, as detection F1 (centroids within 3 µm) at 0.42 µm/px: 0.98 on drawn nuclei that stand apart, 0.60 to
0.87 on drawn tissues, 0.73 on the four breast images of MoNuSeg at hand, 0.74 on ten of TNBC. They are bad where nuclei
lie in a row or over each other (merged, and then often too large and left out), where nuclei are vesicular or pale
(found in pieces, or not), and in folds of the tissue, ink and mucus, which haematoxylin stains as well.
"""

import numpy as np
import numpy.typing as npt

from pipeline.nuclei.watershed import InstanceMap, split_touching

BLUR = 0.4  # µm, standard deviation of the Gaussian that takes noise and chromatin texture away
FAINTEST = 0.02  # haematoxylin, as rgb2hed measures it, that a nucleus has at least
DEPTH = 0.3  # µm that a part must bulge to be a nucleus of its own


def find_nuclei(
    image: npt.NDArray[np.uint8], microns_per_pixel: float, smallest: float = 7.0, largest: float = 250.0
) -> InstanceMap:
    """Nuclei of an H&E image, numbered 1 to n; 0 = none.

    Args:
        image: (H, W, 3) RGB.
        smallest, largest: area of a nucleus in µm²; what is smaller or larger is left out.

    Returns:
        Instance map (H, W) int32.
    """
    from scipy.ndimage import binary_fill_holes, binary_opening, gaussian_filter
    from skimage.color import rgb2hed
    from skimage.filters import threshold_otsu

    haematoxylin = gaussian_filter(rgb2hed(image)[..., 0], BLUR / microns_per_pixel)
    if haematoxylin.max() < FAINTEST:
        return np.zeros(image.shape[:2], np.int32)
    dark = haematoxylin > max(threshold_otsu(haematoxylin), FAINTEST)
    pieces = split_touching(binary_fill_holes(binary_opening(dark)), DEPTH / microns_per_pixel)
    areas = np.bincount(pieces.ravel()) * microns_per_pixel**2
    kept = (areas >= smallest) & (areas <= largest)
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0).astype(np.int32)[pieces]
