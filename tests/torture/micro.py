"""The project with one study of two tiny trainings, so that a whole `dvc repro` of it takes a minute."""

import re
import shutil
from pathlib import Path

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
    path = folder / "dvc.yaml"
    others = "tnbc|monuseg|bracs|bcss|bach"
    text = re.sub(rf"^      ({others}): \{{[^}}]*\}}\n", "", path.read_text(), flags=re.MULTILINE)  # their data
    text = re.sub(rf"^ +- (reports|studies)/({others})\b.*\n", "", text, flags=re.MULTILINE)  # in the summary
    path.write_text(text.replace("*compared", "[variants]"))
    path = folder / "studies" / STUDY / "dvc.yaml"
    path.write_text(re.sub(r'variant: \["\$\{encoder\}", .*\]', 'variant: ["${encoder}"]', path.read_text()))
    project.commit()
    return project
