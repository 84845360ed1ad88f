"""A study with the data and the settings of another one."""

from pathlib import Path

from pipeline.base.errors import Problem
from pipeline.base.study import ENCODER, STUDIES, read_study
from pipeline.own import writing
from pipeline.own.variants import variants_of


def like(
    name: str, other: str, encoders: list[str] | None, weights: dict[str, str] | None, epochs: int | None
) -> writing.Texts:
    """The files of a study that has another one's parameters but for its name and what is given.

    Raises:
        Problem: there is no such study, its stages are its own, or its variants have weights of their own.
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
    own = any("weights" in each.get("model", {}) for each in study.variants.values())
    if weights and not encoders and (own or len(weights) > 1):
        raise Problem("--weights are several, or the variants have their own; give --encoders, too.")
    if encoders:
        before, now = copy.copy(document["variants"]), variants_of(encoders, weights or {"random": "random"})
        document["compare"][:] = list(now)
        document["variants"].clear()
        document["variants"].update(now | {each: before[each] for each in now if each in before and not weights})
        for key in ("ablation", "started", "classifiers"):
            document[key][:] = []
    if weights:
        document["model"]["weights"] = next(iter(weights.values()))
    if epochs:
        document["train"]["epochs"] = epochs
    text = StringIO()
    yaml.dump(document, text)
    renamed = text.getvalue().replace(f"# {other}:", f"# {name}:").replace(f" reports/{other},", f" reports/{name},")
    return writing.folder_texts(name, renamed) | {Path("dvc.yaml"): writing.front_page(name)}
