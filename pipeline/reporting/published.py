"""A paper's printed figures, from its published.csv (table, variant, encoder, pretrained, augmented, ...)."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.base.paths import paper_folder

COLUMNS = ["table", "variant", "encoder", "pretrained", "augmented", "split", "cls", "metric", "value"]


@dataclass(frozen=True)
class Published:
    """`rows` has the columns of published.csv, text but for `value`; "" where the paper does not say."""

    rows: pd.DataFrame

    @classmethod
    def of(cls, study: str) -> "Published":
        """The figures of the paper that a study rebuilds; none where it rebuilds none."""
        path = paper_folder(study) / "published.csv"
        rows = pd.read_csv(path, dtype=str, keep_default_na=False) if path.exists() else pd.DataFrame(columns=COLUMNS)
        return cls(rows.astype({"value": float}))

    def encoders(self, table: str) -> list[str]:
        """The encoders of a table, in its order; rows of other people's systems have none."""
        rows = self.rows[(self.rows["table"] == table) & (self.rows["encoder"] != "")]
        return list(dict.fromkeys(rows["encoder"]))

    def name(self, encoder: str) -> str:
        """What the paper calls an encoder's unaugmented variant; a name in its manner where it has none."""
        rows = self.rows[(self.rows["encoder"] == encoder) & (self.rows["augmented"] == "no")]
        return rows["variant"].iloc[0] if len(rows) else f"U-Net + {encoder}"

    def value(self, table: str, encoder: str, plan: str, metric: str, cls: str = "all") -> float | None:
        """One printed figure, of all classes or of one, or None where the paper has none."""
        augmented = {"plain": "no", "augmented": "yes"}.get(plan, "not in the paper")
        return self._only({"table": table, "encoder": encoder, "augmented": augmented, "metric": metric, "cls": cls})

    def of_variant(self, table: str, variant: str | None, metric: str, cls: str, split: str = "test") -> float | None:
        """One printed figure of the variant that the paper calls so, or None where the paper has none."""
        return self._only({"table": table, "variant": variant or "", "metric": metric, "cls": cls, "split": split})

    def highest(self, table: str, metric: str, cls: str = "all", side: str | None = None) -> tuple[str, float]:
        """The variant with the highest figure of a table over all classes (or of one), and the figure.

        `side` of the split, where the table has figures of it.
        """
        rows = self.rows[(self.rows["table"] == table) & (self.rows["metric"] == metric) & (self.rows["cls"] == cls)]
        if (rows["split"] == side).any():
            rows = rows[rows["split"] == side]
        best = rows.sort_values("value", ascending=False, kind="stable").iloc[0]
        return str(best["variant"]), float(best["value"])

    def of_table(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table: what a model is called, the side of the split, its scores by name."""
        rows = self.rows[self.rows["table"] == table]
        return [
            {"model": model, "side": side} | dict(zip(group["metric"], group["value"], strict=True))
            for (model, side), group in rows.groupby(["variant", "split"], sort=False)
        ]

    def speeds(self, table: str, names: dict[str, str], cls: str) -> dict[str, float | None]:
        """Frames per second that the paper prints of each variant of the study that it `names`."""
        return {name: self.of_variant(table, printed, "fps", cls) for name, printed in names.items()}

    def others(self, table: str, metric: str) -> dict[str, dict[str, float]]:
        """Figures of other people's systems that the paper quotes: system -> class -> value."""
        rows = self.rows[(self.rows["table"] == table) & (self.rows["encoder"] == "") & (self.rows["metric"] == metric)]
        return {
            str(name): dict(zip(group["cls"], group["value"], strict=True))
            for name, group in rows.groupby("variant", sort=False)
        }

    def _only(self, wanted: dict[str, str]) -> float | None:
        rows = self.rows
        for column, value in wanted.items():
            rows = rows[rows[column] == value]
        return float(rows["value"].iloc[0]) if len(rows) else None
