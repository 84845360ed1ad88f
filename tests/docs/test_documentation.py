"""What the documentation names is there, and its code runs."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.base.records import Model
from pipeline.models import build, weights

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link, heading in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", text) + re.findall(r'src="([^"]*)()"', text):
        if "://" not in link:
            target = page.parent / link if link else page
            assert target.exists(), f"{page.name} links to {link}"
            assert not heading or heading in anchors(target), f"{page.name} links to {link}#{heading}"


def anchors(page: Path) -> set[str]:
    """How a page's headings are linked to: in lower case, without punctuation, a hyphen for each space."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_that_is_named_is_there(page: Path) -> None:
    if "docs/results" in page.as_posix() or "docs/decisions" in page.as_posix():
        return  # these tell of their time
    for path in re.findall(r"`((?:pipeline|studies|tests|benchmarks)/[\w./-]+)`", page.read_text(encoding="utf-8")):
        if "mine" not in path:
            assert (ROOT / path).exists(), f"{page.name} names {path}"


def test_the_code_that_loads_a_model_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs/reference/models.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    folder = tmp_path / re.findall(r'Path\("(.*?)"\)', code)[0]
    folder.mkdir(parents=True)
    shape = {"width": 8, "decoder_channels": [32, 16, 8], "head": 3}  # as bcss has it
    weights.save(build("resnet34", 3, **shape), folder / "model.safetensors")
    Model(
        study="mine",
        variant="unet-plain",
        task="segmentation",
        encoder="resnet34",
        classes=["a", "b", "c"],
        tile_size=64,
        microns_per_pixel=0.5,
        greyscale=False,
        target=None,
        shape=shape,
        weights="random",
        mean=[0.5] * 3,
        std=[0.2] * 3,
        licence="none",
        datasets=["bcss"],
        sample=True,
        trained_on=[],
    ).write(folder / "model.json")
    monkeypatch.chdir(tmp_path)
    found: dict[str, object] = {}
    exec(code, found)
    class_map = found["class_map"]
    assert isinstance(class_map, torch.Tensor) and class_map.shape == (1, 64, 64)
    assert set(np.unique(class_map.numpy())) <= {0, 1, 2}
