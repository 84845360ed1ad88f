"""Where the time of a `dvc repro` goes, stage by stage.

    python -m benchmarks.repro_time            # a fresh clone of HEAD, then a second `dvc repro` in it
    python -m benchmarks.repro_time --here     # what the working tree still has to run

For every kind of stage: how often it ran, the seconds of its commands, and its share; the rest is DVC's own work
(hashing, caching, writing dvc.lock). A stage's command includes its imports, which on a small machine are most of it.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--here", action="store_true", help="in the working tree, not in a fresh clone")
    if parser.parse_args().here:
        measure(Path.cwd(), "dvc repro")
        return
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "lobule"
        subprocess.run(["git", "clone", "--quiet", Path.cwd(), clone], check=True)
        measure(clone, "dvc repro in a fresh clone")
        measure(clone, "a second dvc repro")


def measure(folder: Path, title: str) -> None:
    """Run `dvc repro` in a folder and print what its stages took."""
    seconds: dict[str, list[float]] = defaultdict(list)
    start = time.perf_counter()
    running: tuple[str, float] | None = None
    stage = ""
    command = [sys.executable, "-m", "dvc", "repro"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            now = time.perf_counter()
            print(line, end="", file=sys.stderr, flush=True)
            starts = line.startswith("Running stage '")
            if running and (starts or line.startswith(("Updating lock file", "Generating lock file"))):
                seconds[running[0]].append(now - running[1])
                running = None
            if starts:
                stage = line.split("'")[1].split("@")[0]
            elif line.startswith("> ") and stage:
                running = (stage, now)
    total = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"dvc repro failed with exit code {process.returncode}")
    print(f"\n{title}: {total:.0f} s")
    print(f"{'stage':<20}{'runs':>6}{'seconds':>9}{'a run':>8}{'share':>8}")
    spent = sum(map(sum, seconds.values()))
    for name, runs in seconds.items():
        print(f"{name:<20}{len(runs):>6}{sum(runs):>9.1f}{sum(runs) / len(runs):>8.1f}{sum(runs) / total:>8.0%}")
    print(f"{'DVC itself':<20}{'':>6}{total - spent:>9.1f}{'':>8}{(total - spent) / total:>8.0%}")


if __name__ == "__main__":
    main()
