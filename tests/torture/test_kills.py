from pathlib import Path

from tests.torture.kills import outputs


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
