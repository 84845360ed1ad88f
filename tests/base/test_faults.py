"""What a machine does to a stage is one sentence, whatever it was wrapped in; an error of the program is none."""

import errno

import pytest

from pipeline.base.errors import run_stage
from pipeline.base.faults import fault


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.h5"), "a.h5 cannot be written: the disk is full; `lobule"),
        (
            RuntimeError("Can't close (errno = 28, error message = 'No space left')"),
            "this stage cannot be written: the",
        ),
        (OSError(errno.EFBIG, "File too large", "a.csv"), "a.csv may not become so large here"),
        (PermissionError(errno.EACCES, "Permission denied", "data"), "data may not be opened: this user has"),
        (OSError(errno.EIO, "Input/output error"), "this stage cannot be read: its disk"),
        (MemoryError(), "this stage needs more memory than is free"),
    ],
)
def test_a_fault_is_a_sentence(error: Exception, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        try:
            raise error
        except Exception as cause:
            raise RuntimeError("wrapped") from cause

    with pytest.raises(SystemExit) as ended:
        run_stage(fail)
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"lobule: {said}") and line.endswith(".")


def test_an_error_of_the_program_is_none() -> None:
    assert fault(None, KeyError("x")) is None
    with pytest.raises(KeyError):
        run_stage(lambda: {}["x"])
