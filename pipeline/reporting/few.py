"""What is said of a variant on so few test units that an interval would promise too much (`Evidence.few`)."""

import numpy as np

from pipeline.metrics.stats import nan_mean
from pipeline.reporting.scoring import KINDS, Evidence


def range_of_units(evidence: Evidence, score: str, place: int) -> tuple[float, float]:
    """The lowest and the highest score that a variant has on one unit alone, a mean over its runs.

    NaN where no unit has the score by itself. `place` is the variant's among those of the evidence.
    """
    kind = next(kind for kind, counts in evidence.counts.items() if score in KINDS[kind](counts[0], evidence.classes))
    values = nan_mean(KINDS[kind](evidence.counts[kind][:, place], evidence.classes)[score], axis=1)
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else (float("nan"), float("nan"))
