"""A trained model on the workers of a Dask cluster: a task a slide, one at a time on each worker.

Workers write a slide's own files, this process those over all slides. A slide whose worker is lost goes on from its
last block on another one.
"""

import argparse
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.applying import on_worker
from pipeline.applying.folder import held
from pipeline.applying.here import Asked, tell, tell_failed
from pipeline.base.errors import Problem
from pipeline.base.records import AppliedParameters, AppliedSlide
from pipeline.cluster.asked import said_threads, shares
from pipeline.cluster.board import Board, Estimate
from pipeline.cluster.work import devices
from pipeline.cluster.workers import TRIES, Gone, Where, Workers, opened

POLL = 0.5  # seconds between two looks at what has ended
ANSWER = 20.0  # seconds in which workers should have stopped
NETWORK = "the network"
LOST = f"{TRIES} workers were lost"
CURE = "give each more memory by fewer --jobs, or see what a cluster's logs say"

Call = tuple[Callable[..., Any], tuple[Any, ...]]


@contextmanager
def workers_for(arguments: argparse.Namespace, slides: int, out: Path) -> Iterator[Workers | None]:
    """The workers that are asked for; None where one process is, and then nothing of Dask is imported.

    Raises:
        Problem: what is asked for makes no sense or cannot be had, or another call is at work in `out`.
    """
    asked = argparse.Namespace(**vars(arguments))
    shares(asked)  # before anything is made of them
    is_here = not asked.cluster and not asked.scheduler
    if asked.jobs:
        places = len(devices()) * asked.stages_a_gpu if is_here and asked.jobs > 1 else 0
        asked.jobs = min(asked.jobs, slides, places or slides)
    if is_here and asked.jobs in (None, 1):
        yield None
        return
    jobs, threads = shares(asked)
    folder = out / ".lobule-workers"
    with held(folder, out):
        where = Where(jobs, asked.cluster, asked.scheduler, threads, asked.stages_a_gpu, True, folder)
        try:
            with opened(where) as hands:
                try:
                    yield hands
                finally:
                    hands.each(on_worker.forget, hands.run)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class Spread:
    """A model that workers apply.

    Raises:
        Problem: the weights cannot be loaded, or the engine that is asked for cannot run them.
    """

    def __init__(self, hands: Workers, asked: Asked, stages_a_gpu: int) -> None:
        self._hands, self._peaks, self._waiting_is_told = hands, [0], False
        there = replace(asked, model=replace(asked.model, folder=asked.model.folder.resolve()))
        order = on_worker.Order(hands.run, there, said_threads(), stages_a_gpu, None)
        told: list[Any] = []
        self._needs = {"worker": 1.0, "GPU": 1.0}  # of the latter what there is
        self._run({NETWORK: (on_worker.look, (order,))}, lambda _, found: told.append(found))
        used = told[0]
        if isinstance(used, Problem):
            raise used
        if used is None:
            raise Problem(f"{LOST} with the network of {asked.model.folder}; {CURE}.")
        self.engine, self.difference, self.device = used.engine, used.difference, used.device
        self._order = replace(order, asked=replace(there, engine=used.engine), on_gpu=used.on_gpu)
        self._needs["GPU"] = float(used.on_gpu)

    def apply_to_all(
        self, slides: Mapping[str, Path], out: Path, parameters: AppliedParameters
    ) -> tuple[list[AppliedSlide], dict[str, str]]:
        """What was found in each slide, and why others failed, each told when it happens."""
        here = Path.cwd()
        done, failed = dict[str, AppliedSlide](), dict[str, str]()

        def take(name: str, found: on_worker.Found | None) -> None:
            given = slides[name]
            if found is None:
                failed[name] = f"{LOST} with {given}; {CURE}"
            elif found.slide is None:
                failed[name] = found.why.replace(str(here / given), str(given)).replace(str(here / out), str(out))
            else:
                done[name] = found.slide.model_copy(update={"path": str(given)})
                tell(done[name])
            if name in failed:
                tell_failed(name, failed[name])
            self._peaks.append(found.peak if found else 0)

        ones = {name: on_worker.One(name, here / path, here / out, parameters) for name, path in slides.items()}
        largest_first = sorted(ones.values(), key=lambda one: one.path.stat().st_size, reverse=True)
        try:
            self._run({one.name: (on_worker.apply, (self._order, one)) for one in largest_first}, take)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"{len(done)} of {len(slides)} slides were done") from None
        in_order = {name: failed[name] for name in slides if name in failed}
        return [done[name] for name in slides if name in done], in_order

    def peak(self) -> int:
        """The most memory that any of the workers has had, bytes."""
        return max(self._peaks)

    def _run(self, calls: Mapping[str, Call], take: Callable[[str, Any], None]) -> None:
        """Have workers call functions, and take what each gave; None where TRIES workers were lost with it.

        Raises:
            Gone: there is no cluster any more, or none that can do it.
        """
        waiting, running = list(calls), dict[str, float]()
        lost, estimate = Counter[str](), Estimate()
        with Board() as board:
            try:
                while waiting or running:
                    while waiting and self._hands.fits(self._needs):
                        name = waiting.pop(0)
                        self._hands.submit(name, *calls[name], self._needs, priority=len(waiting))
                        running[name] = time.monotonic()
                    self._show(board, waiting, running, len(calls), estimate)
                    if not running:
                        self._await_workers(board)
                        continue
                    ended = self._hands.next_ended(POLL)
                    if ended is None:
                        continue
                    name, found = ended
                    seconds = time.monotonic() - running.pop(name)
                    lost[name] += found is None
                    if found is None and lost[name] < TRIES:
                        board.say(f"The worker that had {name} is lost; another one goes on with it.")
                        waiting.insert(0, name)
                        continue
                    estimate.learn(name, seconds)
                    take(name, found)
            except BaseException:
                self._hands.end()
                until = time.monotonic() + ANSWER
                with suppress(Gone):  # what is told is what ended it, not what a worker made of that
                    while running and (ended := self._hands.next_ended(max(0.0, until - time.monotonic()))):
                        del running[ended[0]]
                raise

    def _await_workers(self, board: Board) -> None:
        if not self._waiting_is_told and not self._hands.workers():
            board.say("Waiting for the first worker.")
            self._waiting_is_told = True
        time.sleep(POLL)

    def _show(
        self, board: Board, waiting: Sequence[str], running: Mapping[str, float], every: int, estimate: Estimate
    ) -> None:
        counts = {"waiting": len(waiting), "done": every - len(waiting) - len(running)}
        at_once = self._hands.at_once(self._needs) if running else 1
        board.show(running, counts, estimate.to_go(waiting, running, at_once, time.monotonic()))
