"""`dvc repro` with stages side by side: this process reads and writes DVC's files, a cluster's workers run commands.

In:  the project in the working directory, as `dvc repro` reads it.
Out: what `dvc repro` leaves. DVC itself says in which order, what has changed, what its run cache has; it clears away
     outputs, hashes, caches and writes dvc.lock. Between these steps its lock is free, and as under `dvc repro` its
     list of users names the files of what runs.
"""

import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

from pipeline.base.errors import Problem
from pipeline.cluster import workers
from pipeline.cluster.board import Board, Estimate, clock
from pipeline.cluster.needs import needs, uses_gpu
from pipeline.cluster.work import Ended, Job
from pipeline.commands.dvc_steps import LOGS, Stage, commands_of, environment, in_use, keep, log_of, plan, ranks

POLL = 0.5  # seconds between two looks at what has ended
ANSWER = 2.0  # seconds in which workers answer that an interrupted stage has ended


def bring_up_to_date(targets: Sequence[str] | None, where: workers.Where) -> None:
    """Run what DVC would run of these targets, of all of the project where None.

    Raises:
        Problem: stages failed; what needs them was not run, all else was.
        KeyboardInterrupt: it was interrupted; what had ended by itself was kept.
    """
    from dvc.repo import Repo

    for name in ("dvc", "dvc_data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # no bars; what goes wrong comes as an error
    with Repo(_wait_for_lock=True) as repo, repo.scm_context(), interruptions() as interrupted:
        with repo.lock:
            after = plan(repo, targets)
        with workers.opened(where) as hands, Board() as board:
            work = Work(repo, after, hands, where, board)
            try:
                while work.step() and not interrupted():
                    pass
            except BaseException:
                work.stop(interrupted)
                raise
            if interrupted():
                board.say("Interrupted: what runs is ended, which may take some seconds; a second Ctrl-C kills it.")
                work.stop(interrupted)
                raise KeyboardInterrupt(work.so_far())
    work.raise_failures()
    print(f"Everything is up to date: {stages(work.ran)} ran, {work.restored} came out of the cache.")


def stages(count: int) -> str:
    """So many, in words."""
    return f"{count} stage{'' if count == 1 else 's'}"


@contextmanager
def interruptions() -> Iterator[Callable[[], int]]:
    """How often Ctrl-C, SIGTERM or SIGHUP came: two are only noted, so that no file of DVC's is torn by them."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 2:
            raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    old = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        if old[number] is not signal.SIG_IGN:  # under nohup
            signal.signal(number, note)
    try:
        yield lambda: len(came)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


class Work:
    """The stages of a plan: who waits for whom, what runs, what has failed."""

    def __init__(
        self, repo: Any, after: dict[Stage, set[Stage]], hands: workers.Workers, where: workers.Where, board: Board
    ) -> None:
        self.done = 0  # those that were up to date among them
        self.ran = 0
        self.restored = 0
        self._repo, self._hands, self._where, self._board = repo, hands, where, board
        self._rank = ranks(after)
        self._after = {stage: set(before) for stage, before in after.items()}  # of those that have not begun
        self._running: dict[str, Stage] = {}
        self._since: dict[str, float] = {}
        self._users: dict[str, ExitStack] = {}
        self._lost: dict[str, int] = {}
        self._failed: dict[str, str] = {}
        self._told: set[str] = set()  # of them, those whose own words say why
        self._skipped = 0
        self._stopping = False
        self._estimate = Estimate()
        self._waiting_is_told = False
        LOGS.mkdir(parents=True, exist_ok=True)

    def step(self) -> bool:
        """Begin one stage and take in one that has ended, where there are such; whether there is more to do."""
        stage = self._next()
        if stage:
            del self._after[stage]
            self._attempt(stage, lambda: self._begin(stage))
        if self._running:
            self._take_in(0.0 if stage else POLL)
        elif self._after and not stage:
            self._await_workers()
        self._show()
        return bool(self._after or self._running)

    def stop(self, interrupted: Callable[[], int]) -> None:
        """Interrupt what runs, and kill it once interrupted twice; what had ended by itself is kept."""
        self._stopping = True
        self._hands.end()
        until, killed = time.monotonic() + workers.PATIENCE + ANSWER, False
        while self._running and time.monotonic() < until:
            self._take_in(POLL)
            if not killed and interrupted() > 1:
                self._hands.end(patience=0.0)
                until, killed = time.monotonic() + ANSWER, True
        for users in self._users.values():  # of what a worker ran that cannot be reached
            users.close()

    def raise_failures(self) -> None:
        """Tell what failed.

        Raises:
            Problem: something did.
        """
        if not self._failed:
            return
        skipped = f"; {self._skipped} that need them were not run" if self._skipped else ""
        raise Problem(f"{self._failures()}{skipped}; mend it and run the same command again.")

    def so_far(self) -> str:
        """What became of the stages, when it is interrupted."""
        return "; ".join([f"{stages(self.ran)} ran to the end", *([self._failures()] if self._failed else [])])

    def _failures(self) -> str:
        told = "; ".join(f"{name} ({why})" for name, why in self._failed.items())
        return f"{stages(len(self._failed))} failed: {told}"

    def _next(self) -> Stage | None:
        """Of the stages for which nothing must be waited and that the workers have room for, the one most follows."""
        ready = [stage for stage, before in self._after.items() if not before]
        for stage in sorted(ready, key=self._rank.__getitem__, reverse=True):
            if self._hands.fits(self._needs(stage)):
                return stage
        return None

    def _needs(self, stage: Stage) -> workers.Needs:
        return needs(stage.addressing, self._where.threads)

    def _attempt(self, stage: Stage, do: Callable[[], bool]) -> None:
        """Do something by DVC for a stage, which is settled unless that says that it runs on; an error is its own."""
        try:
            if do():
                return
        except workers.Gone:
            raise
        except Exception as error:  # as DVC does where it keeps going
            self._fail(stage, " ".join(str(error).split()) or type(error).__name__)
            return
        finally:
            if stage.addressing not in self._running:
                self._users.pop(stage.addressing, ExitStack()).close()
        self.done += 1
        for before in self._after.values():
            before.discard(stage)

    def _fail(self, stage: Stage, why: str) -> None:
        """Leave out all that depends on a stage."""
        why = why.rstrip(".")
        self._failed[stage.addressing] = why
        left_out = {stage}
        while more := {other for other, before in self._after.items() if before & left_out}:
            left_out |= more
            self._skipped += len(more)
            for other in more:
                del self._after[other]
        if stage.addressing not in self._told:
            self._board.say(f"Stage '{stage.addressing}' failed: {why}.")

    def _begin(self, stage: Stage) -> bool:
        """What DVC does before it runs a command; whether there is one to run."""
        from dvc.stage.cache import RunCacheNotFoundError

        with self._repo.lock:
            if not stage.changed():
                return False
            if stage.frozen or stage.is_import or not stage.cmd:
                stage.run()
                stage.dump(update_pipeline=False)
                return False
            self._users[stage.addressing] = ExitStack()
            self._users[stage.addressing].enter_context(in_use(stage))
            stage.remove_outs()
            try:
                self._repo.stage_cache.restore(stage)
            except RunCacheNotFoundError:
                stage.save_deps()
                self._hand_over(stage)
                return True
            self._board.say(f"Stage '{stage.addressing}' is cached, its outputs are checked out.")
            keep(stage)
            self.restored += 1
            return False

    def _hand_over(self, stage: Stage) -> None:
        name = stage.addressing
        commands = commands_of(stage)
        self._running[name] = stage
        self._since[name] = time.monotonic()
        self._board.say("\n".join([f"Running stage '{name}':", *(f"> {words[-1]}" for words in commands)]))
        job = Job(
            run=self._hands.run,
            commands=commands,
            folder=stage.wdir,
            log=str(log_of(name).resolve()),
            environment=environment(self._repo.root_dir, name, self._where.threads),
            path=workers.python_folder(),
            on_gpu=uses_gpu(name),
            stages_a_gpu=self._where.stages_a_gpu,
        )
        self._hands.start(name, job, self._needs(stage), self._rank[stage])

    def _take_in(self, timeout: float) -> bool:
        """Let DVC keep what a stage made that has ended; whether one has, in this time in s."""
        found = self._hands.next_ended(timeout)
        if found is None:
            return False
        name, how = found
        stage = self._running.pop(name)
        since = self._since.pop(name)
        if self._stopping and (how is None or how.code):
            self._users.pop(name).close()
            self._board.say(f"Stage '{name}' was interrupted.")
        elif how is None and self._lost.get(name, 0) + 1 < workers.TRIES:
            self._lost[name] = self._lost.get(name, 0) + 1
            self._board.say(f"The worker that ran stage '{name}' is lost; it is begun anew.")
            self._attempt(stage, lambda: self._begin_anew(stage))
        else:
            said = log_of(name).read_text(encoding="utf-8", errors="replace").rstrip() if log_of(name).exists() else ""
            verb = "failed" if how is None or how.code else "ended"
            after = f"Stage '{name}' {verb} after {clock(time.monotonic() - since)}"
            self._board.say("\n  ".join([f"{after} and said:", *said.splitlines()]) if said else f"{after}.")
            if said and verb == "failed":
                self._told.add(name)
            self._attempt(stage, lambda: self._end(stage, how, said))
        return True

    def _begin_anew(self, stage: Stage) -> bool:
        """Clear away what a lost worker left of a stage, and hand it to another."""
        with self._repo.lock:
            stage.remove_outs()
        self._hand_over(stage)
        return True

    def _end(self, stage: Stage, how: Ended | None, said: str) -> bool:
        with self._repo.lock:
            if how is None:
                raise Problem(f"{workers.TRIES} workers that ran it were lost")
            if how.code:
                raise Problem(": ".join([how.told(), *said.splitlines()[-1:]]))
            keep(stage)
        self.ran += 1
        self._estimate.learn(stage.addressing, how.seconds)
        return False

    def _await_workers(self) -> None:
        if not self._waiting_is_told and not self._hands.workers():
            self._board.say("Waiting for the first worker.")
            self._waiting_is_told = True
        time.sleep(POLL)

    def _show(self) -> None:
        now = time.monotonic()
        waiting = [stage.addressing for stage in self._after]
        counts = {"waiting": len(waiting), "done": self.done, "failed": len(self._failed), "left out": self._skipped}
        at_once = self._hands.at_once(needs("", self._where.threads)) if self._running else 1
        self._board.show(self._since, counts, self._estimate.to_go(waiting, self._since, at_once, now))
