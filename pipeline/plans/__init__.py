"""From tiles to plans: what decides which tiles train, validate and test, and how often."""

import argparse

from pipeline.base.study import AnyStudy, read_study


def read_run(what: str) -> tuple[AnyStudy, int]:
    """The study, and the number of its run, that the command line asks for: `<study> <run>`."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("study")
    parser.add_argument("run", type=int)
    found = parser.parse_args()
    return read_study(found.study), found.run
