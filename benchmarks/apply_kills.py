"""Kills `lobule apply`'s work on a slide at random moments: does it end in the same bytes?

    python -m benchmarks.apply_kills [FOLDER] [--kills N] [--side PX] [--nuclei N] [--seed N] [--ome-tiff]

The slide is the drawn one of benchmarks.apply, the classes are read off its colours. Every kill comes at a random part
of the time that a whole call takes; after the last one a call is left alone. Prints what was killed and compares.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.apply import ROOT, write_slide

KINDS = ["geojson", "csv", "png"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="where the slide and the results go")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--side", type=int, default=6144, help="px of the slide")
    parser.add_argument("--nuclei", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ome-tiff", action="store_true", help="write the class map as a pyramid, too")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        write_slide(folder / "slide.tif", arguments.side, arguments.nuclei)
        command = [sys.executable, "-m", "benchmarks.apply", name, "--encoder", "colour", "--child", "apply"]
        command += ["--ome-tiff"] * arguments.ome_tiff
        kinds = [*KINDS, *["ome.tif"] * arguments.ome_tiff]
        started = time.monotonic()
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        whole = time.monotonic() - started
        wanted = [(folder / f"out/slide.{kind}").read_bytes() for kind in kinds]
        print(f"a whole call: {whole:.1f} s", flush=True)
        shutil.rmtree(folder / "out")
        killed = 0
        while killed < arguments.kills:
            child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                child.wait(chance.uniform(0.2, 0.9) * whole)
                shutil.rmtree(folder / "out")  # it was done before the kill: from the beginning
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                killed += 1
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        same = [(folder / f"out/slide.{kind}").read_bytes() for kind in kinds] == wanted
        left = len(list((folder / "out").rglob("*.partial")))
        print(f"{killed} kills: {'the same bytes' if same else 'OTHER BYTES'}, {left} unfinished files")
        if not same or left:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
