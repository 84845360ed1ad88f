import subprocess
import sys
from pathlib import Path

from tests.torture.kills import outputs
from tests.torture.micro import make_micro


def test_a_changed_output_is_seen_and_a_changed_speed_is_not(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / ".dvc").mkdir()
    training, report = tmp_path / "models/training.json", tmp_path / "report.md"
    table = "| model | plan | training, s | images/s |\n|---|---|--:|--:|\n| U-Net | plain | {} | 3 |\n\nEnd\n"
    found = []
    for seconds, loss in ((1, 0.5), (2, 0.5), (2, 0.6)):
        training.write_text(f'{{"machine": {{"seconds": {seconds}}}, "loss": {loss}}}')
        report.write_text(table.format(seconds))
        (tmp_path / ".dvc/state").write_text(str(seconds))
        found.append(outputs(tmp_path))
    assert found[0] == found[1]
    assert [name for name in found[2] if found[2][name] != found[0][name]] == ["models/training.json"]
    (tmp_path / "models/.a.partial").touch()
    assert outputs(tmp_path) != found[2]


def test_the_micro_project_can_be_read_by_dvc(tmp_path: Path) -> None:
    project = make_micro(tmp_path / "project")
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--all"], cwd=project.folder, capture_output=True
    )
    stages = {line.split()[0].partition("@")[0] for line in done.stdout.decode().splitlines()}
    assert done.returncode == 0, done.stderr.decode()
    assert {"download", "convert", "summary", "studies/pannuke/dvc.yaml:train"} <= stages
