"""MLflow: one run for each trained variant, in an experiment named after its study. Nothing else knows MLflow.

In: what `train` and `evaluate` hand over. Out: the store that `MLFLOW_TRACKING_URI` names, else `mlflow.db` and
`mlartifacts/` in the project's folder. MLflow costs 3 to 5 seconds to import, so only an opened run imports it.
Whatever goes wrong here costs one warning and never the results: no stage reads the store.
"""

import fcntl
import hashlib
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

KEY = "lobule.key"  # tag: which variant a run is of
WEIGHTS = "lobule.weights"  # tag: SHA-256 of the weights that the run trained; `train` sets it when they are written
CODE = ("pipeline", "studies", "params.yaml", "dvc.yaml", "requirements.lock")  # what a run's commit must tell about
BATCH = {"params": 100, "metrics": 1000}  # most entries that a store takes at once
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")  # what the address of a store in a database begins with
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nobody is told that it runs
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",  # s; a server that hangs costs this twice
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
}


class VariantRun:
    """An open run. After the first call that fails the rest do nothing."""

    def __init__(self, study: str, variant: str, key: str, weights_sha256: str | None) -> None:
        self._client: Any = None
        self._run: Any = None
        self._end_time: int | None = None  # ms since 1970, of the training that this run continues
        self._working = True
        self._attempt(lambda: self._open(study, variant, key, weights_sha256))

    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters, nested names joined by dots; one that the run has already keeps its value."""

        def log() -> None:
            from mlflow.entities import Param

            known = self._run.data.params
            self._log("params", [Param(k, _text(v)) for k, v in _flat(values, ".") if k not in known])

        self._attempt(log)

    def metrics(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Log numbers, nested names joined by slashes, at `step` (an epoch, from 1); None and lists are left out."""

        def log() -> None:
            from mlflow.entities import Metric

            now = int(time.time() * 1000)
            numbers = [(name, value) for name, value in _flat(values, "/") if isinstance(value, int | float)]
            self._log("metrics", [Metric(name, float(value), now, step or 0) for name, value in numbers])

        self._attempt(log)

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags; an old value is replaced."""

        def log() -> None:
            from mlflow.entities import RunTag

            self._client.log_batch(self._run.info.run_id, tags=[RunTag(*item) for item in values.items()])

        self._attempt(log)

    def artifact(self, path: Path, folder: str) -> None:
        """Copy a file, or what lies in a folder, into `folder` of the run's artifacts."""

        def log() -> None:
            upload = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
            upload(self._run.info.run_id, str(path), folder)

        self._attempt(log)

    def register(self, name: str, path: Path, folder: str, tags: Mapping[str, str]) -> str | None:
        """Copy a model of MLflow's own format into `folder` of the artifacts and register it; its version's number.

        None where that fails.
        """
        versions: list[str] = []

        def log() -> None:
            from mlflow.exceptions import MlflowException

            run = self._run.info
            self._client.log_artifacts(run.run_id, str(path), folder)
            try:
                self._client.create_registered_model(name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            source = f"{run.artifact_uri}/{folder}"
            version = self._client.create_model_version(name, source, run_id=run.run_id, tags=dict(tags))
            versions.append(str(version.version))

        self._attempt(log)
        return versions[0] if versions else None

    def close(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED. A continued run keeps the time at which training ended."""
        self._attempt(lambda: self._client.set_terminated(self._run.info.run_id, status, self._end_time))

    def _open(self, study: str, variant: str, key: str, weights_sha256: str | None) -> None:
        for name, value in DEFAULTS.items():
            os.environ.setdefault(name, value)
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # retries are told once, by us
        from mlflow import MlflowClient

        if _uri().split(":")[0].split("+")[0] in DATABASES:
            from mlflow.store.db import utils

            utils.MAX_RETRY_COUNT = 2  # of ten, which take 100 s and ten pages to find a file broken
            for name in (utils.__name__, "sqlalchemy.pool"):  # what a full disk does to them is told once, by us
                logging.getLogger(name).setLevel(logging.CRITICAL)
        with _one_process_at_a_time():
            if _is_default() and not Path("mlflow.db").exists():
                MlflowClient(f"sqlite:///{Path('mlflow.db.partial').absolute()}").get_experiment("0")
                Path("mlflow.db.partial").replace("mlflow.db")  # whole, however soon the process is killed
            self._client = MlflowClient(_uri())
            experiment = self._experiment(study)
        if weights_sha256 is not None:
            mine = f"tags.`{KEY}` = '{key}' and tags.`{WEIGHTS}` = '{weights_sha256}'"
            found = self._client.search_runs([experiment], mine, max_results=1, order_by=["attributes.start_time DESC"])
            if found:
                self._run = found[0]
                self._end_time = self._run.info.end_time
                return
        tags = {KEY: key, **_origin()} | ({WEIGHTS: weights_sha256} if weights_sha256 else {})
        self._run = self._client.create_run(experiment, tags=tags, run_name=variant)

    def _experiment(self, study: str) -> str:
        found = self._client.get_experiment_by_name(study)
        if found is not None:
            return str(found.experiment_id)
        artifacts = Path("mlartifacts", study).absolute().as_uri() if _is_default() else None  # else the store's choice
        return str(self._client.create_experiment(study, artifact_location=artifacts))

    def _log(self, kind: str, entries: list[Any]) -> None:
        for start in range(0, len(entries), BATCH[kind]):
            self._client.log_batch(self._run.info.run_id, **{kind: entries[start : start + BATCH[kind]]})

    def _attempt(self, action: Callable[[], object]) -> None:
        if not self._working:
            return
        handled = sys.exc_info()[1]  # the stage's own failure, when the run is closed because of it
        try:
            action()
        except Exception as error:  # of a database, a server, a disk: each raises its own
            self._working = False
            cause: BaseException = error
            while (deeper := cause.__cause__ or cause.__context__) is not None and deeper is not handled:
                cause = deeper  # "Connection refused" rather than what was wrapped around it
            reason = str(cause).split("\n")[0][:200] or type(cause).__name__
            text = re.sub(r"//[^/@\s]*@", "//", f"{_uri()} failed ({reason})")  # without a password
            print(f"lobule: warning: MLflow at {text}; going on without it.", file=sys.stderr)


@contextmanager
def variant_run(study: str, variant: str, key: str, weights_sha256: str | None) -> Iterator[VariantRun]:
    """Open the run of a variant and end it with the block: FINISHED, FAILED after an exception, KILLED after Ctrl-C.

    Training passes no weights and gets a new run, also when it resumes an interrupted one. Later stages pass the
    weights' SHA-256 and go on with the newest run of the same key and weights; where the store has none, since DVC
    restored the weights from its cache, they get a new one.
    """
    run = VariantRun(study, variant, key, weights_sha256)
    try:
        yield run
    except (KeyboardInterrupt, SystemExit):  # Lightning makes the first into the second
        run.close("KILLED")
        raise
    except BaseException:
        run.close("FAILED")
        raise
    run.close("FINISHED")


def _is_default() -> bool:
    return not os.environ.get("MLFLOW_TRACKING_URI")


def _uri() -> str:
    return f"sqlite:///{Path('mlflow.db').absolute()}" if _is_default() else os.environ["MLFLOW_TRACKING_URI"]


@contextmanager
def _one_process_at_a_time() -> Iterator[None]:
    """Guard the making of the default store: two MLflow processes that make one database spoil each other's work."""
    if not _is_default():
        yield
        return
    with Path("mlflow.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not Path("mlflow.db").exists():
            for part in Path().glob("mlflow.db.partial*"):  # of a process that was killed
                part.unlink()
        yield


def _origin() -> dict[str, str]:
    """Tags that say from what a run was made: the commit, the state of dvc.lock, the DVC experiment."""
    tags = {}
    if commit := git("rev-parse", "HEAD"):
        tags["lobule.commit"] = commit + ("+changes" if git("status", "--porcelain", "--", *CODE) else "")
    if (lock := Path("dvc.lock")).is_file():
        tags["lobule.lock"] = hashlib.sha256(lock.read_bytes()).hexdigest()
    if experiment := os.environ.get("DVC_EXP_NAME"):
        tags["lobule.experiment"] = experiment
    return tags


def git(*arguments: str) -> str:
    """What git prints; nothing where there is no git, no repository or no commit."""
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _flat(values: Mapping[str, Any], separator: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, separator, f"{prefix}{name}{separator}")
        else:
            yield f"{prefix}{name}", value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
