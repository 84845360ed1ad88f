"""What a person asks of several cores, GPUs and machines: the same words in every command that has work for them."""

import argparse
import os

from pipeline.base.errors import Problem


def add_arguments(parser: argparse.ArgumentParser, what: str, otherwise: str) -> None:
    """Add --jobs, --cluster, --scheduler and --stages-a-gpu.

    Args:
        what: is done at once.
        otherwise: how many where none are given.
    """
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help=f"{what} at once (default: {otherwise}); of a --cluster its jobs, no default",
    )
    cluster = parser.add_mutually_exclusive_group()
    cluster.add_argument("--cluster", metavar="NAME", help="on the cluster jobqueue.NAME of Dask's configuration")
    cluster.add_argument("--scheduler", metavar="ADDRESS", help="on the workers of a Dask scheduler that runs already")
    parser.add_argument(
        "--stages-a-gpu", type=int, default=1, metavar="N", help="that share one (default: %(default)s)"
    )


def shares(arguments: argparse.Namespace) -> tuple[int, int]:
    """Stages at once, and threads of each: OMP_NUM_THREADS, else what this machine's cores give; one on a cluster.

    Raises:
        Problem: these make no sense.
    """
    for option, number in {"--jobs": arguments.jobs, "--stages-a-gpu": arguments.stages_a_gpu}.items():
        if number is not None and number < 1:
            raise Problem(f"{option} is {number} and should be at least 1.")
    if arguments.cluster and not arguments.jobs:
        raise Problem(f"--cluster {arguments.cluster} needs --jobs N: how many jobs it is asked for.")
    if arguments.scheduler and arguments.jobs:
        raise Problem("--jobs says nothing beside --scheduler, whose workers are there already; leave it out.")
    threads, cores = said_threads(), os.cpu_count() or 1
    if arguments.cluster or arguments.scheduler:
        return arguments.jobs or 1, threads or 1
    jobs = arguments.jobs or max(1, cores // (threads or 1))
    return jobs, threads or max(1, cores // jobs)


def said_threads() -> int | None:
    """OMP_NUM_THREADS, where it is a number."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdecimal() and int(said) else None
