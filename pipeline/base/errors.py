"""The one way in which a stage tells a person that something is wrong with what it was given."""

import sys
from collections.abc import Callable

from pipeline.base.faults import sentence


class Problem(Exception):
    """Bad input. The message is one sentence that names the file and the cure."""


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's `main`; a `Problem`, or a fault of the machine, becomes one line on stderr and exit code 1."""
    try:
        main()
    except Problem as problem:
        print(f"lobule: {problem}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("lobule: interrupted; run the same command again to go on.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        said = sentence(error)
        if said is None:
            raise
        print(f"lobule: {said}", file=sys.stderr)
        sys.exit(1)
