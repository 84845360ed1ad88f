"""studies/<name>/paper/paper.yaml: what a study's paper is ranked by, what it calls things, what it was made with."""

from typing import Any, Literal

from pydantic import Field

from pipeline.base.params import Params
from pipeline.base.paths import paper_folder
from pipeline.base.schema import Block, parse, read_yaml
from pipeline.base.study import AnyStudy, Study
from pipeline.reporting.names import BASELINES
from pipeline.reporting.published import Published

MACHINE = ("train.workers", "predict.batch", "predict.speed_batches")  # these change no figure
ROWS = ("compare", "started")  # these say which rows a table has, not what a row is


class Paper(Block):
    """How a study is put in one row and in the first table of its report, and how its paper did it."""

    question: str
    score: str  # of intervals.csv, by which variants are ranked
    label: str  # of the score
    table: str = ""  # where published.csv has the figures that compare with it
    target_class: str = Field(default="all", alias="class")  # whose figures these are: all, or one class
    printed: dict[str, str] = Field(default_factory=dict)  # score of ours -> its name in published.csv
    tables: dict[str, str] = Field(
        default_factory=dict
    )  # further tables of published.csv, by what the report calls them
    constants: dict[str, float] = Field(default_factory=dict)  # further figures that the report computes with
    least: float = 0.0  # of the score, where the axis of its figure begins
    strips: list[Literal["best", "worst", "first"]] = Field(default=["best", "worst"])  # which test tiles are shown
    names: dict[str, str] = Field(default_factory=dict)  # variant of the study -> what the paper calls it
    trained: Literal["plain", "augmented", "balanced"] = "augmented"  # the plan on which the paper trained those
    side: Literal["train", "validation", "test"] = "test"  # of the paper's split, whose figures these are
    bands: dict[str, str] = Field(
        default_factory=dict
    )  # scores that get a band, and their labels; the headline comes first
    sets: dict[str, Any] = Field(
        default_factory=dict
    )  # dotted key of the study's params.yaml -> value for rebuilding the paper
    unstated: list[str] = Field(
        default_factory=list
    )  # keys among them that the paper does not state; their values are usual ones
    prints: dict[str, str | int] = Field(
        default_factory=dict
    )  # key that is left alone -> what the paper has, how many of a list
    project: dict[str, Any] = Field(default_factory=dict)  # as `sets`, of the project's params.yaml
    differs: list[str] = Field(default_factory=list)  # what differs whatever the parameters

    @property
    def printed_score(self) -> str:
        """What published.csv calls the score."""
        return self.printed[self.score]

    def model(self, published: Published, name: str) -> str:
        """What a report calls an encoder, a named variant or a baseline."""
        return BASELINES.get(name) or self.names.get(name) or published.name(name)

    def value(self, published: Published, name: str, plan: str, score: str) -> float | None:
        """The printed figure beside a score of ours; None where the paper has none.

        The paper of a study that names its variants trained them on one plan.
        """
        printed = self.printed[score]
        if name not in self.names:
            return published.value(self.table, name, plan, printed, self.target_class)
        if plan != self.trained:
            return None
        return published.of_variant(self.table, self.names[name], printed, self.target_class, self.side)


def read_paper(study: str) -> Paper | None:
    """The paper that a study rebuilds, or None where it rebuilds none.

    Raises:
        Problem: its paper.yaml holds a key, type or value that is not allowed.
    """
    path = paper_folder(study) / "paper.yaml"
    return parse(Paper, read_yaml(path), str(path)) if path.exists() else None


def headline(study: AnyStudy) -> Paper:
    """How a study is put: as its paper.yaml says, or, where it rebuilds no paper, by the usual score of its task."""
    if (paper := read_paper(study.study)) is not None:
        return paper
    if study.task == "detection":
        score, label = "accuracy", "accuracy"
    elif study.target is not None:
        score, label = "dice_macro_no_background", f"F1 of {study.target} pixels"
    else:
        score, label = "mean_iou", "mean IoU"
    asked = f"which of the models does best on {' and '.join(study.datasets)}"
    return Paper.model_validate({"question": asked, "score": score, "label": label, "bands": {score: label}})


def differences(paper: Paper, study: Study, params: Params, sample: bool) -> list[str]:
    """Why figures of ours and the paper's cannot be compared, a clause each: parameters, synthetic tiles, the rest."""
    values, clauses = study.model_dump(mode="json"), []
    for key, theirs in (paper.sets | paper.prints).items():
        if key not in (*MACHINE, *ROWS, *paper.unstated):
            clauses.append(_clause(key, look_up(values, key), theirs))
    project = params.used_by(study)
    for key, theirs in paper.project.items():
        if not key.endswith(".source"):  # said by `sample`: a folder of one's own holds the same data
            clauses.append(_clause(key, look_up(project, key), theirs))
    return [*(["the tiles are synthetic"] if sample else []), *filter(None, clauses), *paper.differs]


def _clause(key: str, ours: Any, theirs: Any) -> str:
    """What to say of a parameter that differs, nothing of one that does not."""
    if isinstance(ours, list) and isinstance(theirs, int):
        return "" if len(ours) == theirs else f"`{key}` are {len(ours)}, the paper's are {theirs}"
    return "" if ours == theirs else f"`{key}` is {_text(ours)}, the paper's is {_text(theirs)}"


def look_up(values: dict[str, Any], key: str) -> Any:
    """The value under a dotted key.

    Raises:
        KeyError: there is none.
    """
    found: Any = values
    for name in key.split("."):
        found = found[name]
    return found


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)
