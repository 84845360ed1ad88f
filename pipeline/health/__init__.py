"""Is all well with the project, its cache and the machine? What `lobule doctor` asks; nothing here changes anything."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What was found of one thing, and what a person types where something is wrong or could be better."""

    what: str  # a word: cache, disk, git
    said: str  # a sentence
    wrong: bool = False  # work is lost or results cannot be trusted until it is mended
    cure: tuple[str, ...] = ()  # what to type, a line each
