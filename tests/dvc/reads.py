"""Which parameters stages read: `python -m tests.dvc.reads COMMANDS.json READS.json`, in a project's folder.

COMMANDS.json is a list of commands, each a list of a module and its arguments; they run one after the other in this
process. READS.json gets a list with, for each, the dotted keys that it read, by file.

A block of parameters keeps its path: one that is taken whole (model_dump, __dict__) reads all its keys, one that is
only looked at (`if study.instances`) reads `instances.`, with a dot at its end: something of it. A study that
`variant` builds reads `variants.<name>`, too, as any of its values may be that variant's own.
"""

import json
import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.base import params, schema, study

Origin = tuple[str, str, str]  # file, path of the block in it, and the key that says which variant changed it


def below(path: str, key: str) -> str:
    """The path of a key in the block that lies at a path."""
    return ".".join(part for part in (path, key) if part)


class Reads:
    """What was read since `start`, and where each block comes from."""

    def __init__(self) -> None:
        self.found: dict[str, set[str]] = {}
        self.origins: dict[int, tuple[Origin, Any]] = {}  # by id; the object is kept, so that its id stays its own
        self.building = False

    def note(self, origin: Origin, key: str) -> None:
        file, path, changed_by = origin
        keys = self.found.setdefault(file, set())
        keys.add(below(path, key))
        if changed_by:
            keys.add(changed_by)

    def know(self, block: Any, origin: Origin) -> Any:
        """Remember where a block and all in it come from."""
        self.origins[id(block)] = (origin, block)
        file, path, changed_by = origin
        values = object.__getattribute__(block, "__dict__") if isinstance(block, schema.Block) else block
        for key, value in values.items():
            if isinstance(value, schema.Block | dict):
                self.know(value, (file, below(path, key), changed_by))
        return block

    def origin(self, block: Any) -> Origin | None:
        """Where a block comes from; None of one that no file gave, or while a variant is built."""
        known = self.origins.get(id(block))
        return known[0] if known and not self.building else None

    @contextmanager
    def silently(self) -> Iterator[None]:
        before, self.building = self.building, True
        try:
            yield
        finally:
            self.building = before


READS = Reads()


class Watched(dict[Any, Any]):
    """A dict of a block, whose keys are read one by one."""

    origin: Origin

    def __getitem__(self, key: Any) -> Any:
        return self._seen(key, super().__getitem__(key))

    def get(self, key: Any, default: Any = None) -> Any:
        return self._seen(key, super().get(key, default))

    def values(self) -> Any:
        READS.note(self.origin, "")
        return super().values()

    def items(self) -> Any:
        READS.note(self.origin, "")
        return super().items()

    def _seen(self, key: Any, value: Any) -> Any:
        file, path, changed_by = self.origin
        return seen(value, (file, path, changed_by), key)


def seen(value: Any, origin: Origin, key: str) -> Any:
    """A value that was read; blocks and dicts in it tell of themselves."""
    if isinstance(value, schema.Block | dict):
        READS.note(origin, f"{key}.")
    if isinstance(value, dict):
        watched = Watched(value)
        watched.origin = (origin[0], below(origin[1], key), origin[2])
        return watched
    if not isinstance(value, schema.Block):
        READS.note(origin, key)
    return value


def watch() -> None:
    """Have blocks tell what is read of them, and the functions that make them where they come from."""
    plain = object.__getattribute__

    def attribute(block: schema.Block, name: str) -> Any:
        value = plain(block, name)
        origin = READS.origin(block)
        if origin is None:
            return value
        if name == "__dict__":
            READS.note(origin, "")
        return seen(value, origin, name) if name in type(block).model_fields else value

    def dump(block: schema.Block, **options: Any) -> dict[str, Any]:
        if origin := READS.origin(block):
            include, exclude = options.get("include"), options.get("exclude") or ()
            for key in type(block).model_fields:
                if (include is None or key in include) and (key not in exclude or isinstance(exclude, dict)):
                    READS.note(origin, key)
        with READS.silently():
            return base_dump(block, **options)

    def known(read: Callable[..., Any], file: Callable[..., str]) -> Callable[..., Any]:
        return lambda *given, **options: READS.know(read(*given, **options), (file(*given), "", ""))

    def build(of: study.Study, name: str) -> tuple[str, study.AnyStudy]:
        origin = READS.origin(of)
        with READS.silently():
            encoder, built = plain_variant(of, name)
            named = name in of.variants
        if origin:
            changed_by = f"variants.{name}" if named else ""
            if named:
                READS.note(origin, changed_by)  # the encoder stands there
            READS.know(built, (origin[0], "", changed_by))
        return encoder, built

    base_dump, plain_variant = schema.Block.model_dump, study.variant
    schema.Block.__getattribute__ = attribute  # type: ignore[method-assign]
    schema.Block.model_dump = dump  # type: ignore[assignment, method-assign]
    study.variant = build
    study.read_study = known(study.read_study, lambda name: f"studies/{name}/params.yaml")
    params.read_params = known(params.read_params, lambda: "params.yaml")


def main() -> None:
    commands, target = (Path(name) for name in sys.argv[1:])
    watch()
    result = []
    for module, *arguments in json.loads(commands.read_text()):
        READS.found = {}
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__")
        result.append({file: sorted(keys) for file, keys in READS.found.items()})
        target.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
