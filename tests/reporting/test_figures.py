"""A figure's legend says what each of its lines is."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from pipeline.reporting.figures import learning_curves


@pytest.mark.parametrize(
    ("validation", "named"), [(0.5, ["plain", "train", "validation"]), (np.nan, ["plain", "train"])]
)
def test_dashed_lines_are_named_with_and_without_validation(
    validation: float, named: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels: list[str] = []

    def legend(self: Figure, handles: list[Any], **options: Any) -> None:
        labels.extend(handle.get_label() for handle in handles)

    monkeypatch.setattr(Figure, "legend", legend)
    curves = pd.DataFrame(
        {"run": 1, "seed": 42, "epoch": [1, 2], "train_loss": [2.0, 1.0], "validation_loss": [validation] * 2}
    )
    run = SimpleNamespace(run=1, seed=42, best_epoch=2)
    variant: Any = SimpleNamespace(curves=curves, runs=[run], plan="plain")
    rows = [{"model": "U-Net", "plan": "plain", "baseline": False}]
    learning_curves([variant], rows, tmp_path / "losses.png")
    assert labels == [*named, "weights kept"]
