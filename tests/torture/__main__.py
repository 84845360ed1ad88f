"""Hurts Lobule in every way known and prints what held; see docs/reliability.md.

    python -m tests.torture [--short] [--log FILE] [PART ...]

A part is a module of this package with `run(short: bool, log: Log) -> Iterator[Row]`. Ends with 1 where something did
not hold.
"""

import argparse
import importlib
import platform
import sys
import time
from pathlib import Path

from tests.torture.table import Log, render

PARTS = ("inputs", "corruption", "faults", "kills", "workers")


def main() -> int:
    parser = argparse.ArgumentParser(description="Hurts Lobule in every way known and prints what held.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--short", action="store_true", help="a few of each kind, minutes instead of hours")
    parser.add_argument("--log", type=Path, metavar="FILE", help="keep each try here, and go on where it ends")
    parser.add_argument("--table", action="store_true", help="try nothing, print what the log has")
    asked = parser.parse_args()
    begin, log = time.monotonic(), Log(asked.log)
    for part in () if asked.table else asked.parts or PARTS:
        for row in importlib.import_module(f"tests.torture.{part}").run(asked.short, log):
            print(f"{row.what}, {row.kind}: {row.held:,} of {row.tried:,} held", file=sys.stderr, flush=True)
    print(render(log.rows.values()), end="")
    print(f"\n{(time.monotonic() - begin) / 60:.0f} minutes, {platform.platform()}, Python {platform.python_version()}")
    return int(any(row.held < row.tried for row in log.rows.values()))


if __name__ == "__main__":
    sys.exit(main())
