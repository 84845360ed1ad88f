"""Names of variants and where their files lie.

A variant is an encoder, or a model that the `variants` of a study in params.yaml name, trained on one of the study's
plans. Wherever a table has a column `encoder`, it holds that name.
"""

from collections.abc import Sequence
from pathlib import Path

AUGMENTATIONS = ("plain", "augmented", "balanced")
BASELINES = {  # encoder name -> what it is called
    "background": "background everywhere",
    "otsu": "Otsu on haematoxylin",
    "commonest": "the commonest class everywhere",
}
IMAGE_BASELINES = {"constant": "always the commonest class", "colour": "mean colour alone"}  # those of whole images


def baselines_of(classes: Sequence[str]) -> tuple[str, ...]:
    """The baselines of a study with these classes: without a background there is but one."""
    return ("background", "otsu") if "background" in classes else ("commonest",)


def variant_folder(study: str, run: int, seed: int, encoder: str, augmentation: str) -> Path:
    """The folder that holds weights/, training/ and predictions/ of a variant in one run, with one seed."""
    return Path("models") / study / f"run{run}" / f"seed{seed}" / f"{encoder}-{augmentation}"


def evaluation_folder(study: str, encoder: str, augmentation: str) -> Path:
    """The folder that holds what was measured of a variant in all runs, with all seeds."""
    return Path("models") / study / "evaluation" / f"{encoder}-{augmentation}"


def classifier_folder(study: str) -> Path:
    """The folder that holds weights/, training/ and predictions/ of a study's classifier of tiles."""
    return Path("models") / study / "classifier"


def full_name(name: str, encoder: str, weights: str, augmentation: str) -> str:
    """What a variant is called in MLflow: its first weights stand in it where its own name does not tell them."""
    return "-".join([name, Path(weights).stem, augmentation] if name == encoder else [name, augmentation])
