"""What the project runs on: Python and its packages, the disk, the device."""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.health import Finding

LOCK = Path("requirements.lock")
SETUP = ("rm -f .venv/ready", "make .venv/ready")
NEEDED = 5e9  # bytes that the sample's data, models and cache take
LEAST = 1e9  # bytes without which nothing can run
INCOMING = "rm -r data/incoming  # downloads, which are in data/raw by now"
GONE = "dvc gc --workspace --all-experiments  # keeps what the present files and experiments use"


def examine() -> Iterator[Finding]:
    """Environment, disk and device."""
    yield python()
    yield packages()
    yield disk()
    yield links()
    yield home()
    yield device()


def python() -> Finding:
    return Finding("python", f"Python {platform.python_version()} in {sys.prefix}.")


def packages() -> Finding:
    """The installed packages against requirements.lock."""
    from packaging.requirements import Requirement

    if not LOCK.is_file():
        return Finding("packages", f"{LOCK} is missing.", True, (f"git checkout {LOCK}",))
    lines = re.findall(r"^[A-Za-z0-9][^\\\n#]*==[^\\\n#]*", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    wrong = []
    wanted = [Requirement(line.strip()) for line in lines]
    wanted = [each for each in wanted if each.marker is None or each.marker.evaluate()]
    for each in wanted:
        try:
            found = importlib.metadata.version(each.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{each.name} is missing")
            continue
        if not each.specifier.contains(found, prereleases=True):
            wrong.append(f"{each.name} is {found} and should be {str(each.specifier).removeprefix('==')}")
    if wrong:
        more = f" and {len(wrong) - 3:,} more" if len(wrong) > 3 else ""
        return Finding("packages", f"{'; '.join(wrong[:3])}{more}.", True, SETUP)
    return Finding("packages", f"{len(wanted):,} packages are those of {LOCK}.")


def disk() -> Finding:
    there = tempfile.gettempdir()
    free, temporary = (shutil.disk_usage(folder).free for folder in (".", there))
    said = f"{free / 1e9:.1f} GB free here, {temporary / 1e9:.1f} GB in {there}"
    cure = (GONE, INCOMING) if Path("data/incoming").is_dir() else (GONE,)
    if free < LEAST:
        return Finding("disk", f"{said}: nothing can run.", True, cure)
    if free < NEEDED:
        return Finding("disk", f"{said}; the whole sample takes {NEEDED / 1e9:.0f} GB.", cure=cure)
    return Finding("disk", f"{said}.")


def links() -> Finding:
    """Whether the cache and the project can share files, and whether the folder can be written at all."""
    cache = Path(".dvc/cache")
    try:
        with tempfile.TemporaryDirectory(dir=cache if cache.is_dir() else ".dvc") as one:
            (Path(one) / "probe").touch()
            with tempfile.TemporaryDirectory(dir=".") as other:
                os.link(Path(one) / "probe", Path(other) / "probe")
    except PermissionError as error:
        return Finding("links", f"the project's folder is closed to you ({error.strerror}).", True, ("chmod -R u+w .",))
    except OSError as error:
        if error.errno == 30:
            return Finding("links", "the project lies on a read-only file system.", True, ("cp -r . SOMEWHERE_ELSE",))
        return Finding("links", f"cache and project cannot share files ({error.strerror}): each output is there twice.")
    return Finding("links", "the cache and the project share files.")


def home() -> Finding:
    """Whether there is a home folder, in which some packages keep what they fetched."""
    folder = Path(os.environ.get("HOME") or "/nowhere")
    if os.access(folder, os.W_OK):
        return Finding("home", f"{folder} can be written.")
    said = f"HOME is {os.environ.get('HOME', 'not set')}, no folder to write to: fetched weights are not kept."
    return Finding("home", said, cure=("export HF_HOME=/a/folder MPLCONFIGDIR=/a/folder",))


def device() -> Finding:
    """GPU, threads and memory; whether torch and torchvision fit."""
    try:
        import torch
        import torchvision

        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (ImportError, RuntimeError, AttributeError) as error:
        return Finding("device", f"torch and torchvision do not fit ({str(error).splitlines()[0]}).", True, SETUP)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    machine = f"{torch.get_num_threads()} threads, {memory:.0f} GB of memory"
    if not torch.cuda.is_available():
        return Finding("device", f"no GPU is seen; {machine}.")
    free, total = (each / 1e9 for each in torch.cuda.mem_get_info())
    return Finding("device", f"{torch.cuda.get_device_name()}, {free:.0f} of {total:.0f} GB free; {machine}.")
