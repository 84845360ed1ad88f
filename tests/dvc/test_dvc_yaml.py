"""What the files of stages say: the code that a stage imports, one text for all studies, what is pushed."""

import ast
import difflib
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from pipeline.base.paths import variant_folder
from pipeline.base.study import ENCODER, read_study, study_names
from pipeline.datasets import kinds
from tests.dvc.stages import (
    PARTS,
    ROOT,
    Stage,
    changes_no_result,
    imported_files,
    one_of_each_kind,
    python_files,
    stages,
)

STUDIES = study_names(ROOT)
OWN = "pannuke"  # whose stages are its own: it compares the top-level encoder


def read(path: Path) -> Any:
    return YAML(typ="safe").load((ROOT / path).read_text())


def of_study() -> list[Any]:
    """One stage of each kind and study, named for pytest."""
    return [
        pytest.param(stage, id=f"{stage.study or 'project'}:{stage.kind}")
        for stage in one_of_each_kind()
        if stage.kind not in ("download", "convert")
    ]


def of_data_set() -> list[Any]:
    """The stages of each data set, named for pytest."""
    return [pytest.param(stage, id=stage.stage.name) for stage in stages() if stage.kind in ("download", "convert")]


def imports(stage: Stage) -> set[str]:
    """The code that a stage of a study, or of all, runs: its module, its task's, the cards that it loads by name."""
    found = imported_files(stage.command[0])
    if stage.verb in PARTS:
        task = "tiles" if stage.kind.endswith("-tiles") else read_study(stage.study, ROOT).task
        found |= imported_files(f"pipeline.tasks.{task}.{PARTS[stage.verb]}")
    if "pipeline/datasets/__init__.py" in found:
        datasets = read_study(stage.study, ROOT).datasets if stage.study else read(Path("params.yaml"))["datasets"]
        found |= {file for name in datasets for file in imported_files(f"pipeline.datasets.{name}.card")}
    return {file for file in found if not changes_no_result(file)}


@pytest.mark.parametrize("stage", of_study())
def test_a_stage_names_the_code_it_imports(stage: Stage) -> None:
    assert imports(stage) - stage.code == set(), "code that it imports and its deps do not name"


@pytest.mark.parametrize("stage", of_study())
def test_a_stage_imports_the_code_it_names(stage: Stage) -> None:
    """Every file, and something of every folder: a room is named where any change in it should run the stage.

    What is named in all studies' one text counts as imported where the task of any of them imports it.
    """
    alike = [
        other for other in one_of_each_kind() if other.kind == stage.kind and bool(other.study) == bool(stage.study)
    ]
    used = frozenset[str]().union(*(imports(other) for other in alike))
    for dep in stage.deps:
        if dep.startswith("pipeline") and Path(dep).suffix in ("", ".py"):
            imported = imports(stage) if dep.startswith(("pipeline/tasks/", "pipeline/datasets/")) else used
            assert python_files(dep) & imported, f"{dep} is named, and nothing of it is imported"


@pytest.mark.parametrize("stage", of_data_set())
def test_a_data_set_names_its_own_code_and_no_other(stage: Stage) -> None:
    own = f"pipeline.datasets.{stage.item}"
    if stage.kind == "download":  # it makes no tiles: what a reader imports for them, it imports in functions
        needed = imported_files(f"{own}.reader", lazily=False) | imported_files(f"{own}.drawing", lazily=False)
        needed |= imported_files(f"{own}.drawing") - imported_files(f"{own}.reader")
    else:
        needed = imported_files(f"{own}.reader")
    needed |= imported_files(f"{own}.card") | imported_files(stage.command[0], lazily=False)
    needed = {file for file in needed if not changes_no_result(file)}
    assert needed - stage.code == set(), "code that it runs and its deps do not name"
    for dep in stage.deps:
        if dep.startswith("pipeline"):
            assert python_files(dep) & needed, f"{dep} is named, and nothing of it is run"


@pytest.mark.parametrize("stage", ["download-own", "convert-own"])
def test_own_data_name_the_code_of_their_kind(stage: str) -> None:
    """Of every kind, since one list of deps stands for all; a download opens neither slides nor the tile store."""
    written = read(Path("dvc.yaml"))["stages"][stage]
    assert written["foreach"] == "${own}"
    own = imported_files(written["do"]["cmd"].split()[2], lazily=False)
    spared = {"pipeline/tiles/store.py", *python_files("pipeline/slides")} if stage == "download-own" else set()
    used: set[str] = set()
    for kind in kinds():
        deps = [dep.replace("${item}", kind) for dep in written["do"]["deps"] if dep.startswith("pipeline")]
        named = frozenset[str]().union(*(python_files(dep) for dep in deps))
        needed = (
            own | imported_files(f"pipeline.datasets.{kind}.reader") | imported_files(f"pipeline.datasets.{kind}.card")
        )
        used |= needed
        assert {file for file in needed if not changes_no_result(file)} - named <= spared, kind
    assert all(python_files(dep) & used for dep in deps if "${item}" not in dep)


@pytest.mark.parametrize("stage", [*of_study(), *of_data_set()])
def test_the_code_that_a_stage_names_is_there(stage: Stage) -> None:
    assert [dep for dep in stage.deps if dep.startswith(("pipeline", "studies")) and not (ROOT / dep).exists()] == []


@pytest.mark.parametrize(
    ("file", "converted"),
    [
        ("pipeline/slides/tiling.py", ["bracs"]),
        ("pipeline/datasets/bracs/table.py", ["bracs"]),
        ("pipeline/datasets/members.py", ["bach", "bcss", "monuseg", "tnbc"]),
        ("pipeline/datasets/pannuke/reader.py", ["pannuke"]),
        ("pipeline/datasets/pannuke/drawing.py", []),
    ],
)
def test_a_change_converts_no_other_data_set_again(file: str, converted: list[str]) -> None:
    assert sorted(stage.item for stage in stages() if stage.kind == "convert" and file in stage.code) == converted


def test_no_stage_imports_another() -> None:
    modules = {stage.command[0] for stage in stages()}
    for path in (ROOT / "pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
                assert not names & modules, f"{path} imports the stage {names & modules}"


@pytest.mark.parametrize("study", [name for name in STUDIES if name != OWN])
def test_every_study_has_the_same_stages(study: str) -> None:
    """Copies, no links: DVC does not follow a link in a commit, so that `dvc exp show` had nothing but empty rows."""
    path = ROOT / "studies" / study / "dvc.yaml"
    assert not path.is_symlink()
    shared = (ROOT / "studies/stages.dvc.yaml").read_text()
    assert path.read_text() == shared.replace("{study: NAME}", f"{{study: {study}}}"), "run `make stages`"


@pytest.mark.parametrize("study", [name for name in STUDIES if name != OWN])
def test_a_study_of_the_shared_stages_has_two_data_sets_at_most(study: str) -> None:
    assert len(read_study(study, ROOT).datasets) <= 2  # its stages name the first and the last


def without_variants(param: Any) -> Any:
    """What a stage declares, without the key of its variant."""
    if not isinstance(param, dict):
        return param
    kept = {file: [key for key in keys if key != "variants.${item.variant}"] for file, keys in param.items()}
    return {file: keys for file, keys in kept.items() if keys}


def test_the_study_of_the_encoder_has_the_same_stages_but_for_what_it_compares() -> None:
    shared, own = read(Path("studies/stages.dvc.yaml")), read(Path("studies", OWN, "dvc.yaml"))
    study = read_study(OWN, ROOT)
    assert study.classifiers == study.started == [] and study.variants == {}, "its dvc.yaml has no stages of these"

    listed = own["stages"]["train"]["matrix"]["variant"]
    assert [f"${{{ENCODER}}}" if name == ENCODER else name for name in study.compare] == listed
    assert own["vars"] == [{"study": OWN}, *shared["vars"][1:], f"../../params.yaml:{ENCODER}"]

    expected = {name: stage for name, stage in shared["stages"].items() if not name.endswith(("-tiles", "-started"))}
    for name, stage in expected.items():
        if stage.get("matrix", {}).get("variant") == "${compare}":
            stage["matrix"]["variant"] = listed
        if name.endswith("-ablation"):
            stage["matrix"]["plan"] = [study.ablation_plan]
        if "params" in stage:
            stage["params"] = [without_variants(param) for param in stage["params"] if without_variants(param)]
    expected["report"]["params"].insert(0, ENCODER)
    assert own["stages"] == expected


def test_the_ablation_plan_of_the_other_studies_is_that_of_their_stages() -> None:
    planned = read(Path("studies/stages.dvc.yaml"))["stages"]["train-ablation"]["matrix"]["plan"]
    for name in STUDIES:
        study = read_study(name, ROOT)
        if name != OWN and study.ablation:
            assert [study.ablation_plan] == planned, name


def test_the_stages_are_written_in_less_than_400_lines() -> None:
    written = [ROOT / "dvc.yaml", ROOT / "studies/stages.dvc.yaml", ROOT / "studies" / OWN / "dvc.yaml"]
    assert sum(len(path.read_text().splitlines()) for path in written) < 400


def test_an_encoder_to_try_changes_one_line_of_params_yaml(tmp_path: Path) -> None:
    """`dvc exp run -S` writes lists an item a line and drops nulls: the file has none."""
    path = Path(shutil.copy(ROOT / "params.yaml", tmp_path))
    apply_overrides(path, ["encoder=vgg19"])
    lines = [file.read_text().splitlines() for file in (ROOT / "params.yaml", path)]
    changed = [line for line in difflib.ndiff(*lines) if line.startswith(("-", "+"))]
    assert [line.split()[:3] for line in changed] == [["-", "encoder:", "resnet50"], ["+", "encoder:", "vgg19"]]


def test_params_yaml_has_no_list_and_no_null() -> None:
    waiting = [read(Path("params.yaml"))]
    for value in waiting:
        assert value is not None and not isinstance(value, list)
        waiting += value.values() if isinstance(value, dict) else []


def test_the_front_page_names_every_study() -> None:
    (summary,) = (stage for stage in stages() if stage.kind == "summary")
    for folder in ("reports", "studies"):
        named = [Path(dep).parts[1] for dep in summary.deps if dep.startswith(f"{folder}/")]
        assert named == STUDIES, folder
    assert [Path(file).parts[1] for file in summary.params if file.startswith("studies/")] == STUDIES
    assert len({tuple(keys) for file, keys in summary.params.items() if file.startswith("studies/")}) == 1


def test_the_registry_names_the_best_variant_of_each_study() -> None:
    found = read(Path("dvc.yaml"))["artifacts"]
    assert {*found} <= {*STUDIES}
    for name, artifact in found.items():
        study, score = read_study(name, ROOT), read(Path("studies", name, "paper/paper.yaml"))["score"]
        figures = pd.read_csv(ROOT / "reports" / name / "intervals.csv")
        mine = figures[(figures["score"] == score) & ~figures["variant"].isin(study.baselines)]
        best = mine.sort_values("value", ascending=False, kind="stable").iloc[0]
        folder = variant_folder(name, study.runs[0], study.seeds[0], best["variant"], best["plan"])
        assert artifact == {"path": (folder / "weights").as_posix(), "type": "model"}


def test_every_data_set_has_its_stages() -> None:
    kinds = Counter(stage.item for stage in stages() if stage.kind in ("download", "convert"))
    assert kinds == dict.fromkeys(read(Path("params.yaml"))["datasets"], 2)


def test_no_data_and_no_private_picture_is_ever_pushed() -> None:
    for stage in stages():
        for path, pushed in stage.outs.items():
            if path.startswith(("data/raw/", "data/tiles/", "reports/private/")):
                assert not pushed, f"{stage.stage.addressing} lets {path} be pushed to a remote"


def test_no_parameter_stands_in_a_command_but_in_a_map_which_dvc_quotes() -> None:
    for path in (Path("studies/stages.dvc.yaml"), Path("studies", OWN, "dvc.yaml")):
        written = read(path)
        assert list(written["vars"][0]) == ["study"]  # so that no params.yaml may say it: DVC refuses that
        for name, stage in written["stages"].items():
            expected = "${study} ${item}" if "matrix" in stage else "${study}"
            assert stage["cmd"].split(maxsplit=3)[3] == expected, name
