"""Clusters whose workers are jobs of a queue (Slurm, PBS, ...), by dask-jobqueue and Dask's own configuration files."""

import logging
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.base.errors import Problem

CLUSTERS = {
    "htcondor": "HTCondorCluster",
    "lsf": "LSFCluster",
    "moab": "MoabCluster",
    "oar": "OARCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "slurm": "SLURMCluster",
}
SETTINGS = "~/.config/dask/jobqueue.yaml"


class Jobs:
    """What became of the jobs that a queue was asked for."""

    def __init__(self) -> None:
        self.taken = 0
        self.refused = ""  # why one was not taken, in the queue's words

    def kind(self, job: Any) -> Any:
        """A kind of job of dask-jobqueue which tells that."""
        jobs = self

        class Told(job):
            async def _submit_job(self, script: str) -> Any:
                try:
                    said = await super()._submit_job(script)
                except FileNotFoundError as error:
                    jobs.refused = f"there is no {error.filename} on this machine's PATH"
                    raise
                except (OSError, RuntimeError) as error:
                    jobs.refused = " ".join((str(error).partition("stderr:")[2] or str(error)).split())
                    raise
                jobs.taken += 1
                return said

        return Told


def queued(name: str, jobs: int, folder: Path, told: Jobs) -> Any:
    """A cluster of so many jobs, which prove by certificates of their own who they are.

    Args:
        folder: that all jobs share with this machine.
        told: is told what becomes of them.

    Raises:
        Problem: Dask's configuration has none of this name, or not what it needs.
    """
    import dask
    import dask_jobqueue

    kind, section = section_of(name)
    dask.config.set({f"jobqueue.{name}": section})
    for logger in ("tornado.application", "asyncio"):  # of a job that is not taken
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    made = getattr(dask_jobqueue, CLUSTERS[kind])
    try:
        cluster = made(
            config_name=name,
            security=True,
            shared_temp_directory=str(folder.resolve()),
            job_cls=told.kind(made.job_cls),
            silence_logs=logging.CRITICAL,  # what goes wrong is told here
        )
        cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)  # a job that ends early is replaced
    except (ValueError, TypeError, KeyError, OSError) as error:
        said = " ".join(str(error).split())
        raise Problem(
            f"jobqueue.{name} of Dask's configuration cannot be used ({said}); its section goes into {SETTINGS}."
        ) from None
    return cluster


def close(cluster: Any) -> None:
    """End a cluster, also one of whose jobs the queue has not taken all, and remove its certificates.

    dask-jobqueue leaves these until Python forgets the cluster, when their folder may be gone.
    """
    with suppress(AssertionError):  # of a job that was not taken
        cluster.close()
    for file in vars(cluster).values():
        if isinstance(file, tempfile._TemporaryFileWrapper):
            file.close()


def section_of(cluster: str) -> tuple[str, dict[str, Any]]:
    """The kind of a cluster, of `CLUSTERS`, and what Dask's configuration says of it.

    Raises:
        Problem: it says nothing.
    """
    import dask
    import dask_jobqueue  # noqa: F401 - brings what holds for each kind

    kind = cluster.partition("-")[0]
    section = dask.config.get(f"jobqueue.{cluster}", None)
    if kind not in CLUSTERS or section is None:
        raise Problem(
            f"Dask's configuration has no jobqueue.{cluster}; a name is one of {', '.join(CLUSTERS)}, alone or"
            f" with a word of your own after a hyphen, and its section goes into {SETTINGS}."
        )
    return kind, dask.config.get(f"jobqueue.{kind}") | section
