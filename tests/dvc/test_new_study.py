"""What is new is one folder: a sixth study and a seventh data set, made in a copy of the project, run by real DVC."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.tiles.plan import read_plan
from tests.dvc.project import Project, ran
from tests.dvc.stages import in_order

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


def add_study(project: Project, name: str, values: dict[str, Any]) -> list[str]:
    """Make the folder of a study from that of pannuke, as docs/how-to/add-a-study.md says; return its files."""
    folder = project.folder / "studies" / name
    (folder / "paper").mkdir(parents=True)
    (folder / "paper/.gitkeep").touch()
    stages = (project.folder / "studies/stages.dvc.yaml").read_text()
    (folder / "dvc.yaml").write_text(stages.replace("{study: NAME}", f"{{study: {name}}}"))
    shutil.copy(project.folder / "studies/pannuke/params.yaml", folder)
    project.put(name, {"compare": ["unet"], "variants": {"unet": {"encoder": "unet"}}, **values})
    return [f"studies/{name}/{file}" for file in ("dvc.yaml", "paper/.gitkeep", "params.yaml")]


def edit(path: Path, changes: dict[str, str]) -> None:
    """Add text after lines of a file: each key is how its line begins, and only that line."""
    lines = path.read_text().splitlines(keepends=True)
    for beginning, new in changes.items():
        (place,) = (number for number, line in enumerate(lines) if line.startswith(beginning))
        lines.insert(place + 1, f"{new}\n")
    path.write_text("".join(lines))


def by_hand(project: Project) -> list[str]:
    """The files that differ from the last commit, but for what stages and DVC write."""
    return [file for file in project.changed() if not file.startswith("reports/") and Path(file).name != "dvc.lock"]


def test_a_sixth_study_is_one_folder_and_its_lines_on_the_front_page(project: Project) -> None:
    own = add_study(project, "sixth", {})
    summary = {
        "      - reports/pannuke": "      - reports/sixth",
        "      - studies/pannuke/paper": "      - studies/sixth/paper",
        "      - studies/pannuke/params.yaml": "      - studies/sixth/params.yaml: *compared",
    }
    edit(project.folder / "dvc.yaml", summary)
    plans = {f"{verb}@1" for verb in ("split", "guard", "balance", "augment")}
    scored = {f"{verb}@1-42-unet-augmented" for verb in ("train", "predict", "evaluate")}
    baseline = {"evaluate-baselines@1-42-background-plain"}
    data = {"download@pannuke", "convert@pannuke"}
    assert project.repro("sixth") == data | plans | scored | baseline | {"report"}
    assert "# sixth: " in (project.folder / "reports/sixth.md").read_text()
    assert project.repro("sixth") == set()
    (summary,) = (stage for stage in in_order(project.folder) if stage.kind == "summary")
    assert "reports/sixth" in summary.deps
    assert by_hand(project) == ["dvc.yaml", *own]


def test_a_seventh_data_set_is_one_folder_and_its_lines_in_two_files(project: Project) -> None:
    study = add_study(
        project,
        "eighth",
        {"datasets": ["seventh"], "readers": ["seventh"], "group": "all", "classes": ["background", "nucleus"]},
    )
    project.commit()
    shutil.copytree(Path(__file__).with_name("seventh"), project.folder / "pipeline/datasets/seventh")
    edit(
        project.folder / "params.yaml",
        {"datasets:": "  seventh:\n    source: sample", "sample:": "  seventh:\n    tiles: 4"},
    )
    none = {"download": "{one: *none, two: *none}", "convert": "{one: *none, two: *none, three: *none, four: *none}"}
    maps = {
        "      bracs: {one: &tables": f"      seventh: {none['download']}",
        "      tnbc: {one: *members, two: *labels, three": f"      seventh: {none['convert']}",
    }
    edit(project.folder / "dvc.yaml", maps)
    done = project.run("dvc", "repro", "studies/eighth/dvc.yaml:split@1")
    assert ran(done) == {"download@seventh", "convert@seventh", "split@1"}
    plan = read_plan(project.folder / "data/plans/eighth/run1/split.csv")
    sides = plan.groupby("patient")["split"].agg(["nunique", "first", "size"])
    assert sides.values.tolist() == [[1, "train", 4], [1, "validation", 4], [1, "test", 4]]
    own = [f"pipeline/datasets/seventh/{file}.py" for file in ("__init__", "card", "drawing", "reader")]
    assert by_hand(project) == ["dvc.yaml", "params.yaml", *own]
    assert not set(study) & set(project.changed())
