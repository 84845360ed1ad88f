"""Ways to spoil a file; each takes the draw and a file's path, and changes it in place where it can."""

import csv
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

NAMES = [
    "a b",
    "a'b",
    'a"b',
    "a\nb",
    "<script>alert(1)</script>",
    "a|b",
    "../../up",
    "/absolute",
    "x; touch ran",
    "$(touch ran)",
    "é",
]
NAMES += ["x" * 300, *["\u202e", "", "CON", "-rf", "%s", "{0}", "NA", "nan", "=1+1", "\x00"]]
VALUES: list[Any] = [None, True, [], {}, -1, 0, 10**30, -(10**30), 1e308, float("nan"), float("inf"), 0.5]
VALUES += ["1e999", "x" * 10_000, [[[[]]]], {"a": {"b": {}}}, *NAMES]
DEEP = 5_000  # levels of a text, at most, that ruamel.yaml is given here
NUMBERS = ["NaN", "-1", "1e400", "99999999999999999999", "0", "-0.0", "x", "", "1,5", "0x10", "Infinity", '"', "١"]


def truncate(draw: Random, path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(len(content) + 1)])


def flip_bits(draw: Random, path: Path) -> None:
    content = bytearray(path.read_bytes())
    early = draw.random() < 0.5  # where the headers are
    for _ in range(draw.choice([1, 1, 2, 8, 64]) if content else 0):
        content[draw.randrange(min(len(content), 512) if early else len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def cut_out(draw: Random, path: Path) -> None:
    content = path.read_bytes()
    at, length = draw.randrange(len(content) + 1), draw.choice([1, 2, 16, 1000])
    path.write_bytes(content[:at] + content[at + length :])


def put_in(draw: Random, path: Path) -> None:
    content = path.read_bytes()
    at = draw.randrange(len(content) + 1)
    new = draw.choice(
        [draw.randbytes(draw.randrange(1, 64)), b"\0" * 100, b"\xff" * 8, content[:64], b"[" * 50_000, b"\r\n"]
    )
    path.write_bytes(content[:at] + new + content[at:])


def overwrite(draw: Random, path: Path) -> None:
    content = bytearray(path.read_bytes())
    at, length = draw.randrange(len(content) + 1), draw.choice([4, 8, 64])
    content[at : at + length] = draw.choice([b"\0", b"\xff", b"\x7f"]) * length
    path.write_bytes(content)


def replace(draw: Random, path: Path) -> None:
    path.write_bytes(
        draw.choice(
            [
                b"",
                b"\0" * 1000,
                b"<html><body>Log in</body></html>",
                b"PK\x05\x06" + b"\0" * 18,
                b"%PDF-1.4",
                draw.randbytes(2000),
                b"version https://git-lfs.github.com/spec/v1\n",
                b"[" * 200_000,
                b"\n" * 1000,
                "é\nü".encode("utf-16"),
                "Grüße".encode("cp1252"),
            ]
        )
    )


def number(draw: Random, path: Path) -> None:
    """Put something else for some of the numbers of a text."""
    content = path.read_text(encoding="utf-8", errors="surrogateescape")
    places = list(re.finditer(r"-?\d+(\.\d+)?", content))
    for found in sorted(draw.sample(places, min(len(places), draw.choice([1, 2, 5]))), key=lambda at: -at.start()):
        content = content[: found.start()] + draw.choice(NUMBERS) + content[found.end() :]
    path.write_text(content, encoding="utf-8", errors="surrogateescape")


def word(draw: Random, path: Path) -> None:
    """Put a hostile name for a word of a text."""
    content = path.read_text(encoding="utf-8", errors="surrogateescape")
    places = list(re.finditer(r"[A-Za-z_][\w.-]*", content))
    if places:
        found = draw.choice(places)
        content = content[: found.start()] + draw.choice(NAMES) + content[found.end() :]
    path.write_text(content, encoding="utf-8", errors="surrogateescape")


def node(draw: Random, path: Path) -> None:
    """Put something else for a value, or a key, of a JSON or YAML; written as JSON, which is YAML, too."""
    from ruamel.yaml import YAML

    text = path.read_text(encoding="utf-8")
    if sum(map(text.count, ("[", "{", "- "))) > DEEP:
        raise ValueError(f"{path} may be nested deeper than ruamel.yaml can read without a crash")
    tree = YAML(typ="safe").load(text) if path.suffix == ".yaml" else json.loads(text)
    places: list[tuple[Any, Any]] = []
    waiting = [tree]
    for block in waiting:
        for key in range(len(block)) if isinstance(block, list) else list(block):
            places.append((block, key))
            if isinstance(block[key], list | dict):
                waiting.append(block[key])
    for block, key in draw.sample(places, min(len(places), draw.choice([1, 1, 3]))):
        how = draw.randrange(5)
        if how == 0 and isinstance(block, dict):
            block[draw.choice(NAMES)] = block.pop(key, None)
        elif how == 1 and isinstance(block, dict):
            block.pop(key, None)
        else:
            block[key] = draw.choice(VALUES)
    path.write_text(json.dumps(tree, ensure_ascii=draw.random() < 0.5), encoding="utf-8", errors="replace")


def deepen(draw: Random, path: Path) -> None:
    """Nest a text's first value, or an array in it, very deep."""
    content, depth = path.read_text(encoding="utf-8", errors="replace"), draw.choice([100, 2000, 100_000])
    opening, closing = draw.choice([("[", "]"), ('{"a":', "}"), ("<a>", "</a>"), ("- ", "")])
    at = draw.choice([0, *(found.end() for found in re.finditer(r"[\[:,>]", content))][:200])
    path.write_text(content[:at] + opening * depth + "1" + closing * depth + content[at:], encoding="utf-8")


def cell(draw: Random, path: Path) -> None:
    """Put something else for a cell, drop one, or say a line twice."""
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    row = draw.choice([row for row in rows if row])
    how = draw.randrange(4)
    if how == 0:
        rows.insert(draw.randrange(len(rows)), list(row))
    elif how == 1:
        row.pop(draw.randrange(len(row)))
    else:
        row[draw.randrange(len(row))] = draw.choice([*NUMBERS, *NAMES])
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")


def yaml_bomb(draw: Random, path: Path) -> None:
    level = "{<<: [%s]}" if draw.random() < 0.5 else "[%s]"
    lines = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {level % ', '.join([f'*a{n - 1}'] * 9)}" for n in range(1, 30))]
    path.write_text("\n".join(lines) + "\n" + path.read_text(encoding="utf-8"), encoding="utf-8")


def xml_bomb(draw: Random, path: Path) -> None:
    """Entities: a billion laughs, a long one said often, one of another file."""
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    long = f'<!ENTITY a11 "{"x" * 100_000}">'
    declared = draw.choice([f'<!ENTITY a0 "ha">{laughs}', long, '<!ENTITY a11 SYSTEM "file:///etc/passwd">'])
    content = re.sub(r"^<\?xml.*?\?>", "", path.read_text(encoding="utf-8"))
    content = re.sub(r'(?<=")\d[\d.]*(?=")', "&a11;" * draw.choice([1, 1000]), content, count=1)
    path.write_text(f"<!DOCTYPE Annotations [{declared}]>{content}", encoding="utf-8")


def npy_header(draw: Random, path: Path) -> None:
    """An array whose header says something else: pickled objects, enormous, negative, nested shapes."""
    content = path.read_bytes()
    length = struct.unpack("<H", content[8:10])[0]
    header = content[10 : 10 + length].decode("latin1").strip()
    old, new = draw.choice(
        [
            (r"'descr': '[^']*'", "'descr': '|O'"),
            (r"'descr': '[^']*'", "'descr': '<U99999999'"),
            (
                r"'descr': '[^']*'",
                f"'descr': '{draw.choice(['<f8', '<f4', '<i8', '|b1', '<c16', '<M8[s]', '|V3', '|S0'])}'",
            ),
            (r"'descr': '[^']*'", "'descr': [('a', '<f8')]"),
            (r"\(\d+", f"({draw.choice(['-1', '0', '99999999999', '1'])}"),
            (r"False", "True"),
            (r"\{", "{" * 500),
            (r"\d+", "9" * 5000),
        ]
    )
    header = re.sub(old, lambda _: new, header, count=1) + "\n"
    path.write_bytes(
        content[:8] + struct.pack("<H", len(header) & 0xFFFF) + header.encode("latin1") + content[10 + length :]
    )


def png_size(draw: Random, path: Path) -> None:
    """A picture that says it is enormous, with right checksums: a bomb where memory is taken for what is said."""
    content = bytearray(path.read_bytes())
    if content[:4] == b"\x89PNG":
        sides = draw.choice([(1, 1), (0, 0), (60_000, 60_000), (2**31 - 1, 2**31 - 1), (8_000, 8_000), (64, 10**6)])
        content[16:24] = struct.pack(">II", *sides)
        if draw.random() < 0.3:
            content[24:26] = bytes([draw.choice([1, 8, 16]), draw.choice([0, 2, 3, 4, 6])])
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


def zip_members(draw: Random, path: Path) -> None:
    """A zip with a member that climbs, is a link, or is a bomb; or with its members under other names."""
    with zipfile.ZipFile(path) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in members:
            if draw.random() < 0.2:
                suffix = Path(info.filename).suffix
                name = draw.choice(
                    [
                        f"../../up{suffix}",
                        f"/absolute{suffix}",
                        f"c:\\x{suffix}",
                        f"a\\b{suffix}",
                        info.filename,
                        f"<b>{suffix}",
                        f"{info.filename}/x{suffix}",
                        "x" * 300 + suffix,
                    ]
                )
                info = zipfile.ZipInfo(name)
                info.external_attr = draw.choice([0, 0o120777 << 16, 0o20666 << 16])
                content = draw.choice([content, b"", b"\0" * (300 << 20) if draw.random() < 0.1 else b"0"])
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)


def link(draw: Random, path: Path) -> None:
    """Something that is no file."""
    path.unlink()
    how = draw.randrange(4)
    if how == 3:
        path.mkdir()
    else:
        path.symlink_to(["/etc/hostname", path.with_name("nowhere"), path][how])


def rename(draw: Random, path: Path) -> None:
    """Another name, which a file may have."""
    name = draw.choice(NAMES).replace("/", "").replace("\0", "")[:200]
    beside = draw.choice(
        [name + path.suffix, path.stem + name, path.stem, path.name.upper(), f".{path.name}", f"{path.name}.bak"]
    )
    if beside not in ("", ".", ".."):
        path.rename(path.with_name(beside))


def gone(draw: Random, path: Path) -> None:
    path.unlink()


ANY: list[Callable[[Random, Path], None]] = [
    truncate,
    flip_bits,
    flip_bits,
    cut_out,
    put_in,
    overwrite,
    replace,
    link,
    rename,
    gone,
]
OWN: dict[str, list[Callable[[Random, Path], None]]] = {
    ".json": [node, node, node, number, word, deepen],
    ".geojson": [node, node, node, number, word, deepen],
    ".yaml": [node, node, node, number, word, deepen, yaml_bomb],
    ".csv": [cell, cell, cell, number, word, deepen],
    ".xml": [number, number, word, deepen, xml_bomb, xml_bomb],
    ".npy": [npy_header] * 4,
    ".png": [png_size] * 2,
    ".zip": [zip_members] * 4,
    ".xlsx": [zip_members],
}


def mutate(draw: Random, path: Path) -> str:
    """Spoil a file once, sometimes more; say how."""
    names = []
    for _ in range(draw.choice([1, 1, 1, 2])):
        if not path.is_file():
            break
        chosen = draw.choice([*ANY, *OWN.get(path.suffix.lower(), []) * 2])
        try:
            chosen(draw, path)
        except Exception:
            continue
        names.append(chosen.__name__)
        if chosen is yaml_bomb:  # which no other way can read
            break
    return " and ".join(names)
