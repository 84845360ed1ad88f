"""Hurts Lobule in every way known and prints what held; see docs/reliability.md.

    python -m tests.torture [--short] [PART ...]

A part is a module of this package with `run(short: bool) -> Iterator[Row]`. Ends with 1 where something did not hold.
"""

import argparse
import importlib
import platform
import sys
import time

from tests.torture.table import Row, render

PARTS = ("inputs", "corruption", "faults", "kills", "workers")


def main() -> int:
    parser = argparse.ArgumentParser(description="Hurts Lobule in every way known and prints what held.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--short", action="store_true", help="a few of each kind, minutes instead of hours")
    asked = parser.parse_args()
    begin, rows = time.monotonic(), list[Row]()
    for part in asked.parts or PARTS:
        for row in importlib.import_module(f"tests.torture.{part}").run(asked.short):
            print(f"{row.what}, {row.kind}: {row.held:,} of {row.tried:,} held", file=sys.stderr, flush=True)
            rows.append(row)
    print(render(rows), end="")
    print(f"\n{(time.monotonic() - begin) / 60:.0f} minutes, {platform.platform()}, Python {platform.python_version()}")
    return int(any(row.held < row.tried for row in rows))


if __name__ == "__main__":
    sys.exit(main())
