"""Write the report of a study: `python -m pipeline.stages.report <study>`.

In:  evaluation of every variant and baseline, the study's plans, the tile store, studies/<study>/paper.
Out: reports/<study>.md, to be read; reports/<study>/ with the tables behind it and its figures;
     reports/private/<study>/ with pictures of tiles where the data's licence does not let them be published (git
     ignores that folder). What is in them is the task's to say (pipeline/tasks/<task>/report.py).
"""

import argparse

from pipeline import tasks
from pipeline.base.errors import run_stage
from pipeline.base.params import read_params
from pipeline.base.study import read_study


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the report of a study.")
    parser.add_argument("study")
    study = read_study(parser.parse_args().study)
    tasks.load(study.task, "report").write(study, read_params())


if __name__ == "__main__":
    run_stage(main)
