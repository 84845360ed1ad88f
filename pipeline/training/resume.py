"""What an interrupted training goes on from: its state after an epoch, bound to all that shapes the weights.

In a folder that git and DVC ignore: bound.json with a digest of each thing that shapes the weights, and the states
after the last two epochs that were kept, <epoch>-<SHA-256 of the file>.ckpt. It goes away when the training has ended.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.base.files import write_json

SHARE = 0.05  # of the time that writing states may take, so that short epochs don't wait for the disk
KEPT = 2  # the second is for the case that the first is damaged


class ResumeFolder:
    """The states of one training. States of a training that something else shaped are removed, and it is said."""

    def __init__(self, folder: Path, bound: Mapping[str, str]) -> None:
        self.folder = folder
        self.bound = dict(bound)
        self.began = time.monotonic()  # since when no state was written, s
        self.cost = 0.0  # of the last one, s
        if self._states():
            changed = [name for name, digest in self.bound.items() if self._read_bound().get(name) != digest]
            if changed:
                _say(f"what {folder} kept is of other {' and '.join(changed)}; the training begins anew.")
                self.remove()

    def newest(self) -> Path | None:
        """The last state that is whole; damaged ones are removed, and it is said."""
        for path in self._states():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if path.stem.endswith(digest):
                return path
            path.unlink()
            rest = "goes on from the state before" if self._states() else "begins anew"
            _say(f"{path} is damaged; the training {rest}.")
        return None

    def is_due(self) -> bool:
        """Whether enough time has gone by for another state to be written."""
        return self.cost <= SHARE * (time.monotonic() - self.began)

    def write(self, epoch: int, save: Callable[[Path], object]) -> None:
        """Keep the state after an epoch, which `save` writes to a path. A disk that takes none costs a sentence."""
        begin = time.monotonic()
        temporary = self.folder / ".state.partial"
        try:
            write_json(self.folder / "bound.json", self.bound)
            save(temporary)
            with temporary.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                os.fsync(file)
            temporary.replace(self.folder / f"{epoch:06}-{digest}.ckpt")
            for path in self._states()[KEPT:]:
                path.unlink()
        except (OSError, RuntimeError) as error:
            temporary.unlink(missing_ok=True)
            _say(f"the state after epoch {epoch} was not kept ({error}); the training goes on.")
        self.began = time.monotonic()
        self.cost = self.began - begin

    def summary(self) -> str:
        """What is kept, for a person."""
        states = self._states()
        return f"its state after epoch {int(states[0].stem[:6])} is kept" if states else "no epoch had ended"

    def remove(self) -> None:
        """Forget the training; nothing is left to go on from."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _states(self) -> list[Path]:
        """All states, the newest first."""
        return sorted(self.folder.glob("*.ckpt"), reverse=True)

    def _read_bound(self) -> dict[str, str]:
        try:
            found = json.loads((self.folder / "bound.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _say(sentence: str) -> None:
    print(f"lobule: {sentence}", file=sys.stderr, flush=True)
