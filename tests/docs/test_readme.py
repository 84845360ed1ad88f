"""The README's table shows what the committed reports hold."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (?P<name>[^|]+) \| (?P<plain>[^|]+) \| (?P<augmented>[^|]+) \|$", re.MULTILINE)
NAMES = {
    "U-Net": "unet",
    "U-Net + ResNet50": "resnet50",
    "U-Net + EfficientNetB0": "efficientnet-b0",
    "U-Net + EfficientNetV2M": "tu-tf_efficientnetv2_m",
    "U-Net + MobileNetV2": "mobilenet_v2",
    "U-Net + VGG19": "vgg19",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("plan", ["plain", "augmented"])
def test_the_readmes_figures_are_the_reports(name: str, plan: str) -> None:
    figures = pd.read_csv(ROOT / "reports/pannuke/intervals.csv")
    figures = figures.set_index(["variant", "plan", "score"])
    row = figures.loc[(NAMES[name], plan, "mean_iou")]
    rows = {found["name"].strip(): found for found in ROW.finditer((ROOT / "README.md").read_text())}
    assert rows[name][plan].strip().strip("*") == f"{row['value']:.3f} [{row['low']:.2f}, {row['high']:.2f}]"
