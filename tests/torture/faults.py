"""Does to a stage what a machine does: a full disk, a closed folder, no home, too little memory, a process that dies.

In: nothing; a tiny study in a folder of its own. Out: a row for each kind of fault, done to a stage in a process of
its own, which must end well, or with one sentence, an exit code other than 0 and nothing half-written.
"""

import errno
import math
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from pipeline.base.errors import run_stage
from pipeline.models import unet
from pipeline.stages import balance, evaluate, guard, predict, train
from pipeline.tiles.examples import Examples
from tests.command_line import asked
from tests.tiny_study import make_tiny_study
from tests.torture.table import Log, Row

JOB = asked("tiny", 1, 42, "unet", "plain")
RUN = ["tiny", "--run", "1"]
STAGES: tuple[tuple[Any, list[str], str], ...] = (  # each with its command line and what it writes, in order
    (guard, RUN, "data/plans/tiny/run1/leaks.json"),
    (balance, RUN, "data/plans/tiny/run1/balanced.csv"),
    (train, JOB, "models/tiny/run1/seed42/unet-plain/weights"),
    (predict, JOB, "models/tiny/run1/seed42/unet-plain/predictions"),
    (evaluate, JOB, "models/tiny/evaluation/run1/seed42/unet-plain"),
)
SHARES = ((0.5,), (0.0, 0.2, 0.4, 0.6, 0.8, 0.95))  # of the largest file for which there is room, short and long
Try = Callable[[], str | None]  # what was lost or silent, None where nothing was
DEADLINE = 300  # s, after which a stage hangs


@dataclass
class Ended:
    """How a stage ended."""

    code: int
    said: str  # on stderr and stdout
    outputs: dict[str, bytes] = field(default_factory=dict)  # file -> content

    def sentence(self) -> str | None:
        """What is wrong with how it told of a fault; None where it was one sentence."""
        lines = [line for line in self.said.splitlines() if line.startswith("lobule: ") and "warning" not in line]
        if self.code == 0 or len(lines) != 1 or "Traceback" in self.said:
            return f"exit code {self.code}, {len(lines)} sentences: {self.said[-300:]!r}"
        return None


def run(short: bool, log: Log) -> Iterator[Row]:
    """The rows, one kind of fault after the other."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "Größe und Raum"
        make_tiny_study(folder, train__epochs=1)
        well = {stage.__name__: ended(folder, stage, words, out) for stage, words, out in STAGES}
        kinds = {
            "full disk": disk(folder, well, SHARES[not short]),
            "closed folder": closed(folder),
            "no home": no_home(folder, well, short),
            **trainings(folder),
        }
        for kind, tries in kinds.items():
            row = log.row("fault", kind)
            row.add_all(tries)
            yield row


def ended(
    folder: Path, stage: Any, words: list[str], out: str, fault: Callable[[], None] = lambda: None, **environment: str
) -> Ended:
    """Run a stage in a process of its own, with a fault; the stage's old output is removed before, as DVC does."""
    target = folder / out
    shutil.rmtree(target, ignore_errors=True) if target.is_dir() else target.unlink(missing_ok=True)
    log = folder.parent / "log"
    if (child := os.fork()) == 0:
        os.chdir(folder)
        os.environ |= {"MLFLOW_TRACKING_URI": "sqlite:///nowhere/closed/mlflow.db"} | environment
        with log.open("w", buffering=1) as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            code = 1
            try:
                signal.alarm(DEADLINE)
                sys.argv = [stage.__name__, *words]
                fault()
                run_stage(stage.main)
                code = 0
            except SystemExit as exit_:
                code = int(exit_.code or 0)
            except BaseException as error:
                os.write(2, f"Traceback: {error!r}".encode())
            finally:
                sys.stdout.flush()
                os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    files = [target] if target.is_file() else sorted(path for path in target.rglob("*") if path.is_file())
    return Ended(code, log.read_text(errors="replace"), {path.name: path.read_bytes() for path in files})


def left(folder: Path, out: str) -> str | None:
    """What a stage that failed left behind; None where nothing."""
    if (folder / out).exists():
        return f"{out} is there"
    halves = [path.name for path in folder.rglob(".*.partial")]
    return f"{halves[0]} was left" if halves else None


def failed(
    folder: Path, stage: Any, words: list[str], out: str, fault: Callable[[], None], room: float = math.inf
) -> str | None:
    """What is wrong with how a stage fails; its output is made again after that, for the stages that read it."""
    found = ended(folder, stage, words, out, fault)
    told = None if found.code > 0 else f"exit code {found.code}"
    told = told or left(folder, out) or (None if room < 2000 else found.sentence())  # no room for the sentence
    ended(folder, stage, words, out)
    return told and f"{stage.__name__}: {told}"


def disk(folder: Path, well: dict[str, Ended], shares: tuple[float, ...]) -> list[Try]:
    """A disk with room for a share of the stage's largest file: the system refuses to write beyond."""
    found = []
    for stage, words, out in STAGES:
        largest = max(map(len, well[stage.__name__].outputs.values()))
        for share in shares:
            size = int(share * largest)
            room = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, size))
            found.append(partial(failed, folder, stage, words, out, room, size))
    return found


def closed(folder: Path) -> list[Try]:
    """A folder that nothing can be written into."""

    def refuse() -> None:
        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            writes = event == "open" and isinstance(arguments[1], str) and arguments[1][:1] in "wx"
            if writes or event == "os.mkdir":
                raise PermissionError(errno.EACCES, "Permission denied", str(arguments[0]))

        sys.addaudithook(hook)

    return [partial(failed, folder, stage, words, out, refuse) for stage, words, out in STAGES]


def no_home(folder: Path, well: dict[str, Ended], short: bool) -> list[Try]:
    """No home folder: the same outputs, but for what tells of the machine."""

    def homeless(stage: Any, words: list[str], out: str, home: str) -> str | None:
        found = ended(folder, stage, words, out, HOME=home)
        names = {"model.safetensors", "leaks.json", "balanced.csv", "test.h5", "metrics.json"}
        same = all(found.outputs[name] == well[stage.__name__].outputs[name] for name in names & set(found.outputs))
        return None if found.code == 0 and same else f"{stage.__name__}: {found.said[-300:]!r}"

    homes = ("", "/nowhere/at/all")
    return [partial(homeless, *stage, home) for stage in STAGES[: 2 if short else None] for home in homes]


def trainings(folder: Path) -> dict[str, list[Try]]:
    """What can happen to a training, by kind."""
    stage, words, out = STAGES[2]
    forward = unet.UNet.forward

    def short_of_memory(images: int) -> None:
        def run(self: Any, batch: torch.Tensor) -> torch.Tensor:
            if len(batch) > images:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return forward(self, batch)

        unet.UNet.forward = run  # type: ignore[method-assign]

    def no_number() -> None:
        unet.UNet.forward = lambda self, batch: forward(self, batch) * torch.nan  # type: ignore[method-assign]

    def no_memory() -> None:
        def run(*_: Any) -> Any:
            raise MemoryError

        Examples.__getitem__ = run  # type: ignore[method-assign]

    def dying() -> None:
        read = Examples.__getitem__

        def die(self: Examples, position: int) -> Any:
            if torch.utils.data.get_worker_info() is not None:
                os.kill(os.getpid(), signal.SIGKILL)
            return read(self, position)

        Examples.__getitem__ = die  # type: ignore[method-assign]

    def halved() -> str | None:
        found = ended(folder, stage, words, out, partial(short_of_memory, 2))
        return None if found.code == 0 and "are learnt in 2 parts" in found.said else found.said[-300:]

    def tracked_at(uri: str) -> str | None:
        found = ended(folder, stage, words, out, MLFLOW_TRACKING_URI=uri)
        good = found.said.count("lobule: warning: MLflow") == 1 and "Traceback" not in found.said
        return None if found.code == 0 and good and found.outputs else f"{uri}: {found.said[-300:]!r}"

    def silent_server() -> str | None:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()  # and never answers
            return tracked_at(f"http://127.0.0.1:{server.getsockname()[1]}")

    def dead_reader() -> str | None:
        make_tiny_study(folder, train__epochs=1, train__workers=1)
        return fails(dying)

    fails = partial(failed, folder, stage, words, out)
    return {
        "GPU's memory": [halved, partial(fails, partial(short_of_memory, 0))],
        "loss that is no number": [partial(fails, no_number)],
        "main memory": [partial(fails, no_memory)],
        "tracking": [silent_server, partial(tracked_at, "sqlite:////proc/nowhere/mlflow.db")],
        "reader's process dies": [dead_reader],
    }
