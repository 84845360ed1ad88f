"""The pipeline, driven by real DVC in a copy of the project: what a change reruns, and what it doesn't.

One study shows it; the others have the same stages, made of the same definitions in dvc.yaml.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.commands.paper import apply

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]

# A comparison small enough for a test: one plain U-Net of four channels for one epoch on tiles of 32 px.
SMALL = {
    "encoder": "unet",
    "sample.pannuke.tile_size": 64,
    "sample.pannuke.tiles_per_fold": 8,
    "pannuke.tile_size": 32,
    "pannuke.model.width": 4,
    "pannuke.model.decoder_channels": [16, 8, 8],
    "pannuke.train.epochs": 1,
    "pannuke.predict.speed_batches": [1],
}
OTHERS = "resnet50|efficientnet-b0|tu-tf_efficientnetv2_m|mobilenet_v2|vgg19"

DATA = {"download@pannuke", "convert@pannuke"}
REPORTS = {"report-pannuke"}
EVALUATED = {
    "evaluate-pannuke@unet-plain",
    "evaluate-pannuke@unet-augmented",
    "evaluate-pannuke-ablation@unet-balanced",
}
BASELINES = {"evaluate-pannuke-baseline@background-plain", "evaluate-pannuke-baseline@otsu-plain"}


def plans(run: int = 1) -> set[str]:
    """The stages that make the plans of a run."""
    return {f"{verb}-pannuke@{run}" for verb in ("split", "guard", "balance", "augment")}


def variant(name: str, run: int = 1) -> set[str]:
    """The three stages of a variant; all runs are evaluated at once."""
    return {f"{verb}-pannuke@{run}-42-{name}" for verb in ("train", "predict")} | {f"evaluate-pannuke@{name}"}


def ablation(run: int = 1) -> set[str]:
    """The three stages of the variant that trains on the balanced plan."""
    trained = {f"{verb}-pannuke-ablation@{run}-42-unet-balanced" for verb in ("train", "predict")}
    return trained | {"evaluate-pannuke-ablation@unet-balanced"}


def baselines(run: int = 1) -> set[str]:
    """The stages of the rows that a model must beat."""
    return {f"baseline-pannuke@{run}-42-{name}" for name in ("background", "otsu")} | BASELINES


def everything(run: int = 1) -> set[str]:
    """The stages of a run, from its plans to its scores."""
    return plans(run) | variant("unet-plain", run) | variant("unet-augmented", run) | ablation(run) | baselines(run)


class Project:
    """A copy of the project, committed in a git repository of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file() and not name.startswith(("reports/", "dvc.lock")):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        # Keep the paper's other encoders out of the lists; what is left has the shape of the real thing.
        text = (folder / "dvc.yaml").read_text()
        text = text.replace(f", {OTHERS.replace('|', ', ')}]", "]").replace(f" {OTHERS.replace('|', ' ')}", "")
        text = re.sub(rf"^ *- models/\S*/({OTHERS})-(plain|augmented)\n", "", text, flags=re.MULTILINE)
        (folder / "dvc.yaml").write_text(text)
        apply(folder / "params.yaml", SMALL)
        self.run("git", "init", "--quiet")
        self.commit()

    def run(self, *command: str) -> str:
        """Run a command in the project; its output is shown when it fails."""
        done = self.attempt(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def attempt(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command that may fail."""
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{f"GIT_{role}_{part}": "test" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")},
        }
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", "state")

    def repro(self, *command: str) -> set[str]:
        """The stages that `dvc repro` (or another command) ran up to the report of pannuke.

        The check, which follows params.yaml, is left out.
        """
        return self.ran(self.run(*(command or ("dvc", "repro")), "report-pannuke"))

    @staticmethod
    def ran(output: str) -> set[str]:
        """The stages that DVC says it ran."""
        return set(re.findall(r"^Running stage '(.+)':", output, re.MULTILINE)) - {"check"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("project"))
    ran = project.repro()
    assert ran == DATA | everything() | REPORTS
    project.commit()
    yield project


@pytest.fixture(autouse=True)
def undone(project: Project) -> Iterator[None]:
    """Undo what a test changes; going back must restore everything from DVC's cache and run nothing but reports."""
    yield
    project.run("git", "checkout", "--quiet", ".")
    assert project.repro() <= REPORTS
    project.run("git", "checkout", "--quiet", ".")


def test_a_second_run_runs_nothing(project: Project) -> None:
    assert project.repro() == set()


def test_a_learning_rate_retrains_every_variant_and_no_data(project: Project) -> None:
    apply(project.folder / "params.yaml", {"pannuke.train.learning_rate": 0.002})
    assert project.repro() == variant("unet-plain") | variant("unet-augmented") | ablation() | REPORTS


def test_an_augmentation_factor_retrains_the_augmented_variants(project: Project) -> None:
    apply(project.folder / "params.yaml", {"pannuke.augment.factor": 2})
    assert project.repro() == {"augment-pannuke@1"} | variant("unet-augmented") | REPORTS


def test_a_metric_trains_and_predicts_nothing(project: Project) -> None:
    path = project.folder / "pipeline/metrics/pixel.py"
    path.write_text(path.read_text().replace("def pixel_accuracy", "# changed\ndef pixel_accuracy") + "\n# changed\n")
    scored = EVALUATED | baselines()
    assert scored <= project.repro() <= scored | REPORTS


def test_a_way_to_find_nuclei_trains_and_predicts_nothing(project: Project) -> None:
    apply(project.folder / "params.yaml", {"pannuke.instances.method": "components"})
    assert project.repro() == EVALUATED | BASELINES | REPORTS


def test_another_run_trains_itself_and_no_other(project: Project) -> None:
    apply(project.folder / "params.yaml", {"pannuke.runs.third": 3})
    assert project.repro() == everything(3) | REPORTS


def test_a_split_that_leaks_stops_before_any_training(project: Project) -> None:
    path = project.folder / "pipeline/datasets/pannuke/reader.py"
    text = path.read_text()
    path.write_text(text.replace("yield Tile(image,", "yield Tile(image * 0 + 200 if index < 4 else image,"))
    assert path.read_text() != text
    done = project.attempt("dvc", "repro", "report-pannuke")
    assert done.returncode != 0
    assert "have the same pixels" in done.stderr
    assert not project.ran(done.stdout) & (plans() - {"split-pannuke@1", "guard-pannuke@1"} | variant("unet-plain"))


def test_a_template_rewrites_the_report_alone(project: Project) -> None:
    path = project.folder / "pipeline/reporting/templates/pannuke.md.j2"
    path.write_text(path.read_text() + "\nOne more sentence.\n")
    assert {"report-pannuke"} <= project.repro() <= REPORTS


def test_a_new_encoder_trains_its_own_variants(project: Project) -> None:
    ran = project.repro("dvc", "exp", "run", "--set-param", "encoder=unet-bn")
    assert ran == variant("unet-bn-plain") | variant("unet-bn-augmented") | REPORTS


def test_an_encoder_in_the_list_trains_nothing(project: Project) -> None:
    ran = project.repro("dvc", "exp", "run", "--set-param", "encoder=unet")
    assert ran <= REPORTS


def test_other_data_reruns_everything(project: Project) -> None:
    apply(project.folder / "params.yaml", {"sample.seed": 8})
    ran = project.repro()
    # The official split and the augmentation do not look at pixels: the same rows, so their stages may be skipped.
    assert {*DATA, "split-pannuke@1", "guard-pannuke@1"} | REPORTS <= ran
    assert variant("unet-plain") | variant("unet-augmented") | ablation() | baselines() <= ran


def test_a_wrong_value_stops_before_any_work(project: Project) -> None:
    apply_text(project.folder / "params.yaml", "  epochs: 1 ", "  epochs: 0 ")
    before = project.run("git", "status", "--porcelain")
    done = project.attempt("dvc", "repro", "report-pannuke")
    assert done.returncode != 0
    assert "pannuke.train.epochs is 0 but should be greater than 0" in done.stderr
    assert re.findall(r"^Running stage '(.+)':", done.stdout, re.MULTILINE) == ["check"]
    assert project.run("git", "status", "--porcelain") == before


def apply_text(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
