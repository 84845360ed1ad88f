"""The papers' printed figures, from published.csv (study, table, variant, encoder, pretrained, augmented, ...)."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

PUBLISHED = Path(__file__).with_name("published.csv")


@dataclass(frozen=True)
class Published:
    """One paper's figures. `rows` has the columns of published.csv, text but for `value`; "" where not said."""

    rows: pd.DataFrame

    @classmethod
    def of(cls, study: str, path: Path = PUBLISHED) -> "Published":
        """The figures of the paper that a study rebuilds."""
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
        rows["value"] = rows["value"].astype(float)
        return cls(rows[rows["study"] == study])

    def encoders(self, table: str) -> list[str]:
        """The encoders of a table, in its order; rows of other people's systems have none."""
        rows = self.rows[(self.rows["table"] == table) & (self.rows["encoder"] != "")]
        return list(dict.fromkeys(rows["encoder"]))

    def name(self, encoder: str) -> str:
        """What the paper calls an encoder's unaugmented variant; a name in its manner where it has none."""
        rows = self.rows[(self.rows["encoder"] == encoder) & (self.rows["augmented"] == "no")]
        return rows["variant"].iloc[0] if len(rows) else f"U-Net + {encoder}"

    def value(self, table: str, encoder: str, augmentation: str, metric: str, of: str = "all") -> float | None:
        """One printed figure, of all classes or of one, or None where the paper has none."""
        augmented = {"plain": "no", "augmented": "yes"}.get(augmentation, "not in the paper")
        return self._only({"table": table, "encoder": encoder, "augmented": augmented, "metric": metric, "cls": of})

    def of_variant(self, table: str, variant: str | None, metric: str, of: str, split: str = "test") -> float | None:
        """One printed figure of the variant that the paper calls so, or None where the paper has none."""
        return self._only({"table": table, "variant": variant or "", "metric": metric, "cls": of, "split": split})

    def highest(self, table: str, metric: str, of: str = "all", side: str | None = None) -> tuple[str, float]:
        """The variant with the highest figure of a table over all classes (or of one), and the figure.

        `side` of the split, where the table has figures of it.
        """
        rows = self.rows[(self.rows["table"] == table) & (self.rows["metric"] == metric) & (self.rows["cls"] == of)]
        if (rows["split"] == side).any():
            rows = rows[rows["split"] == side]
        best = rows.sort_values("value", ascending=False, kind="stable").iloc[0]
        return str(best["variant"]), float(best["value"])

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
