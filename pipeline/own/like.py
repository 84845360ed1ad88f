"""A study with the data and the settings of another one, or with the data of two."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.base.errors import Problem
from pipeline.base.study import ENCODER, STUDIES, Study, read_study
from pipeline.own import writing
from pipeline.own.several import readers_of, sets_of, split_of
from pipeline.own.study import BY, NO_PATIENCE
from pipeline.own.variants import variants_of


def like(
    name: str,
    others: Sequence[str],
    encoders: list[str] | None = None,
    weights: dict[str, str] | None = None,
    epochs: int | None = None,
    test_on: str | None = None,
) -> writing.Texts:
    """The files of a study that has the first one's parameters but for its name, the data, and what is given.

    Args:
        others: studies; the data are those of all of them.
        test_on: a data set, which then is tested on and nothing else.

    Raises:
        Problem: there is no such study, its stages are its own, its variants have weights of their own, or the data do
            not fit together.
    """
    import copy
    from io import StringIO

    from ruamel.yaml import YAML

    studies = [read_study(other) for other in others]
    study, other = studies[0], others[0]
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
    datasets = sets_of(studies, test_on)
    if datasets != study.datasets:
        _take(document, datasets, studies, test_on)
    text = StringIO()
    yaml.dump(document, text)
    renamed = text.getvalue().replace(f"# {other}:", f"# {name}:").replace(f" reports/{other},", f" reports/{name},")
    if datasets != study.datasets:
        words = f"trained on {', '.join(datasets[:-1])}, tested on {test_on}" if test_on else " and ".join(datasets)
        renamed = re.sub(rf"\A# {name}: .*", f"# {name}: {words}; its settings are those of {other}.", renamed)
    return writing.folder_texts(name, renamed) | {Path("dvc.yaml"): writing.front_page(name)}


def _take(document: Any, datasets: Sequence[str], studies: Sequence[Study], test_on: str | None) -> None:
    """Put data sets into a study's parameters, and how they are split."""
    by, fractions = split_of(studies, test_on)
    document["datasets"][:] = datasets
    document["readers"][:] = readers_of(datasets)
    document["split"]["by"] = by
    document["split"]["fractions"][:] = fractions
    if by in BY:
        document["split"].yaml_add_eol_comment(f"# {BY[by]}", "by", column=25)
    if not fractions[1]:
        document["train"]["patience"] = NO_PATIENCE
