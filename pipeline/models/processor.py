"""One arithmetic on every x86-64 processor: the kernels for AVX2, also where wider vectors are to be had.

torch and oneDNN choose their kernels by what the processor can do. With AVX-512 they add up in another order than with
AVX2, the last bits of a sum differ, and some hundred steps later the weights do: as with another seed. What it costs
and shows is in docs/results/machines.md.
"""

import os
import platform
from pathlib import Path

NARROW = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}  # torch's and oneDNN's own names
ABOUT = Path("/proc/cpuinfo")  # of Linux


def use_common_kernels() -> None:
    """Hold torch to AVX2 where the processor has AVX-512, too; to be called before torch is imported.

    A processor without AVX2 is left to what torch finds, as is one of another make; what the environment says wins.
    """
    if platform.machine() in ("x86_64", "AMD64") and ABOUT.exists() and " avx512f" in ABOUT.read_text():
        for name, value in NARROW.items():
            os.environ.setdefault(name, value)
