"""Reads inputs one after the other in a process of limited memory: `python -m tests.torture.reading SUBJECT`.

In:  a line a folder on stdin. Out: a line on stdout for each, JSON: None where it was read or refused in a sentence,
else the traceback that a person would have seen.
"""

import contextlib
import io
import json
import os
import resource
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

from pipeline.base.errors import Problem
from tests.torture.subjects import SUBJECTS, Subject

ALLOWED = 2 << 30  # bytes beside those that the libraries take up


def limit_memory() -> None:
    """Let this process have no more than 2 GB beyond what it has now."""
    own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (own + ALLOWED, own + ALLOWED))


def fault(subject: Subject, folder: Path) -> str | None:
    """What is wrong with how an input is read."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as out, contextlib.redirect_stdout(io.StringIO()):
        try:
            subject.read(folder, Path(out))
        except Problem as problem:
            return None if str(problem).strip() and len(str(problem)) < 20_000 else f"says {str(problem)[:200]!r}"
        except (Exception, RecursionError) as error:
            place = traceback.extract_tb(error.__traceback__)
            ours = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in place if "/pipeline/" in frame.filename]
            return f"{type(error).__name__}: {str(error)[:200]!r} at {' < '.join(ours[::-1][:3])}"
    return None


def main() -> None:
    subject = next(subject for subject in SUBJECTS if subject.name == sys.argv[1])
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "warm"
        folder.mkdir()
        subject.make(folder)
        with contextlib.redirect_stdout(io.StringIO()):
            subject.read(folder, Path(name))  # imports what it needs, and shows that the valid input is read
    limit_memory()
    print(json.dumps(None), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(fault(subject, Path(json.loads(line)))), file=answers, flush=True)


if __name__ == "__main__":
    main()
