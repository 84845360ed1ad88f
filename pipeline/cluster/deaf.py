"""Loaded by the processes of a local cluster: they do not hear of Ctrl-C, and are ended by the one that they are of."""

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Called by Dask, in the main thread, when the worker starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
