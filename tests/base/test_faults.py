"""What a machine does to a stage is one sentence, whatever it was wrapped in; an error of the program is none."""

import errno

import pytest

from pipeline.base.errors import run_stage
from pipeline.base.faults import sentence


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.h5"), "the disk is full at a.h5; `lobule doctor`"),
        (RuntimeError("Can't close (errno = 28, error message = 'No space left on device')"), "the disk is full"),
        (OSError(errno.EFBIG, "File too large", "a.csv"), "a file may not become so large here at a.csv"),
        (PermissionError(errno.EACCES, "Permission denied", "data"), "a file or folder is closed to you at data"),
        (OSError(errno.EIO, "Input/output error"), "the disk failed"),
        (MemoryError(), "main memory ran out"),
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
    assert line.startswith(f"lobule: {said}") and line.endswith("nothing half-written was left.")


def test_an_error_of_the_program_is_none() -> None:
    assert sentence(KeyError("x")) is None
    with pytest.raises(KeyError):
        run_stage(lambda: {}["x"])
