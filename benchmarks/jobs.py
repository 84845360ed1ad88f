"""`lobule repro` with stages side by side against one after another: time, and whether both leave the same.

    python -m benchmarks.jobs            # the whole sample in fresh clones of HEAD, an hour
    python -m benchmarks.jobs --micro    # the tests' micro project: one study of two tiny trainings
    python -m benchmarks.jobs --jobs 4

Both run with the same threads a stage (OMP_NUM_THREADS, else 1), so that every table must have the same bytes, and each
dvc.lock the same content but for sizes and hashes of files that tell of time and machine. On a machine with other work
the ratio says little: two processes then get twice the share of one.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.repro_time import LOBULE, clock
from tests.torture.kills import outputs
from tests.torture.micro import make_micro


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--micro", action="store_true", help="the tests' micro project, not the whole sample")
    parser.add_argument("--jobs", type=int, default=2, help="stages at once (default: %(default)s)")
    arguments = parser.parse_args()
    threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    seconds, found = {}, {}
    with tempfile.TemporaryDirectory() as name:
        for jobs in (1, arguments.jobs):
            folder = Path(name) / str(jobs)
            if arguments.micro:
                folder.mkdir()
                make_micro(folder)
            else:
                subprocess.run(["git", "clone", "--quiet", Path.cwd(), folder], check=True)
            seconds[jobs] = clock([*LOBULE, "repro", "--jobs", str(jobs)], folder, threads)
            found[jobs] = outputs(folder)
    for jobs, taken in seconds.items():
        print(f"lobule repro --jobs {jobs}: {taken:.0f} s")
    print(f"ratio: {seconds[arguments.jobs] / seconds[1]:.2f}, load of the machine: {os.getloadavg()[1]:.1f}")
    one, other = found[1], found[arguments.jobs]
    differ = sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))
    print(f"differ: {', '.join(differ) or 'nothing'}")
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
