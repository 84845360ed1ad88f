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
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from tests.torture.mutations import mutate
from tests.torture.subjects import SUBJECTS, Subject
from tests.torture.table import Log, Row

SECONDS = 60  # for one input; those that hang take longer
LONG, SHORT = 1000, 25  # inputs a subject


class Reader:
    """A process that reads inputs, started again where one ended it."""

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self._start([subject.name for subject in subjects])

    def _start(self, names: Sequence[str]) -> None:
        command = [sys.executable, "-m", "tests.torture.reading", *names]
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._said}
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
        self._process = subprocess.Popen(command, text=True, env=environment, **pipes)
        assert self._process.stdout
        if self._process.stdout.readline() != "null\n":
            self._said.seek(0)
            raise AssertionError(f"{', '.join(names)}: a valid input is not read: {self._said.read()[-2000:]}")

    def read(self, subject: Subject, folder: Path) -> str | None:
        """What is wrong with how a folder is read."""
        assert self._process.stdin and self._process.stdout
        print(json.dumps([subject.name, str(folder)]), file=self._process.stdin, flush=True)
        ready, _, _ = select.select([self._process.stdout], [], [], SECONDS)
        answer = self._process.stdout.readline() if ready else ""
        if answer:
            found: str | None = json.loads(answer)
            return found
        self.close()
        code = self._process.returncode
        self._start([subject.name])
        return f"ended with {code}" if ready else f"took more than {SECONDS} s"

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._said.close()


def run(short: bool, log: Log) -> Iterator[Row]:
    """A row a kind of input."""
    seed, tries = (
        int(os.environ.get(name, value))
        for name, value in (("LOBULE_SEED", 1), ("LOBULE_TRIES", SHORT if short else LONG))
    )
    asked = os.environ.get("LOBULE_INPUTS", "").lower()  # part of a kind's name
    subjects = [subject for subject in SUBJECTS if asked in subject.name.lower()]
    for torch in (False, True):  # which takes up memory of its own
        if mine := [subject for subject in subjects if subject.torch == torch]:
            with closing(Reader(mine)) as reader:
                for subject in mine:
                    row = log.row("input", subject.name)
                    of_subject(subject, reader, row, tries, seed)
                    yield row


def of_subject(subject: Subject, reader: Reader, row: Row, tries: int, seed: int) -> None:
    """Spoil an input of this kind until the row has so many tries, and read each."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        valid, case = work / "valid", work / "case" / "input"
        valid.mkdir()
        subject.make(valid)
        for number in range(row.tried, tries):
            draw = random.Random(f"{seed} {subject.name} {number}")
            how = spoil(draw, subject, valid, case)
            fault = reader.read(subject, case) or beside(work)
            row.add(fault and f"seed {seed}, input {number} ({how}): {fault}")


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
