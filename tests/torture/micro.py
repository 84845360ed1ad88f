"""The project with one study of two tiny trainings, so that a whole `dvc repro` of it takes a minute."""

import re
import shutil
from pathlib import Path

from ruamel.yaml import YAML

from tests.dvc.project import ENCODERS, Project

STUDY = "pannuke"
EPOCHS = 3


def make_micro(folder: Path) -> Project:
    """The project in a folder, with one study and the data that it needs, committed and not yet made."""
    project = Project(folder)
    for path in (folder / "studies").iterdir():
        if path.is_dir() and path.name != STUDY:
            shutil.rmtree(path)
    project.put(STUDY, {"ablation": [ENCODERS[1]], "compare": ["encoder"], "train.epochs": EPOCHS})
    keep_data(folder / "dvc.yaml")
    path = folder / "studies" / STUDY / "dvc.yaml"
    path.write_text(re.sub(r'variant: \["\$\{encoder\}", .*\]', 'variant: ["${encoder}"]', path.read_text()))
    project.commit()
    return project


def keep_data(path: Path) -> None:
    """Leave the study's data alone in the stages of a dvc.yaml, and its reports in the front page."""
    yaml = YAML(typ="safe")
    content = yaml.load(path)
    stages = content["stages"]
    for name in ("download", "convert"):
        stages[name]["foreach"] = {STUDY: stages[name]["foreach"][STUDY]}
    others = {folder.name for folder in (Path(__file__).parents[2] / "studies").iterdir()} - {STUDY}
    summary = stages["summary"]
    summary["deps"] = [each for each in summary["deps"] if not others & {*Path(each).parts}]
    summary["params"] = ["encoder", {f"studies/{STUDY}/params.yaml": ["variants"]}]
    yaml.dump(content, path)
