"""Where the files of a variant lie: one encoder, trained with or without augmentation, in one study."""

from pathlib import Path

AUGMENTATIONS = ("plain", "augmented", "balanced")
BASELINES = {"background": "background everywhere", "otsu": "Otsu on haematoxylin"}  # encoder name -> what it is called


def variant_folder(study: str, run: int, seed: int, encoder: str, augmentation: str) -> Path:
    """The folder that holds weights/, training/, predictions/ and evaluation/ of a variant."""
    return Path("models") / study / f"run{run}" / f"seed{seed}" / f"{encoder}-{augmentation}"
