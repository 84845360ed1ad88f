"""Clusters whose workers are jobs of a queue (Slurm, PBS, ...), by dask-jobqueue and Dask's own configuration files."""

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


def queued(name: str, jobs: int, folder: Path) -> Any:
    """A cluster of so many jobs, which prove by certificates of their own who they are.

    Args:
        folder: that all jobs share with this machine.

    Raises:
        Problem: Dask's configuration has none of this name, or not what it needs.
    """
    import dask
    import dask_jobqueue

    kind, section = section_of(name)
    dask.config.set({f"jobqueue.{name}": section})
    try:
        cluster = getattr(dask_jobqueue, CLUSTERS[kind])(
            config_name=name, security=True, shared_temp_directory=str(folder.resolve())
        )
        cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)  # a job that ends early is replaced
    except (ValueError, TypeError, KeyError, OSError) as error:
        said = " ".join(str(error).split())
        raise Problem(f"jobqueue.{name} of Dask's configuration cannot be used ({said}).") from None
    return cluster


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
            " with a word of your own after a hyphen, and its section goes into ~/.config/dask/jobqueue.yaml."
        )
    return kind, dask.config.get(f"jobqueue.{kind}") | section
