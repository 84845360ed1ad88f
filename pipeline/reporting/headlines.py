"""The score by which each study ranks its variants, and where its paper prints the figures that compare."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Headline:
    """How a study is told in one row, and in the first table of its report."""

    question: str
    score: str  # of intervals.csv
    label: str
    table: str  # where published.csv has the paper's figures
    printed: dict[str, str]  # score of ours -> its name there
    strips: tuple[str, ...] = ("best", "worst")  # which test tiles the report shows: best, worst, first

    @property
    def printed_score(self) -> str:
        """What published.csv calls the score."""
        return self.printed[self.score]


HEADLINES = {
    "pannuke": Headline(
        "which encoder finds and tells apart nuclei",
        "mean_iou",
        "mean IoU",
        "Table 3",
        {"mean_iou": "mean_iou", "dice_micro": "dice"},
    ),
    "bcss": Headline(
        "which tissue lies where in a tumour",
        "accuracy_one_vs_rest",
        "one-vs-rest accuracy",
        "results",
        {"accuracy_one_vs_rest": "accuracy"},
        strips=("first",),
    ),
}
