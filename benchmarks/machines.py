"""The same code, parameters and seeds on two kinds of machine: how far apart are the figures?

    python -m benchmarks.machines REPORTS [OTHER]     # OTHER: reports/ of this project, if not given

Both are folders of reports, each written by `make repro` on a machine of its own. Prints a line a variant: its
headline score in both, the difference, and whether each lies in the other's 95 % interval over test tiles or patients.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path)
    parser.add_argument("other", nargs="?", type=Path, default=ROOT / "reports")
    arguments = parser.parse_args()
    one, other = headlines(arguments.reports), headlines(arguments.other)
    both = one.add_suffix("_one").join(other.add_suffix("_other"), how="inner")
    print("| study | variant | one | other | difference | each in the other's interval |\n|---|---|--:|--:|--:|---|")
    for (study, variant), row in both.iterrows():
        within = row.low_one <= row.value_other <= row.high_one and row.low_other <= row.value_one <= row.high_other
        difference = row.value_other - row.value_one
        said = "the same" if difference == 0 else "yes" if within else "**no**"
        print(f"| {study} | {variant} | {row.value_one:.3f} | {row.value_other:.3f} | {difference:+.3f} | {said} |")


def headlines(reports: Path) -> pd.DataFrame:
    """The headline score that metrics.json has of each variant, with its interval, by study and variant."""
    rows = []
    studies = json.loads((reports / "metrics.json").read_text(encoding="utf-8"))
    for study, scores in ((name, found) for name, found in studies.items() if isinstance(found, dict)):
        intervals = pd.read_csv(reports / study / "intervals.csv")
        intervals["name"] = intervals.variant + "-" + intervals.plan
        for name, value in ((name, found) for name, found in scores.items() if isinstance(found, float)):
            found = intervals[(intervals.name == name) & ((intervals.value - value).abs() < 1e-9)]
            if len(found):
                rows.append((study, name, value, found.low.iloc[0], found.high.iloc[0]))
    return pd.DataFrame(rows, columns=["study", "variant", "value", "low", "high"]).set_index(["study", "variant"])


if __name__ == "__main__":
    main()
