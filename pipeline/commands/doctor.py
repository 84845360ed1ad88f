"""Is anything damaged, and what is to be done? `lobule doctor`, or `lobule doctor --quick` without reading the cache.

In:  the project: its locks, cache, outputs, environment, disk, device, git, MLflow's store. It changes nothing.
Out: a line for each, and below it what to type where something is wrong. Exit code 1 where something is.
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import chain

from pipeline.health import Finding, machine, project, storage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="do not read the cache and the outputs")


def run(arguments: argparse.Namespace) -> None:
    wrong = 0
    for finding in examine(arguments.quick):
        print(as_text(finding), flush=True)
        wrong += finding.wrong
    print(f"{wrong} to mend." if wrong else "All is well.")
    sys.exit(int(bool(wrong)))


def examine(quick: bool) -> Iterator[Finding]:
    """Everything, the quick things first."""
    parts = [machine.examine(), project.examine()]
    return chain(*parts, storage.read_locks(storage.ROOT)[1] if quick else storage.examine())


def as_text(finding: Finding) -> str:
    """A line, and below it what to type."""
    state = "wrong" if finding.wrong else "ok   "
    return "\n".join([f"{state}  {finding.what:<9} {finding.said}", *(f"{'':17}type: {line}" for line in finding.cure)])
