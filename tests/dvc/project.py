"""A copy of the project in a folder of its own, made small, for tests that drive real DVC."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline.commands.paper import apply

ROOT = Path(__file__).parents[2]

# Studies small enough for a test: plain U-Nets of four channels for one epoch on tiles of 32 px.
ENCODERS = ("unet-bn", "unet")  # the top-level one, and the other one of pannuke
SAMPLES = {
    "encoder": ENCODERS[0],
    "sample.pannuke.tile_size": 64,
    "sample.pannuke.tiles_per_fold": 8,
    "sample.tnbc.tile_size": 64,
    "sample.tnbc.share": 0.2,
    "sample.monuseg.tile_size": 128,
    "sample.monuseg.images": 1,
    "sample.bcss.height": 224,
    "sample.bach.width": 128,
    "sample.bach.images": 4,
    "sample.bracs.size": 1024,
    "datasets.bracs.tiling.lesion_free": 1,
}
SMALL = {"tile_size": 32, "seeds": [42], "model.width": 4, "train.epochs": 1}
PIXELS = {**SMALL, "model.decoder_channels": [16, 8, 8], "predict.speed_batches": [1]}
STUDIES: dict[str, dict[str, Any]] = {
    "pannuke": PIXELS | {"compare": ["encoder", ENCODERS[1]], "plans": ["augmented"], "ablation": [],
                         "baselines": ["background"]},
    "tnbc": PIXELS | {"compare": ["unet"], "ablation": ["unet"], "baselines": ["otsu"]},
    "bracs": PIXELS | {"compare": ["unet"], "variants.tiles-densenet121.train.epochs": 1,
                       "variants.tiles-densenet121.encoder": "mobilenet_v2",
                       "variants.unet-densenet121.encoder": "mobilenet_v2"},
    "bcss": PIXELS | {"compare": ["resnet34"]},
    "bach": {**SMALL, "tile_size": 64, "model.channels": 16, "model.proposals": 20,
             "model.sampled": 8},
}  # fmt: skip


class Project:
    """A copy of the project, made small and committed in a git repository of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file() and not name.startswith("reports/") and Path(name).name != "dvc.lock":
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name, follow_symlinks=False)
        self.put(None, SAMPLES)
        for study, values in STUDIES.items():
            self.put(study, values)
        path = folder / "studies/pannuke/dvc.yaml"  # which names the encoders, too
        text, count = re.subn(
            r'variant: \["\$\{encoder\}", .*\]', f'variant: ["${{encoder}}", {ENCODERS[1]}]', path.read_text()
        )
        assert count == 1
        path.write_text(text)
        self.run("git", "init", "--quiet")
        self.commit()

    @classmethod
    def at(cls, folder: Path) -> "Project":
        """The project that lies in a folder already, as it is."""
        found = cls.__new__(cls)
        found.folder = folder
        return found

    def put(self, study: str | None, values: dict[str, Any]) -> None:
        """Set dotted keys in the params.yaml of a study, or in the project's; unchecked, so that they may be wrong."""
        apply(self.folder / (f"studies/{study}" if study else "") / "params.yaml", values, lambda raw: None)

    def append(self, file: str, text: str) -> None:
        """Add text to the end of a file."""
        with (self.folder / file).open("a") as stream:
            stream.write(text)

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
        """Commit everything that git does not ignore."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", "state")

    def changed(self) -> list[str]:
        """The files that differ from the last commit, and the new ones."""
        lines = self.run("git", "status", "--porcelain", "--untracked-files=all").splitlines()
        return sorted(line[3:] for line in lines)

    def repro(self, study: str, *command: str) -> set[str]:
        """The stages that `dvc repro` (or another command) of a study ran, without the folder that they are of.

        The checks, which follow every params.yaml, are left out.
        """
        return ran(self.run(*(command or ("dvc", "repro")), f"studies/{study}/dvc.yaml"))


def ran(output: str) -> set[str]:
    """The stages that DVC says it ran, but for the checks; a study's without the folder that they are of."""
    named = re.findall(r"^Running stage '(?:.*:)?(.+)':", output, re.MULTILINE)
    return {name for name in named if name != "check"}
