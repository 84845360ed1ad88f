"""A package: the folder that `lobule export` writes, whole or not at all."""

import json
import shutil
from pathlib import Path

from pipeline.base.errors import Problem
from pipeline.base.files import replacing, write_json, write_text
from pipeline.base.records import SEAL, Model
from pipeline.models import weights
from pipeline.packages.card import card
from pipeline.packages.examples import draw, write_example
from pipeline.packages.formats import ONNX, running, write_formats
from pipeline.packages.mlflow_files import write_mlflow
from pipeline.packages.networks import outgoing
from pipeline.packages.variants import figures_of
from pipeline.plans.job import Job

SUMS = "SHA256SUMS"


def write_package(job: Job, folder: Path) -> list[str]:
    """Write the package of a training; which formats were left out, a sentence each.

    Raises:
        Problem: the folder holds something else than a package, the report is of other weights, or what was written
            does not give what the network gives. What was there before is then untouched.
    """
    if folder.exists() and not is_package(folder):
        raise Problem(f"{folder} is there and no package; give the name of a folder that is not there yet.")
    source = job.folder / "weights"
    record = Model.read(source / "model.json")
    weights.check(source / "model.safetensors")
    figures = figures_of(job, record)
    network = outgoing(source, record, job.settings)
    size = record.tile_size
    examples = [draw(record, size, size), draw(record, size + 32, size, 1)]
    with replacing(folder) as temporary:
        temporary.mkdir()
        for name in ("model.safetensors", "model.json"):
            shutil.copyfile(source / name, temporary / name)
        write_json(temporary / "model.schema.json", schema())
        left_out = write_formats(network, record.task, examples, temporary)
        write_example(examples[0], running(network, record.task)(examples[0]), temporary)
        if (temporary / ONNX).exists():
            write_mlflow(record, temporary)
        write_text(temporary / "README.md", card(job, record, figures, left_out))
        files = sorted(path for path in temporary.iterdir())
        write_text(temporary / SUMS, "".join(f"{weights.checksum(path)}  {path.name}\n" for path in files))
    return left_out


def schema() -> dict[str, object]:
    """The JSON schema of model.json, whose last key is a checksum of the others."""
    found = json.loads(json.dumps(Model.model_json_schema()))
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    found["properties"][SEAL] = {"type": "string"}
    return dict(found)


def is_package(folder: Path) -> bool:
    """Whether a folder holds what an export before wrote, and nothing else."""
    if not (folder / SUMS).is_file():
        return False
    listed = {line.partition("  ")[2] for line in (folder / SUMS).read_text(encoding="utf-8").splitlines()}
    return "model.json" in listed and {path.name for path in folder.iterdir()} <= listed | {SUMS}
