"""What a card calls the scores of intervals.csv: as docs/reference/metrics.md and the reports do."""

import re
from collections.abc import Sequence

WORDS = {
    "pixel_accuracy": "pixel accuracy",
    "accuracy_one_vs_rest": "one-vs-rest accuracy",
    "mean_iou": "mean IoU",
    "dice_micro": "Dice, micro",
    "dice_macro": "Dice, macro",
    "average_precision": "average precision",
    "iou": "IoU",
    "jaccard": "Jaccard",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "bpq": "bPQ",
    "mpq": "mPQ",
    "aji": "AJI",
    "pq": "PQ",
    "sq": "SQ",
    "dq": "DQ",
    "merged": "merged",
    "split": "split",
    "detection_precision": "precision of detection",
    "detection_recall": "recall of detection",
    "detection_f1": "F1 of detection",
    "accuracy": "accuracy",
    "ap": "AP",
    "ap50": "AP at IoU 0.5",
    "roc_auc": "ROC AUC",
    "no_call": "no call",
}
BEFORE = {  # how a name begins -> what is said after the words of its rest
    "components_": ", every connected piece a nucleus",
    "parting_": ", gained by parting nuclei",
    "train_": ", on the training side",
}
AFTER = {  # how it ends, likewise
    "_no_background": ", no background",
    "_of_images": " of images",
    "_images": ", mean over images",
    "_tissues": ", mean over tissues",
}
OF_NUCLEI = ("ap", "ap50")  # of a detector: the scores of a class that are of its nuclei, not of images


def words(score: str, classes: Sequence[str]) -> str:
    """A score as a table calls it; a name that is not known without its underscores."""
    said = ""
    for start, clause in BEFORE.items():
        if score.startswith(start):
            score, said = score.removeprefix(start), clause + said
    kind, name = parted(score, classes)
    for end, clause in AFTER.items():
        if kind.endswith(end) and kind.removesuffix(end) in WORDS:
            kind, said = kind.removesuffix(end), clause + said
    return WORDS.get(kind, kind.replace("_", " ")) + (f" of {name}" if name else "") + said


def parted(score: str, classes: Sequence[str]) -> tuple[str, str]:
    """A score without the class that it is of, and that class, or nothing: `pq_dead_images` is pq_images, dead."""
    names = "|".join(re.escape(name) for name in sorted(classes, key=len, reverse=True))
    found = re.fullmatch(rf"(\w+?)_({names})(_images|_tissues)?", score)
    if not names or found is None or found[1] not in WORDS:
        return score, ""
    return found[1] + (found[3] or ""), found[2]
