"""A card calls scores as the documentation and the reports do."""

import re
from pathlib import Path

import pytest

from pipeline.packages.card import is_rare
from pipeline.packages.score_words import WORDS, parted, words

ROOT = Path(__file__).parents[2]
CLASSES = ["background", "in_situ", "situ", "dead"]


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ("mean_iou", "mean IoU"),
        ("mean_iou_no_background", "mean IoU, no background"),
        ("mean_iou_of_images", "mean IoU of images"),
        ("jaccard_of_images", "Jaccard of images"),
        ("f1_in_situ", "F1 of in_situ"),
        ("f1_situ", "F1 of situ"),
        ("pq_dead_tissues", "PQ of dead, mean over tissues"),
        ("bpq_images", "bPQ, mean over images"),
        ("detection_recall_dead", "recall of detection of dead"),
        ("components_detection_f1", "F1 of detection, every connected piece a nucleus"),
        ("parting_aji", "AJI, gained by parting nuclei"),
        ("train_ap50_in_situ", "AP at IoU 0.5 of in_situ, on the training side"),
        ("something_new", "something new"),
    ],
)
def test_scores_have_words(score: str, said: str) -> None:
    assert words(score, CLASSES) == said


def test_the_words_are_those_of_the_documentation() -> None:
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| `([a-z0-9_]+)` \|$", page, re.MULTILINE)
    assert len(rows) >= 9
    for said, score in rows:
        assert words(score, CLASSES) == said


def test_every_score_of_the_reports_has_words() -> None:
    import pandas as pd

    for path in (ROOT / "reports").glob("*/intervals.csv"):
        table = pd.read_csv(path)
        classes = {score.removeprefix("f1_") for score in table["score"] if re.fullmatch("f1_(?!of_images).*", score)}
        for score in set(table["score"]):
            kind, _ = parted(re.sub("^(components|parting|train)_", "", score), sorted(classes))
            assert re.sub("_(of_images|images|tissues|no_background)$", "", kind) in WORDS, score


def test_what_is_rare_is_rare_in_every_score_of_it_and_in_no_other() -> None:
    few = ["dead"]
    rare = ["f1_dead", "pq_dead_images", "detection_f1_dead"]
    assert all(is_rare(score, "segmentation", CLASSES, few) for score in rare)
    assert not any(is_rare(score, "segmentation", CLASSES, few) for score in ("f1_situ", "mean_iou", "bpq_images"))
    assert is_rare("train_ap50_dead", "detection", CLASSES, few) and not is_rare("f1_dead", "detection", CLASSES, few)
