"""A small DVC project whose stages copy files: a root that makes data, studies that use it, a summary of them."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.fabricated import ROOT

ROOT_STAGES = """
stages:
  convert:
    foreach: [bright]
    do:
      cmd: cp source-${item} data-${item}
      deps: ["source-${item}"]
      outs: ["data-${item}"]
  convert-own:
    foreach: {}
    do: {cmd: "cp ${key} ${item}"}
  summary:
    cmd: cat STUDIES > summary
    deps: [STUDIES]
    outs: [summary]
"""
STUDY_STAGES = """
stages:
  train:
    foreach: [plain, augmented]
    do:
      cmd: cp data-bright NAME-${item} && echo NAME ${item} $OMP_NUM_THREADS >> ran
      wdir: ../..
      deps: [data-bright]
      outs: ["NAME-${item}"]
  report:
    cmd: cp NAME-plain NAME-report
    wdir: ../..
    deps: [NAME-plain, NAME-augmented]
    outs: [NAME-report]
"""


def make(folder: Path, studies: Sequence[str]) -> None:
    """Write the project into a folder, a study folder for each name; `ran` there will tell what trained."""
    reports = [f"{name}-report" for name in studies]
    (folder / "dvc.yaml").write_text(
        ROOT_STAGES.replace("[STUDIES]", f"[{', '.join(reports)}]").replace("STUDIES", " ".join(reports))
    )
    (folder / "source-bright").write_text("tiles")
    for name in studies:
        (folder / "studies" / name).mkdir(parents=True)
        (folder / "studies" / name / "dvc.yaml").write_text(STUDY_STAGES.replace("NAME", name))
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\nno_scm = true\nanalytics = false\ncheck_update = false\n")


def lobule(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`lobule` in the project."""
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pipeline.commands import main; main()"
    return run(folder, "-c", start, *words, check=False)


def run(folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Python with these words in the project."""
    return subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, check=check)
