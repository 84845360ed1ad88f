"""Where files lie: the data's, and a study's. Run and seed are levels of every path of a training."""

import os
from pathlib import Path

PLANS = ("plain", "augmented", "balanced")  # those that a variant may be trained on
RAW = Path("data/raw")
TILES = Path("data/tiles")
MODELS = Path("models")
REPORTS = Path("reports")


def plan_folder(study: str, run: int) -> Path:
    """Where the plans of a study lie; they follow from the project's seed."""
    return Path("data/plans") / study / f"run{run}"


def variant_folder(study: str, run: int, seed: int, variant: str, plan: str) -> Path:
    """The folder that holds weights/, training/ and predictions/ of a variant in one run, with one seed."""
    return MODELS / study / f"run{run}" / f"seed{seed}" / f"{variant}-{plan}"


def evaluation_folder(study: str, run: int, seed: int, variant: str, plan: str) -> Path:
    """The folder that holds what was measured of it."""
    return MODELS / study / "evaluation" / f"run{run}" / f"seed{seed}" / f"{variant}-{plan}"


def paper_folder(study: str) -> Path:
    """The folder with what the paper says that a study rebuilds."""
    return Path("studies") / study / "paper"


def expand(path: str) -> Path:
    """A path that a person wrote, with `~` as the home folder."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser fails where ~ names an unknown user
