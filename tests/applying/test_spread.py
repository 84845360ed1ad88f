"""A model on workers, with hands that do as they are told: what is lost, fails, and is told of it."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.applying import on_worker, spread
from pipeline.applying.here import Asked
from pipeline.applying.model import choose
from pipeline.applying.spread import Spread, workers_for
from pipeline.base.errors import Problem
from pipeline.base.records import AppliedParameters, AppliedSlide
from pipeline.cluster.asked import add_arguments
from pipeline.cluster.workers import Gone
from tests.commands.test_apply import make_model

PARAMETERS = AppliedParameters(
    tile_size=32, overlap=8, background=12.5, flips=False, instances=None, minimum_size=0, score=None,
    microns_per_pixel=None, regions=None, gzip=False, points=False, parquet=False, engine="onnx",
)  # fmt: skip
USED = on_worker.Used("onnx", 0.0001, "cpu, 2 threads", False)


class Hands:
    """A worker that does one thing after another."""

    run = "a call"

    def __init__(self, do: Callable[[str, tuple[Any, ...]], Any]) -> None:
        self._do = do
        self._running: list[tuple[str, Any]] = []
        self.begun: list[str] = []
        self.is_ended = False

    def fits(self, needs: dict[str, float]) -> bool:
        return not self._running

    def submit(self, name: str, function: Any, arguments: tuple[Any, ...], needs: Any, priority: int) -> None:
        self.begun.append(name)
        self._running.append((name, self._do(name, arguments)))

    def next_ended(self, timeout: float) -> tuple[str, Any] | None:
        return self._running.pop() if self._running else None

    def workers(self) -> dict[str, Any]:
        return {"one": {}}

    def at_once(self, needs: Any) -> int:
        return 1

    def end(self) -> None:
        self.is_ended = True


def slide(name: str, path: Path) -> AppliedSlide:
    return AppliedSlide(
        name=name, path=str(path), bytes=9, width=30, height=20, microns_per_pixel=0.5, downsample=1, tiles=1,
        square_millimetres=0.1, nuclei=None, seconds=1,
    )  # fmt: skip


@pytest.fixture
def slides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    monkeypatch.chdir(tmp_path)
    make_model(tmp_path / "weights")
    for size, name in enumerate(("small", "middle", "large")):
        Path(f"{name}.svs").write_bytes(b"x" * size)
    return {name: Path(f"{name}.svs") for name in ("small", "middle", "large")}


def spread_over(hands: Hands) -> Spread:
    asked = Asked(choose("weights", None, None, "none", 0), None, None, 8, None, False)
    return Spread(hands, asked, 1)  # type: ignore[arg-type]


def test_what_is_lost_is_tried_again_and_what_fails_is_told(
    slides: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[on_worker.Order, on_worker.One]] = []

    def do(name: str, arguments: tuple[Any, ...]) -> Any:
        if name == spread.NETWORK:
            return USED
        seen.append(arguments)  # type: ignore[arg-type]
        one = arguments[1]
        times = [each.name for _, each in seen].count(name)
        if name == "large":
            return None
        if name == "middle":
            return on_worker.Found(None, f"{one.path} is no slide", 3 << 30)
        return on_worker.Found(slide(name, one.path), "", 1 << 30) if times == 2 else None

    hands = Hands(do)
    spreading = spread_over(hands)
    done, failed = spreading.apply_to_all(slides, Path("out"), PARAMETERS)
    assert hands.begun == [spread.NETWORK, "large", "large", "large", "middle", "small", "small"]  # the largest first
    assert [(each.name, each.path) for each in done] == [("small", "small.svs")]
    assert list(failed) == ["middle", "large"]
    assert failed["middle"] == "middle.svs is no slide"
    assert "3 workers were lost with large.svs" in failed["large"]
    assert spreading.peak() == 3 << 30
    said = capsys.readouterr()
    assert said.out.count("The worker that had large is lost") == 2
    assert "small: 0.1 mm2" in said.out
    assert "lobule: middle: middle.svs is no slide" in said.err
    order, one = seen[0]
    assert (order.asked.engine, order.on_gpu, order.asked.model.folder) == ("onnx", False, Path.cwd() / "weights")
    assert one.path.is_absolute() and one.out.is_absolute()


def test_a_network_that_cannot_be_loaded_is_a_problem(slides: dict[str, Path]) -> None:
    with pytest.raises(Problem, match="no weights here"):
        spread_over(Hands(lambda name, arguments: Problem("no weights here")))
    with pytest.raises(Problem, match="3 workers were lost with the network of weights"):
        spread_over(Hands(lambda name, arguments: None))


def test_an_interruption_ends_the_workers_and_says_how_far_it_came(slides: dict[str, Path]) -> None:
    def do(name: str, arguments: tuple[Any, ...]) -> Any:
        if name == "small":
            raise KeyboardInterrupt
        return USED if name == spread.NETWORK else on_worker.Found(slide(name, arguments[1].path), "", 1)

    hands = Hands(do)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt, match="2 of 3 slides were done"):
        spread_over(hands).apply_to_all(slides, Path("out"), PARAMETERS)
    assert hands.is_ended
    assert time.monotonic() - began < spread.ANSWER


def test_what_a_worker_makes_of_an_interruption_is_not_told_in_its_place(
    slides: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    hands = Hands(lambda name, arguments: USED)
    spreading = spread_over(hands)

    def next_ended(timeout: float) -> tuple[str, Any] | None:
        if hands.is_ended:
            raise Gone("A worker cannot run large (RuntimeError: ).")
        raise KeyboardInterrupt

    monkeypatch.setattr(hands, "next_ended", next_ended)
    with pytest.raises(KeyboardInterrupt, match="0 of 3 slides were done"):
        spreading.apply_to_all(slides, Path("out"), PARAMETERS)


def asked(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser, "slides", "1")
    return parser.parse_args(words)


@pytest.mark.parametrize(("words", "slides"), [([], 9), (["--jobs", "1"], 9), (["--jobs", "4"], 1)])
def test_where_one_process_is_enough_there_are_no_workers(words: list[str], slides: int, tmp_path: Path) -> None:
    with workers_for(asked(*words), slides, tmp_path / "out") as hands:
        assert hands is None
    assert not (tmp_path / "out").exists()


def test_no_more_processes_than_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with workers_for(asked("--jobs", "4"), 9, tmp_path / "out") as hands:
        assert hands is None


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="--jobs is 0"), workers_for(asked("--jobs", "0"), 9, tmp_path):
        pass
    with pytest.raises(Problem, match="needs --jobs N"), workers_for(asked("--cluster", "slurm"), 9, tmp_path):
        pass
