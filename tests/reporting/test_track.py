"""The scores of every training reach its run in MLflow, and the best variant's pictures."""

from pathlib import Path
from unittest import mock

import pytest

from pipeline.base import tracking
from pipeline.base.study import read_study
from pipeline.reporting.track import track
from tests import fabricated


def test_scores_speed_and_pictures_go_to_the_runs_of_the_trainings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fabricated, "ENCODERS", ["unet"])
    fabricated.make_project(encoder="unet")
    fabricated.change_study({"compare": ["encoder"], "ablation": []})
    fabricated.evaluate_all("unet")
    with mock.patch.object(tracking, "variant_run") as opened:
        track(read_study("pannuke"), "unet", {("unet", "augmented"): [Path("best.png")]})
    assert [call.args[2] for call in opened.call_args_list] == [
        "pannuke/run1/seed42/unet-plain",
        "pannuke/run1/seed42/unet-augmented",
    ]
    assert all(call.kwargs["weights_sha256"] for call in opened.call_args_list)
    run = opened.return_value.__enter__.return_value
    scores, speed = (call.args[0] for call in run.metrics.call_args_list[:2])
    assert scores["per_class"]["neoplastic"]["f1"] > 0
    assert scores["instances"]["per_class"]["neoplastic"]["f1"] > 0
    assert set(speed) == {"images_per_second", "flops_per_image", "parameters"}
    run.artifact.assert_called_once_with(Path("best.png"), "pictures")
