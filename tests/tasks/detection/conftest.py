from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.plans.job import Job
from tests.tasks.detection import project


@pytest.fixture
def job_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Job]:
    """Makes jobs of a small study whose files lie in the working directory: `job_of("resnet18", seed=2)`."""
    monkeypatch.chdir(tmp_path)
    project.make_project()
    return project.job_of
