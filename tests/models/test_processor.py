import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.models import processor

LESS = ("flags : fpu sse2 avx avx2\n", "flags : fpu sse2\n")


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in processor.NARROW:
        monkeypatch.setenv(name, "")  # so that what is set is taken back
        monkeypatch.delenv(name)


def of(monkeypatch: pytest.MonkeyPatch, folder: Path, flags: str, machine: str = "x86_64") -> dict[str, str]:
    """What the environment says after it, on a processor with these flags."""
    (folder / "cpuinfo").write_text(flags)
    monkeypatch.setattr(processor, "ABOUT", folder / "cpuinfo")
    monkeypatch.setattr(processor.platform, "machine", lambda: machine)
    processor.use_common_kernels()
    return {name: os.environ[name] for name in processor.NARROW if name in os.environ}


@pytest.mark.usefixtures("free")
def test_a_processor_with_wider_vectors_is_held_to_avx2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert of(monkeypatch, tmp_path, "flags : fpu avx2 avx512f avx512bw\n") == processor.NARROW


@pytest.mark.usefixtures("free")
@pytest.mark.parametrize("flags", LESS)
def test_others_are_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str) -> None:
    assert not of(monkeypatch, tmp_path, flags)
    assert not of(monkeypatch, tmp_path, "Features : fp asimd avx512f\n", machine="aarch64")
    (tmp_path / "cpuinfo").unlink()
    processor.use_common_kernels()
    assert not any(name in os.environ for name in processor.NARROW)


@pytest.mark.usefixtures("free")
def test_what_the_environment_says_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx512")
    found = of(monkeypatch, tmp_path, "flags : fpu avx2 avx512f\n")
    assert found == {"ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX2"}


def test_torch_obeys() -> None:
    """On a processor with AVX-512 this is the rule at work; on others it says that nothing is lost by it."""
    script = """
from pipeline.models.processor import use_common_kernels
import pipeline.stages.train, pipeline.stages.predict, sys
assert "torch" not in sys.modules  # else it would come too late
use_common_kernels()
import torch
print(torch.backends.cpu.get_cpu_capability())
"""
    environment = {name: value for name, value in os.environ.items() if name not in processor.NARROW}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert "AVX512" not in done.stdout, done.stdout
