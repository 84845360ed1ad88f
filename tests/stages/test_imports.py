"""Stages start fast and need no GPU's libraries where they use none: what each has imported when it is done."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.tiles.store import IGNORE
from tests.command_line import asked
from tests.predicted import truth_of, write_epochs, write_predicted
from tests.tiny_study import ROOT, job_of, make_tiny_study

RUN = "import sys, runpy\nsys.argv = {argv}\nrunpy.run_module('pipeline.stages.{stage}', run_name='__main__')\n"
LOAD = "import sys\nimport pipeline.stages.{stage}\nfrom pipeline import tasks\ntasks.load('{task}', '{part}')\n"


def imported(program: str, folder: Path) -> set[str]:
    """The modules, by their first names, that a program has imported when it is done."""
    done = subprocess.run(
        [sys.executable, "-c", program + "print(*sorted({name.split('.')[0] for name in sys.modules}))"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_stages_that_train_nothing_import_no_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_tiny_study(
        tmp_path, 3, compare=["unet"], variants={"unet": {"encoder": "unet"}}, instances__method="components"
    )
    job = job_of("unet")
    write_epochs(job)
    write_predicted(job, truth_of(job) % IGNORE)
    stages = {name: ["tiny", "--run", "1"] for name in ("split", "guard", "balance", "augment")}
    stages |= {"check": ["tiny"], "evaluate": asked("tiny", 1, 42, "unet", "plain")}
    for stage, arguments in stages.items():
        found = imported(RUN.format(stage=stage, argv=[stage, *arguments]), tmp_path)
        assert not found & {"torch", "lightning", "mlflow", "torchvision", "segmentation_models_pytorch"}, stage
        if stage == "evaluate":
            assert "skimage" not in found  # connected pieces need SciPy alone
        if stage == "check":
            assert not found & {"pandas", "h5py", "numpy"}
    assert (job.evaluation / "metrics.json").exists()


@pytest.mark.parametrize("task", ["segmentation", "tiles", "detection"])
def test_a_task_is_scored_without_torch_and_predicts_without_lightning(task: str, tmp_path: Path) -> None:
    scoring = imported(LOAD.format(stage="evaluate", task=task, part="score"), tmp_path)
    assert not scoring & {"torch", "lightning", "mlflow", "skimage"}
    predicting = imported(LOAD.format(stage="predict", task=task, part="predict"), tmp_path)
    assert "torch" in predicting
    assert not predicting & {"lightning", "mlflow"}
