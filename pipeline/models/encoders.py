"""The names of the encoders, as a static list, so that a wrong one is refused without importing torch.

encoders.txt: the plain U-Nets (`unet`, `unet-bn`), then the encoders of segmentation-models-pytorch, then `tu-`
encoders of timm that are known to build. A slow test compares the list with what the libraries have.
"""

import difflib
from pathlib import Path

from pipeline.base.errors import Problem

ENCODERS = frozenset(Path(__file__).with_name("encoders.txt").read_text(encoding="utf-8").split())
PLAIN = frozenset({"unet", "unet-bn"})  # our own U-Nets: no encoder library, no pretrained weights
DETECTORS = ("resnet50", "resnet101", "resnet152")  # of which pipeline.models.mask_rcnn builds a detector


def check_encoder(name: str, where: str = "params.yaml") -> None:
    """Refuse an encoder that is not in the list; `where` is the file that names it.

    Raises:
        Problem: naming the nearest names.
    """
    if name not in ENCODERS:
        near = difflib.get_close_matches(name, sorted(ENCODERS), n=3)
        cure = f"did you mean {' or '.join(near)}?" if near else "pipeline/models/encoders.txt lists the names."
        raise Problem(f"{where}: the encoder {name!r} is not known; {cure}")
