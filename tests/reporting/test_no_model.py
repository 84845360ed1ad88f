"""What a report answers to "better than no model?"."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.metrics.stats import Comparison, Interval
from pipeline.reporting.rendering import render
from pipeline.reporting.scoring import Figure

ASKED = "{% import 'macros.md.j2' as blocks %}{{ blocks.no_model(row, best, 'mean_iou', evidence) }}"
MANY, FEW = (SimpleNamespace(units=units, unit="patients", few=units < 6) for units in (9, 2))


@pytest.mark.parametrize(
    ("best", "difference", "p", "verdict", "evidence", "answer"),
    [
        (0.6, (-0.22, -0.3, -0.1), 0.01, "worse", MANY, "Yes: background everywhere has 0.382 (p 0.010)."),
        (0.4, (-0.02, -0.3, 0.1), 0.6, "no difference shown", MANY, "Not shown: background everywhere has 0.382 (p"),
        (0.3, (0.08, -0.1, 0.3), 0.6, "no difference shown", MANY, "Not shown, and **below it**: background everywh"),
        (0.12, (0.26, 0.1, 0.3), 0.01, "better", MANY, "**No: worse than background everywhere** (0.382, p 0.010)."),
        (0.12, (0.26, 0.1, 0.3), 0.09, "no difference shown", MANY, "**No: worse than background everywhere** (0.382"),
        (0.12, (0.26, 0.1, 0.3), 1, "no difference shown", FEW, "**No, on 2 patients: worse than background everyw"),
        (0.12, (0.26, float("nan"), float("nan")), 1, "no difference shown", FEW, "Not shown, and **below it**: back"),
        (0.382, (0, -0.1, 0.1), 1, "no difference shown", MANY, "Not shown: background everywhere has 0.382 (p"),
    ],
)
def test_a_model_below_no_model_is_told_so(
    tmp_path: Path,
    best: float,
    difference: tuple[float, float, float],
    p: float,
    verdict: str,
    evidence: SimpleNamespace,
    answer: str,
) -> None:
    (tmp_path / "asked.md.j2").write_text(ASKED)
    test = Comparison(1, 0, Interval(*difference, evidence.units), p, verdict)
    row = {"model": "background everywhere", "figures": {"mean_iou": Figure(0.382, 0.3, 0.4, None)}, "test": test}
    of_best = {"figures": {"mean_iou": Figure(best, 0.1, 0.7, None)}}
    page = render("asked.md.j2", tmp_path, row=row, best=of_best, evidence=evidence)
    assert page.startswith(f"- **Better than no model?** {answer}") and page.count("\n") == 1
