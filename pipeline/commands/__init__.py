"""What a person runs beside DVC: `lobule verify`, `lobule paper`, ...

Each command is a module here with `add_arguments(parser)` and `run(arguments)`. It is imported when it is asked for,
so that `lobule --help` answers at once: what it does is therefore said below.
"""

import argparse
import sys
from functools import partial
from importlib import import_module

from pipeline.base.errors import run_stage

COMMANDS = {
    "apply": "use a trained model on slides: outlines for QuPath, tables, pictures",
    "band": "train a variant with several seeds and measure how far apart they land",
    "doctor": "look for what is damaged or missing, and say what to type",
    "export": "write a trained model as a folder that works elsewhere, and into MLflow's registry",
    "new": "make a study of your own images and masks, or one like another",
    "paper": "put the papers' budgets, sources and weights into the parameters",
    "prune": "take the stages that have left the pipeline out of the lock files",
    "repro": "bring everything up to date, stages side by side, here or on a cluster",
    "verify": "train a variant again and compare its scores with the report's",
}


def main() -> None:
    """Run the command that the command line names; a `Problem` is one line and exit code 1."""
    parser = argparse.ArgumentParser(prog="lobule", description="Breast-cancer histopathology, reproducibly.")
    commands = parser.add_subparsers(metavar="command", required=True)
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
        if name in sys.argv[1:2]:
            module = import_module(f"pipeline.commands.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    arguments = parser.parse_args()
    run_stage(partial(arguments.run, arguments))
