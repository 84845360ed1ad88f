"""Mutated inputs: each kind that is read from outside, spoilt at random, is read or refused in a sentence.

A seed gives the same inputs again: LOBULE_SEED=<that of the table's line> python -m tests.torture inputs.
"""

import json
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.torture.mutations import mutate
from tests.torture.subjects import SUBJECTS, Subject
from tests.torture.table import Row

SECONDS = 60  # for one input; those that hang take longer
LONG, SHORT = 1000, 25  # inputs a subject


class Reader:
    """A process that reads inputs of one kind, started again where one ended it."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._start()

    def _start(self) -> None:
        command = [sys.executable, "-m", "tests.torture.reading", self._subject.name]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
        self._process = subprocess.Popen(command, text=True, env=environment, **pipes)
        assert self._process.stdout
        assert self._process.stdout.readline() == "null\n", f"{self._subject.name}: its valid input is not read"

    def read(self, folder: Path) -> str | None:
        """What is wrong with how a folder is read."""
        assert self._process.stdin and self._process.stdout
        print(json.dumps(str(folder)), file=self._process.stdin, flush=True)
        ready, _, _ = select.select([self._process.stdout], [], [], SECONDS)
        answer = self._process.stdout.readline() if ready else ""
        if answer:
            found: str | None = json.loads(answer)
            return found
        self.close()
        code = self._process.returncode
        self._start()
        return f"ended with {code}" if ready else f"took more than {SECONDS} s"

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def run(short: bool) -> Iterator[Row]:
    """A row a kind of input."""
    seed = int(os.environ.get("LOBULE_SEED", "1"))
    chosen = os.environ.get("LOBULE_INPUTS", "")  # part of a kind's name
    for subject in SUBJECTS:
        if chosen.lower() in subject.name.lower():
            yield of_subject(subject, int(os.environ.get("LOBULE_TRIES", SHORT if short else LONG)), seed)


def of_subject(subject: Subject, tries: int, seed: int) -> Row:
    """Spoil an input of this kind so many times, and read each."""
    row = Row("input", subject.name)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        subject_files = work / "valid"
        subject_files.mkdir()
        subject.make(subject_files)
        reader = Reader(subject)
        try:
            for number in range(tries):
                draw = random.Random(f"{seed} {subject.name} {number}")
                how = spoil(draw, subject, subject_files, work / "case" / "input")
                fault = reader.read(work / "case" / "input") or beside(work)
                row.add(fault and f"seed {seed}, input {number} ({how}): {fault}")
        finally:
            reader.close()
    return row


def spoil(draw: random.Random, subject: Subject, valid: Path, folder: Path) -> str:
    """Lay a copy of the valid input into a folder with one of its files spoilt; say which and how."""
    shutil.rmtree(folder.parent, ignore_errors=True)
    shutil.copytree(valid, folder, copy_function=os.link)
    path = draw.choice(sorted(path for path in folder.glob(subject.files) if path.is_file()))
    content = path.read_bytes()
    path.unlink()  # what it was linked to stays as it is
    path.write_bytes(content)
    return f"{path.name}: {mutate(draw, path)}"


def beside(work: Path) -> str | None:
    """What reading left outside of its own folder."""
    found = {path.name for path in work.iterdir()} | {f"case/{path.name}" for path in (work / "case").iterdir()}
    strange = found - {"valid", "case", "case/input"}
    return f"wrote {', '.join(sorted(strange))}" if strange else None
