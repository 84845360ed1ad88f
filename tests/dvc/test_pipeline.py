"""The stages of a study, driven by real DVC in a copy of the project: what a change reruns, and what it doesn't."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dvc.project import ENCODERS, Project, ran

pytestmark = pytest.mark.slow
STUDY = "pannuke"
REPORT = {"report"}
DATA = {"download@pannuke", "convert@pannuke"}
PLANS = ("split", "guard", "balance", "augment")


def plans(run: int = 1) -> set[str]:
    """The stages that make the plans of a run."""
    return {f"{verb}@{run}" for verb in PLANS}


def evaluated(*names: str, run: int = 1, seed: int = 42) -> set[str]:
    """The stages that score variants, as by default all of them."""
    return {f"evaluate@{run}-{seed}-{name}-augmented" for name in names or ENCODERS}


def trained(*names: str, run: int = 1, seed: int = 42) -> set[str]:
    """The stages that train and predict variants, and score them."""
    verbs = ("train", "predict")
    stages = {f"{verb}@{run}-{seed}-{name}-augmented" for name in names or ENCODERS for verb in verbs}
    return stages | evaluated(*names, run=run, seed=seed)


def baselines(run: int = 1) -> set[str]:
    """The stages of what a model must beat."""
    return {f"evaluate-baselines@{run}-42-background-plain"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("project"))
    assert project.repro(STUDY) == DATA | plans() | trained() | baselines() | REPORT
    project.commit()
    return project


@pytest.fixture(autouse=True)
def undone(project: Project) -> Iterator[None]:
    """Undo what a test changes; going back must restore everything from DVC's cache and run nothing but the report."""
    yield
    project.run("git", "checkout", "--quiet", ".")
    assert project.repro(STUDY) <= REPORT
    project.run("git", "checkout", "--quiet", ".")


def test_a_second_run_runs_nothing(project: Project) -> None:
    assert project.repro(STUDY) == set()


def test_a_learning_rate_trains_again_and_makes_no_data(project: Project) -> None:
    project.put(STUDY, {"train.learning_rate": 0.002})
    assert project.repro(STUDY) == trained() | REPORT


def test_a_metric_is_measured_and_reported_alone(project: Project) -> None:
    project.append("pipeline/metrics/pixel.py", "\n# changed\n")
    scored = evaluated() | baselines()
    assert scored <= project.repro(STUDY) <= scored | REPORT


def test_a_template_is_reported_alone(project: Project) -> None:
    project.append("studies/pannuke/paper/report.md.j2", "\nOne more sentence.\n")
    assert project.repro(STUDY) == REPORT


def test_one_more_run_trains_itself_and_no_other(project: Project) -> None:
    project.put(STUDY, {"runs": [1, 3]})
    assert project.repro(STUDY) == plans(3) | trained(run=3) | baselines(3) | REPORT


def test_one_more_seed_trains_itself_and_no_other(project: Project) -> None:
    project.put(STUDY, {"seeds": [42, 43]})
    assert project.repro(STUDY) == trained(seed=43) | REPORT


def test_a_new_encoder_trains_its_own_variant(project: Project) -> None:
    done = project.repro(STUDY, "dvc", "exp", "run", "--set-param", "encoder=mobilenet_v2")
    assert done == trained("mobilenet_v2") | REPORT


def test_an_encoder_in_the_list_trains_nothing(project: Project) -> None:
    done = project.repro(STUDY, "dvc", "exp", "run", "--set-param", f"encoder={ENCODERS[1]}")
    assert done == REPORT


def test_a_split_that_leaks_stops_before_any_training(project: Project) -> None:
    path = project.folder / "pipeline/datasets/pannuke/reader.py"
    text = path.read_text()
    path.write_text(
        text.replace(
            "yield Tile(image,",
            "yield Tile((np.indices(image.shape).sum(0) % 251).astype(np.uint8) if index < 4 else image,",
        )
    )
    assert path.read_text() != text
    done = project.attempt("dvc", "repro", "studies/pannuke/dvc.yaml")
    assert done.returncode != 0
    assert "have the same pixels" in done.stderr
    assert not ran(done.stdout) & (plans() - {"split@1", "guard@1"} | trained())


def test_a_wrong_value_stops_before_any_work(project: Project) -> None:
    project.put(STUDY, {"train.epochs": 0})
    before = project.changed()
    done = project.attempt("dvc", "repro", "studies/pannuke/dvc.yaml")
    assert done.returncode != 0
    assert "studies/pannuke/params.yaml: train.epochs is 0 but should be greater than 0" in done.stderr
    assert ran(done.stdout) == set()
    assert project.changed() == before


def test_a_reader_reads_its_own_data_set_again_and_trains_nothing(project: Project) -> None:
    project.repro("tnbc")
    project.commit()
    project.append("pipeline/datasets/monuseg/reader.py", "\n# changed\n")
    assert project.repro("tnbc") == {"download@monuseg", "convert@monuseg"}


def test_a_colleague_has_every_result_by_two_commands_and_no_data(project: Project, tmp_path: Path) -> None:
    """As docs/how-to/share-with-a-colleague.md says it."""
    share = ("dvc", "remote", "add", "--default", "storage", str(tmp_path / "remote"))
    project.run(*share)
    project.run("dvc", "push")
    project.run("git", "clone", "--quiet", str(project.folder), str(tmp_path / "theirs"))
    theirs = Project.at(tmp_path / "theirs")
    theirs.run(*share)
    assert "failed to pull data" in theirs.attempt("dvc", "pull", "studies/pannuke/dvc.yaml").stderr
    theirs.run("dvc", "pull", "--allow-missing")
    assert theirs.repro(STUDY, "dvc", "repro", "--allow-missing") == set()
    assert theirs.changed() == [".dvc/config"]
    model = f"models/{STUDY}/run1/seed42/{ENCODERS[0]}-augmented/weights/model.safetensors"
    assert (theirs.folder / model).read_bytes() == (project.folder / model).read_bytes()
    assert (theirs.folder / f"reports/{STUDY}.md").read_bytes() == (project.folder / f"reports/{STUDY}.md").read_bytes()
    pushed = {path.parent.name + path.name for path in (tmp_path / "remote").rglob("*") if path.is_file()}
    assert pushed & checksums(project.folder / "models")
    for licensed in ("data/raw", "data/tiles", "reports/private"):
        assert not checksums(theirs.folder / licensed)
        assert not pushed & checksums(project.folder / licensed)


def checksums(folder: Path) -> set[str]:
    """MD5 of each file in a folder that is not empty, as DVC names them."""
    return {hashlib.md5(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()} - {
        hashlib.md5(b"").hexdigest()
    }
