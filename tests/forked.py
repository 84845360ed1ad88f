"""Several processes of a training, forked from the one that tests, which has imported torch already."""

import multiprocessing
import os
from collections.abc import Callable

import torch

from pipeline.training.processes import environments


def on_each(function: Callable[[], object], count: int = 2, seconds: float = 120) -> list[int | None]:
    """Call a function in so many processes, each told its place as torchrun would; their exit codes."""

    def child(environment: dict[str, str]) -> None:
        os.environ.update(environment, OMP_NUM_THREADS="1")
        torch.set_num_threads(1)  # a pool of threads does not survive a fork
        function()

    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=child, args=(told,)) for told in environments(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
    return [process.exitcode for process in processes]
