"""Fixtures that all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from pipeline.models.processor import use_common_kernels

use_common_kernels()  # as the stages do that tests start; torch takes it when it is imported
settings.register_profile("lobule", deadline=None)  # a slow machine is no fault of what is tested
settings.load_profile("lobule")


@pytest.fixture
def real_data() -> Path:
    """The folder of real images and annotations; a test that needs it is skipped, saying so, where it is not."""
    folder = Path(os.environ.get("LOBULE_REAL_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set LOBULE_REAL_DATA to a folder that has it")
    return folder
