"""What one stage writes another reads, and what it cannot read is one sentence."""

import json
from pathlib import Path

import pytest

from pipeline.base.errors import Problem
from pipeline.base.records import (
    Applied,
    AppliedParameters,
    AppliedSlide,
    Known,
    Leaks,
    Machine,
    Metrics,
    Model,
    NearDuplicates,
    Record,
    Seen,
    Source,
    SourceFile,
    Speed,
    TileName,
    Training,
    TrainingMachine,
)

MACHINE = TrainingMachine(
    seconds=1.5, device="cpu", precision="float32", threads=1, torch="2", python="3", platform="nowhere"
)
TILE = TileName(dataset="one", shard="fold1", index=3)
SPEED = Speed(
    device="cpu",
    parameters=5,
    flops_per_image=None,
    images_per_second={"1": 3.5, "16": 20.0},
    best_batch="16",
    images=7,
    seconds=0.5,
)
MODEL = Model(
    study="mine",
    variant="unet-plain",
    task="segmentation",
    encoder="unet",
    classes=["background", "nucleus"],
    tile_size=64,
    microns_per_pixel=0.25,
    greyscale=False,
    target=None,
    shape={"width": 8, "decoder_channels": [8, 8, 8], "head": 1},
    weights="random",
    mean=[0.5, 0.5, 0.5],
    std=[0.25, 0.25, 0.25],
    licence="CC BY 4.0",
    datasets=["one"],
    sample=False,
    trained_on=[Seen(dataset="one", sha256="1" * 64, shards=["fold1"], patients=["7"])],
)
RECORDS: list[Record] = [
    Source(
        dataset="one",
        source="official",
        folder="data/raw/one",
        licence="CC BY 4.0",
        licence_url="https://example.org",
        citation="Müller, 2020",
        files=[SourceFile(name="a.png", bytes=3, sha256="0" * 64)],
        sha256="1" * 64,
    ),
    Leaks(
        tiles={"train": 2, "validation": 0, "test": 1},
        known={"one": Known(tiles=3, patient=2, barcode=0, slide=1)},
        unknown=["No patient is known for 1 of 3 tiles."],
        textureless=1,
        distance=3,
        near_duplicates=[
            NearDuplicates(distance=1, nearest={"train": TILE, "test": TILE}, tiles={"train": 2, "test": 1})
        ],
        near_groups=1,
        leaks={"slide": 1},
    ),
    MODEL,
    Training(
        study="mine",
        run=1,
        seed=42,
        variant="unet",
        plan="plain",
        title="unet-random-plain",
        weights="random",
        examples={"train": 2, "validation": 1},
        epochs_run=3,
        best_epoch=2,
        stopped_early=False,
        parameters=5,
        trainable_parameters=5,
        weights_sha256="2" * 64,
        store_sha256={"one": "1" * 64},
        machine=MACHINE,
    ),
    SPEED,
    Metrics(
        variant="otsu",
        plan="plain",
        run=1,
        seed=42,
        title=None,
        weights=None,
        parameters=None,
        trainable_parameters=None,
        flops_per_image=None,
        epochs_run=None,
        best_epoch=None,
        weights_sha256=None,
        scores={"mean_iou": 0.1 + 0.2, "per_class": {"nucleus": {"iou": None}}, "counts": [[1, 2], [3, 4]]},
    ),
    Machine(training=MACHINE, speed=SPEED),
    Machine(training=None, speed=None),
    Applied(
        weights="models/mine",
        weights_sha256="1" * 64,
        model=MODEL,
        licence="CC BY 4.0",
        parameters=AppliedParameters(
            tile_size=64,
            overlap=16,
            background=12.5,
            flips=False,
            instances="watershed",
            minimum_size=10,
            microns_per_pixel=None,
            regions=None,
        ),
        batch=8,
        device="cpu",
        versions={"torch": "2"},
        slides=[
            AppliedSlide(
                name="one",
                path="one.svs",
                bytes=7,
                width=100,
                height=90,
                microns_per_pixel=0.25,
                downsample=1,
                tiles=4,
                square_millimetres=0.1,
                nuclei={"nucleus": 3},
                seconds=1.5,
            )
        ],
        failed={"two": "two.svs is cut off"},
        seconds=2,
        peak_memory=10**9,
    ),
]


def test_every_record_is_among_them() -> None:
    assert {type(record) for record in RECORDS} == set(Record.__subclasses__())


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_survives_its_file(record: Record, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    record.write(path)
    assert type(record).read(path) == record
    first = path.read_bytes()
    assert first.endswith(b"}\n") and json.loads(first)["format"] == record.format
    type(record).read(path).write(path)
    assert path.read_bytes() == first


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_that_cannot_be_read_is_one_sentence(record: Record, tmp_path: Path) -> None:
    path = tmp_path / "record.json"

    def refused(content: bytes) -> str:
        path.write_bytes(content)
        with pytest.raises(Problem) as problem:
            type(record).read(path)
        assert "\n" not in str(problem.value)
        return str(problem.value)

    record.write(path)
    whole, raw = path.read_bytes(), json.loads(path.read_bytes())
    del raw["crc32"]
    broken = f"{path} is broken or of another version of Lobule"
    assert refused(whole[: len(whole) // 2]).startswith(broken)
    assert refused(b"").startswith(broken)
    assert refused(b"\xff").startswith(broken)
    assert refused(json.dumps([raw]).encode()).startswith(broken)
    assert refused(json.dumps(raw | {"format": raw["format"] + 1}).encode()).startswith(broken)
    assert refused(json.dumps(raw | {"new": 1}).encode()).endswith("; run `dvc repro` again.")
    last = next(name for name in reversed(raw) if type(record).model_fields[name].is_required())
    assert refused(json.dumps({key: value for key, value in raw.items() if key != last}).encode()).startswith(broken)


def test_a_changed_value_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    RECORDS[4].write(path)
    raw = json.loads(path.read_bytes())
    path.write_text(json.dumps(raw | {"seconds": raw["seconds"] + 1}))
    with pytest.raises(Problem, match=r"speed\.json is damaged; `lobule doctor` says what to remove"):
        type(RECORDS[4]).read(path)
    del raw["crc32"]  # as a person would write it
    path.write_text(json.dumps(raw))
    assert type(RECORDS[4]).read(path) == RECORDS[4]


def test_a_missing_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"leaks\.json is missing; run `dvc repro` so that it is written\."):
        Leaks.read(tmp_path / "leaks.json")


def test_a_folder_in_the_place_of_a_record_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"cannot be read \(Is a directory\); run `dvc repro` again"):
        Speed.read(tmp_path)
