import numpy as np
import pandas as pd
import pytest
from pipeline.stages.evaluate_classifier import score

from pipeline.reporting.lesions import at_ratio


def test_the_published_scores_are_means_over_both_classes() -> None:
    """From 775 of 1,000 tiles with UDH found, and 869 of 1,000 left alone of the 45 times as many without."""
    with_target, found, without, left = 1000, 775, 45_000, 39_092
    truth = np.repeat([1, 1, 0, 0], [found, with_target - found, left, without - left])
    probability = np.repeat([0.9, 0.1, 0.1, 0.9], [found, with_target - found, left, without - left])
    scores = score(pd.DataFrame({"truth": truth, "probability": probability}), ["background", "UDH"])
    printed = {"precision": 0.5547, "recall": 0.8219, "f1": 0.5639}
    assert scores["accuracy"] == pytest.approx(0.8667, abs=5e-4)
    assert scores["macro"] == pytest.approx(printed, abs=1e-3)
    assert scores["per_class"]["UDH"] == pytest.approx({"precision": 0.116, "recall": 0.775, "f1": 0.202}, abs=1e-3)
    assert at_ratio(found / with_target, left / without) == pytest.approx(scores["per_class"]["UDH"]["precision"])


def test_counts_are_truth_by_what_the_tile_was_called() -> None:
    table = pd.DataFrame({"truth": [0, 0, 1, 1, 1], "probability": [0.2, 0.6, 0.5, 0.51, 1.0]})
    scores = score(table, ["background", "UDH"])
    assert scores["counts"] == [[1, 1], [1, 2]]
    assert scores["tiles"] == 5
    assert at_ratio(0, 1) == 0
