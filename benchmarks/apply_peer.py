"""A peer's engine beside `lobule apply`: tiatoolbox on the slide and with the network of benchmarks/apply.py.

    PYTHON -m benchmarks.apply_peer SLIDE NETWORK OUT TILE STRIDE BATCH MICRONS

PYTHON is that of an environment with tiatoolbox; Lobule need not be there. NETWORK is TorchScript, from images
(B, H, W, 3) to logits (B, C, H, W). Its SemanticSegmentor runs as it comes: torch's threads, no process that reads
ahead, the whole slide with no mask, the class map and nothing else written. Prints seconds and the most memory as JSON.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from tiatoolbox.models.architecture.utils import argmax_last_axis  # type: ignore[import-not-found]
from tiatoolbox.models.engine.io_config import IOSegmentorConfig  # type: ignore[import-not-found]
from tiatoolbox.models.engine.semantic_segmentor import SemanticSegmentor  # type: ignore[import-not-found]
from tiatoolbox.models.models_abc import ModelABC  # type: ignore[import-not-found]


class Traced(ModelABC):  # type: ignore[misc]
    """A network as tiatoolbox takes one."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.network = torch.jit.load(path, map_location="cpu")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(images)
        return logits

    @staticmethod
    def infer_batch(model: torch.nn.Module, batch_data: torch.Tensor, *, device: str) -> Any:
        """Probabilities (B, H, W, C)."""
        with torch.inference_mode():
            return model(batch_data.to(device)).softmax(1).permute(0, 2, 3, 1).cpu().numpy()

    @staticmethod
    def postproc(image: Any) -> Any:
        """The most probable class."""
        return argmax_last_axis(image=image)


def main() -> None:
    slide, network, out = map(Path, sys.argv[1:4])
    tile, stride, batch = map(int, sys.argv[4:7])
    resolution = {"units": "mpp", "resolution": float(sys.argv[7])}
    settings = IOSegmentorConfig(
        input_resolutions=[resolution],
        output_resolutions=[resolution],
        patch_input_shape=(tile, tile),
        patch_output_shape=(tile, tile),
        stride_shape=(stride, stride),
        save_resolution=resolution,
    )
    model = Traced(network)
    Traced.infer_batch(model, torch.zeros((batch, tile, tile, 3), dtype=torch.uint8), device="cpu")  # done once
    segmentor = SemanticSegmentor(model=model, batch_size=batch, num_workers=0, device="cpu", verbose=False)
    started, worked = time.perf_counter(), time.process_time()
    segmentor.run(
        images=[slide],
        patch_mode=False,
        ioconfig=settings,
        auto_get_mask=False,
        output_type="zarr",
        save_dir=out,
        overwrite=True,
        device="cpu",
    )
    seconds, work = time.perf_counter() - started, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "work": work, "peak": peak, "nuclei": 0}))


if __name__ == "__main__":
    main()
