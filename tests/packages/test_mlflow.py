"""A package is a model of MLflow: it loads, answers over HTTP, and becomes a version of its study's model."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import commands
from tests import fabricated
from tests.packages.made_up import make_project

pytestmark = pytest.mark.slow  # MLflow alone takes seconds to import
LOAD = """
import sys
sys.modules["pipeline"] = None  # as on a machine without Lobule
import json, mlflow, numpy
example = numpy.load("out/example.npz")
images = example["images"].repeat(2, 0)
model = mlflow.pyfunc.load_model("out")
found = model.predict(images)
print(json.dumps({name: [list(values.shape), str(values.dtype)] for name, values in found.items()}))
first = next(iter(found))
assert numpy.allclose(found[first][: len(example[first])], example[first], atol=1e-4)
try:
    model.predict(images.astype("float32"))
except mlflow.exceptions.MlflowException:
    print("refused")
"""


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Of a process beside this one; the working directory is empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MLFLOW_TRACKING_URI")}
    return kept | {"MLFLOW_DISABLE_TELEMETRY": "true"}


def export(name: str, *words: str) -> None:
    fabricated.run(commands.main, "export", name, "out", *words)


@pytest.mark.parametrize("task", ["segmentation", "tiles", "detection"])
def test_it_loads_without_lobule_and_refuses_what_is_no_image(
    tmp_path: Path, task: str, environment: dict[str, str]
) -> None:
    export(make_project(tmp_path, task))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    found = json.loads(first)
    if task == "segmentation":
        assert found == {"probabilities": [[2, 3, 64, 64], "float32"], "class_map": [[2, 64, 64], "uint8"]}
    elif task == "tiles":
        assert found == {"probabilities": [[2, 2], "float32"]}
    else:
        count = found["image"][0][0]
        assert found["boxes"] == [[count, 4], "float32"] and found["masks"][0] == [count, 64, 64]
    assert second == "refused"


def test_it_answers_over_http(tmp_path: Path, environment: dict[str, str]) -> None:
    export(make_project(tmp_path))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", "out", "--env-manager", "local"]
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with Path("log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--port", str(port), "--workers", "1"],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        with np.load("out/example.npz") as example:
            images, wanted = example["images"], example["class_map"]
        answer = ask(port, server, {"inputs": images.tolist()})
        assert np.array_equal(np.array(answer["predictions"]["class_map"]), wanted)
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def ask(port: int, server: "subprocess.Popen[bytes]", question: dict[str, Any]) -> Any:
    """What the server answers, once it is up."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        json.dumps(question).encode(),
        {"Content-Type": "application/json"},
    )
    while server.poll() is None:
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None
        except OSError:
            time.sleep(0.5)
    raise AssertionError(Path("log").read_text())


def test_it_becomes_a_version_of_its_studys_model(
    tmp_path: Path, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    name = make_project(tmp_path)
    export(name, "--register")
    export(name, "--register")
    assert "MLflow: version 2 of the model tiny." in capsys.readouterr().out
    code = (
        "import sys; sys.modules['pipeline'] = None\n"
        "import mlflow, numpy\n"
        "mlflow.set_tracking_uri('sqlite:///mlflow.db')\n"
        "version = mlflow.MlflowClient().get_model_version('tiny', '2')\n"
        "print(version.tags['variant'], version.tags['licence'])\n"
        "model = mlflow.pyfunc.load_model('models:/tiny/2')\n"
        "print(model.predict(numpy.load('out/example.npz')['images'])['class_map'].shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["unet-plain none: drawn tiles", "(1, 64, 64)"]


def test_a_store_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    name = make_project(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(SystemExit) as stopped:
        export(name, "--register")
    assert stopped.value.code == 1
    assert "out was written and not registered, for the reason above" in capsys.readouterr().err
    assert Path("out/SHA256SUMS").exists()
