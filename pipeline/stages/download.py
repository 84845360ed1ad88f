"""Get a data set: draw its sample, download it, or find it in a folder where it already lies.

In: `datasets.<name>.source` of params.yaml. Out: `data/raw/<name>` with LICENCE.txt, SOURCE.json (where the files lie,
their checksums, licence and citation; no times, so that the same data gives the same bytes) and, for `sample` and
`official`, the files themselves.

Downloads go to `data/incoming/<name>` and are linked from there: DVC deletes `data/raw/<name>` before this stage runs.
"""

import argparse
import hashlib
import shutil
from pathlib import Path

from pipeline import datasets
from pipeline.base.errors import Problem, run_stage
from pipeline.base.fetch import fetch, sha256_of
from pipeline.base.files import replacing, write_text
from pipeline.base.params import Params, own_folder, read_params
from pipeline.base.paths import RAW
from pipeline.base.records import Source, SourceFile
from pipeline.base.schema import parse
from pipeline.datasets import Card

INCOMING = Path("data/incoming")


def main() -> None:
    parser = argparse.ArgumentParser(description="Get a data set as datasets.<name>.source of params.yaml says.")
    parser.add_argument("dataset")
    name = parser.parse_args().dataset
    params = read_params()
    get(name, params.dataset(name).source, params)


def get(name: str, source: str, params: Params) -> None:
    """Fill `data/raw/<name>` from a source: sample, official, or a folder.

    Raises:
        Problem: the folder is missing or lacks a part of the data set, or the download failed.
    """
    raw, card = RAW / name, datasets.load_card(name)
    notice = licence_notice(card, source)
    print(notice, end="", flush=True)  # before a download that may take hours
    folder = own_folder(name, source) or raw
    if source == "official":
        download(card, INCOMING)
    with replacing(raw) as temporary:
        temporary.mkdir()
        if source == "sample":
            settings = parse(card.sample, params.sample[name], f"params.yaml: sample.{name}")
            datasets.load_drawing(name).draw(temporary, params.sample["seed"], settings)
        elif source == "official":
            for file in card.files:
                link(INCOMING / name / file.name, temporary / file.name)
        lies_in = temporary if folder == raw else folder
        paths = sorted({path for part in datasets.load_reader(name).find(lies_in) for path in part.files})
        files = [
            SourceFile(name=path.relative_to(lies_in).as_posix(), bytes=path.stat().st_size, sha256=sha256_of(path))
            for path in paths
        ]
        write_text(temporary / "LICENCE.txt", notice)
        source_record(card, source, folder, files).write(temporary / "SOURCE.json")


def licence_notice(card: Card, source: str) -> str:
    """What is printed and kept beside the data."""
    if source == "sample":
        return f"Tiles drawn by Lobule in the format of {card.title}: none of them is real, no licence binds them.\n"
    if not card.licence_url:
        return f"{card.title}: your own data, read where they lie. Licence: {card.licence}.\n"
    return f"{card.title}, {card.homepage}\nLicence: {card.licence}, {card.licence_url}\nPlease cite: {card.citation}\n"


def download(card: Card, incoming: Path) -> None:
    """Download what is missing of the data set's files to its folder in `incoming`, and check all of them."""
    if not card.files:
        raise Problem(
            f"{card.title} cannot be downloaded by a program; get it with a browser ({card.homepage} says how) and"
            f" give its folder as datasets.{card.name}.source in params.yaml."
        )
    for file in card.files:
        fetch(file.url, incoming / card.name / file.name, file.sha256, file.bytes)


def link(file: Path, target: Path) -> None:
    """Make `target` the same file, or a copy where the file system has no hard links between the two."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(file.resolve())
    except OSError:
        shutil.copyfile(file, target)


def source_record(card: Card, source: str, folder: Path, files: list[SourceFile]) -> Source:
    """The content of SOURCE.json. Its `sha256` changes whenever a file of the data set is added, lost or changed."""
    lines = "".join(f"{file.name} {file.sha256}\n" for file in sorted(files, key=lambda file: file.name))
    real = source != "sample"
    return Source(
        dataset=card.name,
        source=source,
        folder=folder.as_posix(),
        licence=card.licence if real else "none: drawn tiles",
        licence_url=card.licence_url if real else "",
        citation=card.citation if real else "",
        files=files,
        sha256=hashlib.sha256(lines.encode()).hexdigest(),
    )


if __name__ == "__main__":
    run_stage(main)
