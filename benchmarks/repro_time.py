"""Where the time of a `dvc repro` goes, kind of stage by kind of stage, with imports and DVC apart.

    python -m benchmarks.repro_time            # a fresh clone of HEAD, then twice `dvc repro` with nothing to do
    python -m benchmarks.repro_time --here     # what the working tree still has to run, then likewise

For every kind of stage: how often it ran, the seconds of its commands, of these the seconds of its imports (measured
once in a process of their own), and DVC's own seconds around it (hashing, caching, writing dvc.lock). Ratios within one
run mean something; seconds depend on the machine and on what else it does.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Kind:
    """What the stages of one kind took, in seconds."""

    module: str = ""
    commands: list[float] = field(default_factory=list)
    around: list[float] = field(default_factory=list)  # from a command's end to the next stage's beginning


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--here", action="store_true", help="in the working tree, not in a fresh clone")
    if parser.parse_args().here:
        measure(Path.cwd())
        return
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "lobule"
        subprocess.run(["git", "clone", "--quiet", Path.cwd(), clone], check=True)
        measure(clone)


def measure(folder: Path) -> None:
    """Run `dvc repro` in a folder and print what its stages took, then what it takes with nothing to do."""
    started = time.perf_counter()
    kinds = watch(folder)
    total = time.perf_counter() - started
    show(kinds, total, folder)
    for title, command in (
        ("dvc repro, nothing to do", [sys.executable, "-m", "dvc", "repro"]),
        ("lobule repro, nothing to do", [sys.executable, "-m", "pipeline.commands", "repro"]),
    ):
        started = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        print(f"{title:<36}{time.perf_counter() - started:>9.1f} s")


def watch(folder: Path) -> dict[str, Kind]:
    """Run `dvc repro` and take the time at what it prints."""
    kinds: dict[str, Kind] = defaultdict(Kind)
    kind, since, running = "", time.perf_counter(), False
    with subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro"], cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        for line in process.stdout:
            now = time.perf_counter()
            print(line, end="", file=sys.stderr, flush=True)
            if running and line.startswith(("Updating lock file", "Generating lock file")):
                kinds[kind].commands.append(now - since)
                since, running = now, False
            elif line.startswith("Running stage '"):
                if kind:
                    (kinds[kind].commands if running else kinds[kind].around).append(now - since)
                kind, since = line.split("'")[1].rpartition(":")[2].partition("@")[0], now
            elif line.startswith("> python -m ") and kind:
                kinds[kind].module = line.split()[3]
                since, running = now, True
    if process.returncode:
        sys.exit(f"dvc repro failed with exit code {process.returncode}")
    return kinds


def show(kinds: dict[str, Kind], total: float, folder: Path) -> None:
    """Print a line a kind."""
    print(f"\ndvc repro: {total:.0f} s")
    print(f"{'stage':<20}{'runs':>6}{'seconds':>9}{'a run':>8}{'imports':>9}{'DVC':>7}{'share':>8}")
    for name, kind in kinds.items():
        runs, seconds = len(kind.commands), sum(kind.commands)
        around = sum(kind.around) / max(1, len(kind.around))
        print(
            f"{name:<20}{runs:>6}{seconds:>9.1f}{seconds / max(1, runs):>8.1f}{imports(kind.module, folder):>9.1f}"
            f"{around:>7.1f}{seconds / total:>8.0%}"
        )
    spent = sum(sum(kind.commands) for kind in kinds.values())
    print(f"{'DVC itself':<20}{'':>6}{total - spent:>9.1f}{'':>24}{(total - spent) / total:>8.0%}")


def imports(module: str, folder: Path) -> float:
    """Seconds that a stage's module takes to be imported, the start of Python included."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], cwd=folder, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
