"""What it costs to train with the kernels for AVX2 where the processor has AVX-512: `python -m benchmarks.kernels`.

Times the same training steps in turns, each turn in a process of its own, with AVX2 (as the stages do) and with all
that the processor has, and prints the median ratio of each network. Without AVX-512 it is 1 but for noise.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

from tqdm import tqdm

from pipeline.models.processor import NARROW

ENCODERS = ("unet-bn", "resnet50", "timm-tf_efficientnet_lite0", "vgg19")
SIDE, BATCH = 128, 8
WIDE = {"ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "DEFAULT"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8, help="of training a turn, the first two of which do not count")
    parser.add_argument("--encoder", help=argparse.SUPPRESS)  # a turn
    arguments = parser.parse_args()
    if arguments.encoder:
        print(seconds_a_step(arguments.encoder, arguments.steps))
        return
    print("| encoder | seconds a step, AVX2 | all | AVX2 / all |\n|---|--:|--:|--:|")
    for encoder in ENCODERS:
        command = [sys.executable, "-m", "benchmarks.kernels", "--encoder", encoder, "--steps", str(arguments.steps)]
        times: list[list[float]] = [
            [float(subprocess.check_output(command, env=os.environ | kernels)) for kernels in (NARROW, WIDE)]
            for _ in tqdm(range(arguments.turns), desc=encoder, leave=False)
        ]
        narrow, wide = (statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(one / other for one, other in times)
        print(f"| {encoder} | {narrow:.3f} | {wide:.3f} | {ratio:.2f} |", flush=True)


def seconds_a_step(encoder: str, steps: int) -> float:
    """Median time of a training step of a U-Net on drawn numbers, batches of 8 of 128 px."""
    import torch

    from pipeline.models import build

    torch.manual_seed(0)
    network = build(encoder, 6, 16, [128, 64, 32, 16]).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters())
    images = torch.randn(BATCH, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
    labels = torch.randint(6, (BATCH, SIDE, SIDE))
    times = []
    for _ in range(steps):
        started = time.perf_counter()
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimiser.step()
        optimiser.zero_grad()
        times.append(time.perf_counter() - started)
    return statistics.median(times[2:])


if __name__ == "__main__":
    main()
