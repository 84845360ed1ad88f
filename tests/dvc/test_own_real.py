"""Real files, from them to a report by two commands: one slide with its GeoJSON, by real DVC."""

from pathlib import Path

import pytest

from pipeline.tiles.store import Shard
from tests.dvc.project import Project, ran

pytestmark = [pytest.mark.slow, pytest.mark.real]


def test_one_real_slide_leads_to_a_report(tmp_path: Path, real_data: Path) -> None:
    project = Project(tmp_path)
    folder = ("--slides", str(real_data / "wsi"))
    said = project.run("lobule", "new", "slide", *folder, "--tile", "128", "--encoders", "unet", "--epochs", "1")
    for line in (
        "found 2 files = used 2 + left out 0",
        "class 1: Tissue, 1 outlines of 'Tissue' on 1 slides, 3",
        "resolution: 0.5 µm/px of tiles; slides have 0.499 to 0.499, from their tags",
        "split: 16 blocks: 60% train, 40% test",
        "There is one slide alone, which is too few. It goes on in blocks of it",
    ):
        assert line in said, line
    project.put("slide", {"tile_size": 32, "model.width": 4, "predict.speed_batches": [1]})
    done = ran(project.run("dvc", "repro", "studies/slide/dvc.yaml"))
    assert done >= {"convert-own@slide", "guard@1", "train@1-42-unet-augmented", "report"}
    (shard,) = map(Shard, (project.folder / "data/tiles/slide").glob("*.h5"))
    assert 100 < len(shard) <= 17 * 23
    report = (project.folder / "reports/slide.md").read_text()
    assert "**Each slide or image is split within itself**" in report and "says nothing of another slide" in report
    assert "**This split leaks, as asked for** (`split.by: block`). On two sides: slide 1" in report
    assert "too few for an interval, and no verdict is possible" in report and "No patient is known for " in report
