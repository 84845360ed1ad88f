"""What makes a package a model of MLflow: MLmodel, environment, and the code that answers, without Lobule."""

import importlib.metadata
import json
import platform
import shutil
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.base.files import write_text
from pipeline.base.records import Model
from pipeline.packages.formats import ONNX
from pipeline.packages.networks import OUTPUTS, TYPES

CODE = "served_model.py"
NEEDS = ("mlflow", "numpy", "onnxruntime")


def write_mlflow(record: Model, folder: Path) -> None:
    """Write what `mlflow.pyfunc.load_model` and `mlflow models serve` read, all paths within the folder.

    By hand, since MLflow's own writer leaves the paths of this machine, a second copy of the network, and the time.
    """
    shutil.copyfile(Path(__file__).with_name(CODE), folder / CODE)
    needs = [f"{name}=={importlib.metadata.version(name)}" for name in NEEDS]
    write_text(folder / "requirements.txt", "".join(f"{line}\n" for line in needs))
    python = platform.python_version()
    write_yaml(folder / "python_env.yaml", {"python": python, "dependencies": ["-r requirements.txt"]})
    flavor = {
        "loader_module": "mlflow.pyfunc.loaders.code_model",
        "model_code_path": CODE,
        "artifacts": {"network": {"path": ONNX, "uri": ONNX}},
        "env": {"virtualenv": "python_env.yaml"},
        "python_version": python,
        "streamable": False,
    }
    model = {
        "flavors": {"python_function": flavor},
        "mlflow_version": importlib.metadata.version("mlflow"),
        "model_uuid": (record.sha256 or "")[:32],
        "metadata": {"study": record.study, "variant": record.variant, "licence": record.licence},
        "signature": signature(record),
    }
    write_yaml(folder / "MLmodel", model)


def signature(record: Model) -> dict[str, str]:
    """What goes in and comes out, as MLflow writes it; sizes that are free are -1."""
    sizes = {"n": -1, "h": -1, "w": -1, "k": -1, "c": 2 if record.task == "tiles" else len(record.classes), "4": 4}
    outputs = [
        tensor(TYPES.get(name, "float32"), [sizes[axis] for axis in axes], name)
        for name, axes in OUTPUTS[record.task].items()
    ]
    if record.task == "detection":
        outputs.append(tensor("int64", [-1], "image"))
    return {"inputs": json.dumps([tensor("uint8", [-1, -1, -1, 3])]), "outputs": json.dumps(outputs)}


def tensor(kind: str, shape: list[int], name: str | None = None) -> dict[str, Any]:
    """A tensor of a signature."""
    named = {} if name is None else {"name": name}
    return {**named, "type": "tensor", "tensor-spec": {"dtype": kind, "shape": shape}}


def write_yaml(path: Path, value: Any) -> None:
    """Write a value as YAML."""
    yaml = YAML()
    yaml.width = 4096
    with path.open("w", encoding="utf-8", newline="\n") as file:
        yaml.dump(value, file)
