"""Names of variants (an encoder, trained on one of a study's plans) and where their files lie."""

from pathlib import Path

AUGMENTATIONS = ("plain", "augmented", "balanced")
BASELINES = {"background": "background everywhere", "otsu": "Otsu on haematoxylin"}  # encoder name -> what it is called


def variant_folder(study: str, run: int, seed: int, encoder: str, augmentation: str) -> Path:
    """The folder that holds weights/, training/ and predictions/ of a variant in one run, with one seed."""
    return Path("models") / study / f"run{run}" / f"seed{seed}" / f"{encoder}-{augmentation}"


def evaluation_folder(study: str, encoder: str, augmentation: str) -> Path:
    """The folder that holds what was measured of a variant in all runs, with all seeds."""
    return Path("models") / study / "evaluation" / f"{encoder}-{augmentation}"
