"""Refuse wrong parameters before any work starts: `python -m pipeline.stages.check [<study>]`.

In: params.yaml, or a study's. Out: `data/checked/project.txt` or `data/checked/<study>.txt`, whose content never
changes, so that a right change of parameters reruns only the stages that use what changed.
"""

import argparse
from pathlib import Path

from pipeline.base.errors import run_stage
from pipeline.base.files import write_text
from pipeline.base.study import read_study
from pipeline.health.parameters import check_project, check_study

CHECKED = Path("data/checked")


def main() -> None:
    parser = argparse.ArgumentParser(description="Refuse wrong parameters before any work starts.")
    parser.add_argument("study", nargs="?", help="whose params.yaml is checked; the project's where none is given")
    name = parser.parse_args().study
    if name is None:
        check_project()
    else:
        check_study(read_study(name))
    where = "params.yaml" if name is None else f"studies/{name}/params.yaml"
    write_text(CHECKED / f"{name or 'project'}.txt", f"{where} was read, and every value in it is allowed.\n")


if __name__ == "__main__":
    run_stage(main)
