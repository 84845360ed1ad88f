"""Runs in a real SQLite store, and what happens when there is no store to be had."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.base import tracking

ROOT = Path(__file__).parents[2]
VARIANT = "resnet50-augmented"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One project folder for all tests: making MLflow's database takes a second or two."""
    return tmp_path_factory.mktemp("project with a space")


@pytest.fixture(autouse=True)
def project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A variant of the test's own, so that tests can share a store."""
    return f"models/pannuke/run1/seed42/{request.node.name}"


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that takes every connection and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield int(server.getsockname()[1])


def client(uri: str = "") -> Any:
    from mlflow import MlflowClient

    return MlflowClient(uri or f"sqlite:///{Path('mlflow.db').absolute()}")


def runs(key: str, uri: str = "") -> list[Any]:
    """The runs of a variant in the experiment `pannuke`, newest first."""
    store = client(uri)
    experiment = store.get_experiment_by_name("pannuke").experiment_id
    return list(store.search_runs([experiment], f"tags.`lobule.key` = '{key}'"))


def train(key: str, weights: str) -> None:
    with tracking.variant_run("pannuke", VARIANT, key, None) as run:
        run.metrics({"loss": 0.5}, step=1)
        run.tags({tracking.WEIGHTS: weights})


@pytest.mark.parametrize("broken", ["text", "folder"])
def test_a_store_that_cannot_be_opened_is_told_in_seconds(
    broken: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mlflow.db").mkdir() if broken == "folder" else Path("mlflow.db").write_text("no database" * 100)
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401 - which takes seconds itself

    started = time.monotonic()
    with tracking.variant_run("pannuke", VARIANT, key, None) as run:
        run.metrics({"loss": 0.5}, step=1)
    assert time.monotonic() - started < 10
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("lobule: warning: MLflow at sqlite:///") and line.endswith("; going on without it.")


def test_importing_the_module_does_not_import_mlflow() -> None:
    code = "import sys, pipeline.base.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_new_run_holds_what_was_logged(key: str, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"pixels")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "model.json").write_text("{}")
    with tracking.variant_run("pannuke", VARIANT, key, None) as run:
        run.params({"train": {"epochs": 12, "loss": {"dice": 0.5}}, "classes": ["background", "dead"], "name": "x"})
        run.metrics({"loss": 1.0, "missing": None}, step=1)
        run.metrics({"loss": 0.5}, step=2)
        run.metrics({"per_class": {"dead": {"iou": 0.25}}})
        run.tags({"data": "abc"})
        run.artifact(tmp_path / "picture.png", "pictures")
        run.artifact(tmp_path / "weights", "model")

    (logged,) = runs(key)
    assert logged.info.run_name == VARIANT
    assert logged.info.status == "FINISHED"
    assert logged.data.params == {
        "train.epochs": "12",
        "train.loss.dice": "0.5",
        "classes": '["background", "dead"]',
        "name": "x",
    }
    assert logged.data.metrics == {"loss": 0.5, "per_class/dead/iou": 0.25}
    assert [(m.step, m.value) for m in client().get_metric_history(logged.info.run_id, "loss")] == [(1, 1.0), (2, 0.5)]
    assert logged.data.tags["data"] == "abc"
    files = Path("mlartifacts/pannuke") / logged.info.run_id / "artifacts"
    assert (files / "pictures/picture.png").read_bytes() == b"pixels"
    assert (files / "model/model.json").read_text() == "{}"


def test_more_entries_than_a_store_takes_at_once(key: str) -> None:
    with tracking.variant_run("pannuke", VARIANT, key, None) as run:
        run.params({f"p{i}": i for i in range(150)})
        run.metrics({f"m{i}": i for i in range(1500)})
    (logged,) = runs(key)
    assert len(logged.data.params) == 150
    assert len(logged.data.metrics) == 1500


def test_evaluation_goes_on_with_the_run_that_trained_the_weights(key: str) -> None:
    train(key, "a" * 64)
    (trained,) = runs(key)
    with tracking.variant_run("pannuke", VARIANT, key, "a" * 64) as run:
        run.metrics({"mean_iou": 0.5})
    (evaluated,) = runs(key)
    assert evaluated.info.run_id == trained.info.run_id
    assert evaluated.data.metrics == {"loss": 0.5, "mean_iou": 0.5}
    assert evaluated.info.end_time == trained.info.end_time  # its duration is that of the training


def test_evaluation_goes_on_with_the_newest_of_equal_runs(key: str) -> None:
    train(key, "a" * 64)
    train(key, "a" * 64)
    with tracking.variant_run("pannuke", VARIANT, key, "a" * 64) as run:
        run.metrics({"mean_iou": 0.5})
    newest, older = runs(key)
    assert "mean_iou" in newest.data.metrics
    assert "mean_iou" not in older.data.metrics


def test_weights_that_the_store_does_not_know_get_a_run_that_is_found_again(key: str) -> None:
    train(key, "a" * 64)
    for value in (0.5, 0.6):
        with tracking.variant_run("pannuke", VARIANT, key, "b" * 64) as run:
            run.metrics({"mean_iou": value})
    restored, trained = runs(key)
    assert restored.data.tags[tracking.WEIGHTS] == "b" * 64
    assert restored.data.metrics == {"mean_iou": 0.6}
    assert trained.data.metrics == {"loss": 0.5}


def test_a_parameter_that_is_there_keeps_its_value(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    with tracking.variant_run("pannuke", VARIANT, key, "a" * 64) as run:
        run.params({"epochs": 12})
    with tracking.variant_run("pannuke", VARIANT, key, "a" * 64) as run:
        run.params({"epochs": 13, "batch": 8})
    assert runs(key)[0].data.params == {"epochs": "12", "batch": "8"}
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED")]
)
def test_an_exception_passes_through_and_marks_the_run(error: type[BaseException], status: str, key: str) -> None:
    with pytest.raises(error), tracking.variant_run("pannuke", VARIANT, key, None):
        raise error
    assert runs(key)[0].info.status == status


def test_the_tracking_uri_is_obeyed(key: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train("another", "a" * 64)  # so that there is a store
    uri = f"sqlite:///{folder}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.chdir(tmp_path)
    train(key, "a" * 64)
    assert len(runs(key, uri)) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_run_tells_its_commit_lock_file_and_dvc_experiment(
    key: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        person = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        return subprocess.run(["git", *person, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    uri = f"sqlite:///{folder}/mlflow.db"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("DVC_EXP_NAME", "brave-cell")
    (tmp_path / "params.yaml").write_text("encoder: unet\n")
    git("init", "--quiet")
    git("add", "params.yaml")
    git("commit", "--quiet", "--message", "first")
    (tmp_path / "dvc.lock").write_text("abc")  # written by every `dvc repro`, so no change of the code
    train(key, "a" * 64)
    (tmp_path / "params.yaml").write_text("encoder: vgg19\n")
    train(key, "b" * 64)

    changed, clean = (logged.data.tags for logged in runs(key, uri))
    assert clean["lobule.commit"] == git("rev-parse", "HEAD")
    assert changed["lobule.commit"] == clean["lobule.commit"] + "+changes"
    assert clean["lobule.lock"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"
    assert clean["lobule.experiment"] == "brave-cell"


def test_a_missing_git_is_no_failure(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    train(key, "a" * 64)
    assert "lobule.commit" not in runs(key)[0].data.tags


def warned_once(capsys: pytest.CaptureFixture[str], reason: str) -> bool:
    lines = capsys.readouterr().err.splitlines()
    return len(lines) == 1 and lines[0].startswith("lobule: warning: MLflow at ") and reason in lines[0]


def use_every_call(key: str) -> None:
    with tracking.variant_run("pannuke", VARIANT, key, None) as run:
        run.params({"epochs": 12})
        run.metrics({"loss": 0.5}, step=1)
        run.tags({tracking.WEIGHTS: "a" * 64})
        run.artifact(Path("nothing"), "model")


def test_a_server_that_refuses_costs_one_warning_without_its_password(
    key: str, closed_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://someone:secret@127.0.0.1:{closed_port}")
    use_every_call(key)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"http://127.0.0.1:{closed_port} failed" in error
    assert "refused" in error
    assert "secret" not in error


def test_a_server_that_hangs_costs_one_warning_and_the_time_that_was_set(
    key: str, silent_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent_port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    start = time.monotonic()
    use_every_call(key)
    assert time.monotonic() - start < 5
    assert warned_once(capsys, "timed out")


@pytest.mark.slow
def test_a_server_that_hangs_costs_less_than_ten_seconds(
    key: str, silent_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import mlflow  # noqa: F401  its import is no time of the server's

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent_port}")
    for name, value in tracking.DEFAULTS.items():
        monkeypatch.setenv(name, value)
    start = time.monotonic()
    use_every_call(key)
    assert time.monotonic() - start < 10
    assert warned_once(capsys, "timed out")


def test_a_store_that_breaks_later_costs_one_warning(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="the stage's own"), tracking.variant_run("pannuke", VARIANT, key, None) as run:
        run.artifact(Path("nothing"), "model")
        run.metrics({"loss": 0.5})
        raise ValueError("the stage's own")
    assert warned_once(capsys, "nothing")
    assert runs(key)[0].data.metrics == {}


@pytest.mark.slow
def test_four_processes_may_make_the_store_and_log_at_once(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db.partial").write_bytes(b"SQLite format 3\0 of a process that was killed")
    code = (
        "from pipeline.base import tracking\n"
        "with tracking.variant_run('pannuke', 'unet-plain', 'key', None) as run:\n"
        "    for step in range(1, 21): run.metrics({'loss': 1 / step}, step=step)\n"
    )
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"]
    all_four = [subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate()[1] for process in all_four] == [""] * 4
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    found = runs("key", uri)
    assert [run.info.status for run in found] == ["FINISHED"] * 4
    assert all(len(client(uri).get_metric_history(run.info.run_id, "loss")) == 20 for run in found)
    assert not list(tmp_path.glob("*.partial*"))
