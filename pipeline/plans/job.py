"""What a stage is asked for by its command line: a run of a study, or one variant in a run with a seed."""

import argparse
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from pipeline.base.errors import Problem
from pipeline.base.paths import PLANS, evaluation_folder, plan_folder, variant_folder
from pipeline.base.schema import ALPHABET, NAME, shown
from pipeline.base.study import AnyStudy, read_study, variant
from pipeline.tiles.plan import read_plan


@dataclass(frozen=True)
class Job:
    """One variant of a study in one run with one seed: what `train`, `predict` and `evaluate` are asked for."""

    study: str
    run: int
    seed: int
    variant: str
    plan: str  # that it is trained on: plain, augmented or balanced
    encoder: str
    settings: AnyStudy  # the study with what the variant changes

    @property
    def task(self) -> str:
        """Segmentation, tiles or detection; a variant may have another task than its study."""
        return self.settings.task

    @property
    def folder(self) -> Path:
        """Of its weights/, training/ and predictions/."""
        return variant_folder(self.study, self.run, self.seed, self.variant, self.plan)

    @property
    def evaluation(self) -> Path:
        """Of its scores."""
        return evaluation_folder(self.study, self.run, self.seed, self.variant, self.plan)

    @property
    def is_baseline(self) -> bool:
        """Whether it is what a model must beat: nothing is trained, it is predicted when it is scored."""
        return self.variant in self.settings.baselines

    @property
    def first_weights(self) -> str:
        """What the weights start from: random, imagenet or the path of a checkpoint."""
        return self.settings.model.weights.format(run=self.run, seed=self.seed)

    def plan_path(self, name: str) -> Path:
        """The file of a plan of this run: split, plain, augmented or balanced."""
        return plan_folder(self.study, self.run) / f"{name}.csv"

    @cached_property
    def split(self) -> pd.DataFrame:
        """Every tile of the study once, with its side of the split."""
        return read_plan(self.plan_path("split"))

    def rows(self, side: str) -> pd.DataFrame:
        """The tiles of one side of the split.

        Raises:
            Problem: the test side has none.
        """
        rows = self.split[self.split["split"] == side]
        if side == "test" and rows.empty:
            raise Problem(
                f"{self.plan_path('split')} has no test tiles; change split in studies/{self.study}/params.yaml."
            )
        return rows


def read_run(what: str) -> tuple[AnyStudy, int]:
    """The study, and the number of its run, that the command line asks for: `<study> --run RUN`."""
    found = _parser(what).parse_args()
    return read_study(found.study), found.run


def read_job(what: str) -> Job:
    """The job that the command line asks for: `<study> --run RUN --seed SEED --variant VARIANT --plan PLAN`.

    Raises:
        Problem: the study does not name such a variant, or it is no name.
    """
    parser = _parser(what)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--variant", required=True, help="an encoder, a name among the study's variants, or a baseline")
    parser.add_argument("--plan", choices=PLANS, required=True)
    found = parser.parse_args()
    study = read_study(found.study)
    if not NAME.fullmatch(found.variant):
        raise Problem(f"--variant is {shown(found.variant)}, which is no name; give {ALPHABET}.")
    encoder, settings = variant(study, found.variant)
    return Job(found.study, found.run, found.seed, found.variant, found.plan, encoder, settings)


def _parser(what: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=what, allow_abbrev=False)
    parser.add_argument("study")
    parser.add_argument("--run", type=int, required=True)
    return parser
