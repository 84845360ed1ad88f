"""A study with the data and the settings of another one."""

from pathlib import Path

from pipeline.base.errors import Problem
from pipeline.base.study import ENCODER, STUDIES, read_study
from pipeline.own import writing


def like(name: str, other: str, encoders: list[str] | None, weights: str | None, epochs: int | None) -> writing.Texts:
    """The files of a study that has another one's parameters but for its name and what is given.

    Raises:
        Problem: there is no such study, or its stages are its own.
    """
    import copy
    from io import StringIO

    from ruamel.yaml import YAML

    study = read_study(other)
    if ENCODER in study.compare:
        raise Problem(f"the study {other} compares the project's encoder and has stages of its own; name another one.")
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    document = yaml.load((STUDIES / other / "params.yaml").read_text(encoding="utf-8"))
    if encoders:
        document["compare"][:] = encoders
        before = copy.copy(document["variants"])
        document["variants"].clear()
        document["variants"].update({each: before.get(each, {"encoder": each}) for each in encoders})
        for key in ("ablation", "started", "classifiers"):
            document[key][:] = []
    if weights:
        document["model"]["weights"] = weights
    if epochs:
        document["train"]["epochs"] = epochs
    text = StringIO()
    yaml.dump(document, text)
    front = {Path("dvc.yaml"): writing.front_page(name)}
    return writing.folder_texts(name, text.getvalue()) | front
