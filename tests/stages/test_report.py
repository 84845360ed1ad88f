"""The report of a study of U-Nets: what it says, what it leaves out, and that it is the same twice."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import h5py
import pandas as pd
import pytest
from PIL import Image

from pipeline.base.errors import Problem
from pipeline.base.params import read_params
from pipeline.base.parquet import read_rows, write_rows
from pipeline.base.study import read_study
from pipeline.reporting import band, facts, row_tables, scoring
from pipeline.stages import report as stage
from pipeline.tasks.segmentation import report
from pipeline.tiles.plan import read_plan, write_plan
from pipeline.tiles.store import shards
from tests import fabricated

PICTURES = {"best.png", "worst.png"}
FIGURES = {"ranking.png", "ranks.png", "losses.png", "validation.png", "confusion.png"}


@pytest.fixture(scope="module", autouse=True)
def few_resamples() -> Iterator[None]:
    """Enough to see that intervals and verdicts are there; a report takes many more."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("REPEATS", "PAIRED", "RANKED"):
            patch.setattr(scoring, name, 200)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with every variant evaluated and reported; tests work on copies of it."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        fabricated.make_params()
        fabricated.make_tiles("sample")
        fabricated.make_evaluations()
        fabricated.write_report()
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    return folder


def page_of(folder: Path) -> str:
    return (folder / "reports" / "pannuke.md").read_text(encoding="utf-8")


def write(figures: bool = False) -> str:
    """Run the report stage again, by default without its figures, which take the time, and give its page."""
    with pytest.MonkeyPatch.context() as patch:
        if not figures:
            patch.setattr(report, "draw_figures", lambda *arguments: None)
        return fabricated.write_report()


def test_the_first_line_of_a_sample_report_warns(project: Path) -> None:
    first = page_of(project).splitlines()[0]
    assert "Synthetic tiles" in first and "random initial weights" in first and "mean nothing clinically" in first


def test_the_page_is_whole(project: Path) -> None:
    page = page_of(project)
    assert page.startswith("> ") and page.endswith("</details>\n")
    assert "{{" not in page and "{%" not in page and "None" not in page and "nan" not in page
    assert "\n\n\n" not in page
    for link in re.findall(r"\]\((pannuke/[^)]+)\)", page):
        assert Path("reports", link).is_file(), link
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        assert len({row.replace(r"\|", "").count("|") for row in table.splitlines()}) == 1, table


def test_ours_stand_beside_the_published_figures(project: Path) -> None:
    page = page_of(project)
    ours = pd.read_csv("reports/pannuke/scores.csv").set_index(["variant", "plan"])
    vgg = ours.loc[("vgg19", "plain"), "mean_iou"]
    assert re.search(
        rf"\| U-Net \+ VGG19 \| plain \| {vgg:.3f} \[[\d.,\s]+\] \| 0\.430 \| −{0.430 - vgg:.3f} ‡ \|", page
    )
    assert "**Not comparable with the published figures**: the tiles are synthetic; `tile_size` is 32, the" in page
    assert "| U-Net + ResNet50\N{NO-BREAK SPACE}◀\N{NO-BREAK SPACE}`encoder` | augmented |" in page
    assert "| published: CellViT-SAM-H § |" in page and "**the rows cannot be compared here**" in page
    assert "| published: HoVer-Net ¶ |" in page and "F1 of detected nuclei" in page


def test_sanity_rows_stand_in_every_table_of_scores(project: Path) -> None:
    page = page_of(project)
    for title in ("Segmentation", "Which differences", "Nuclei", "Classification"):
        section = page.split(f"## {title}")[1].split("\n## ")[0]
        assert "| *background everywhere* |" in section and "| *Otsu on haematoxylin* |" in section, title


def test_verdicts_come_with_intervals_and_the_number_of_tiles(project: Path) -> None:
    page = page_of(project)
    section = page.split("## Which differences")[1].split("\n## ")[0]
    assert f"on the same {fabricated.TILES} test tiles" in section
    rows = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| model")]
    assert len(rows) == 14
    for row in rows:
        assert row.split("|")[-2].strip() in ("better", "worse", "no difference shown")
        assert re.search(r"−?\d\.\d{3} \[.+,\s.+\]", row)


def test_the_best_variant_has_a_star(project: Path) -> None:
    page = page_of(project)
    best = re.search(r"Highest mean IoU: \*\*(.+), (\w+), ", page)
    assert best and f"| **{best[1]}**\N{NO-BREAK SPACE}★ | {best[2]} |" in page.split("## Segmentation")[1]


def test_behind_each_verdict_stand_its_own_models(project: Path) -> None:
    page = page_of(project)
    sentence = next(line for line in page.splitlines() if line.startswith("- The 12 other variants against it: "))
    found = re.findall(r"\d+ ([a-z ]+) \((.*?)\)(?:, |\.)", sentence)
    said = {verdict: names.split("; ") for verdict, names in found}
    section = page.split("## Which differences")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if "[" in line and "|" in line
    ]
    for model, plan, *_, verdict in rows:
        if not model.startswith("*"):
            name = model.removesuffix("\N{NO-BREAK SPACE}◀\N{NO-BREAK SPACE}`encoder`")
            assert f"{name}, {plan}" in said[verdict]
    assert sum(map(len, said.values())) == 12


def test_what_looks_alike_and_what_nobody_knows_is_said(project: Path) -> None:
    page = page_of(project)
    assert "1 group of tiles on two sides looks nearly alike" in page
    assert "No patient is known for 15 of 15 tiles of pannuke, nor a slide: a patient may be on two sides" in page
    assert "Leaks: none that can be known." in page and "Leaks: none. " not in page
    assert "run 1, fold1 tile 1 (train) and fold3 tile 1 (test)." in page_of(project)


def test_one_run_says_that_it_is_one(project: Path) -> None:
    assert "**One training a variant.**" in page_of(project)
    assert "±" not in page_of(project).split("## Can this be reproduced?")[0]


def test_three_runs_give_a_mean_and_a_standard_deviation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fabricated.make_params()
    fabricated.make_tiles("sample")
    fabricated.make_evaluations(runs=(1, 2, 3))
    page = write()
    scores = pd.read_csv("reports/pannuke/scores.csv").groupby(["variant", "plan"])["mean_iou"]
    mean, sd = scores.mean()["vgg19", "plain"], scores.std()["vgg19", "plain"]
    assert f"| U-Net + VGG19 | plain | {mean:.3f}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{sd:.3f} [" in page
    assert "Each figure is the mean of 3 runs" in page


@pytest.mark.parametrize(("column", "unit"), [("patient", "patients"), ("slide", "slides")])
def test_patients_are_what_is_resampled_where_they_are_known(project: Path, column: str, unit: str) -> None:
    for path in Path("models").rglob("*.parquet"):
        write_rows(path, read_rows(path).assign(**{column: ["a", "a", "b", "b", "c"]}))
    assert f"bootstrap of the 3 {unit} of the run" in write()


def test_rows_that_are_too_many_for_git_stay_in_the_cache(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = page_of(project)
    assert "again from `pannuke/counts.csv` and `pannuke/instances.csv`" in small
    before = pd.read_csv("reports/pannuke/counts.csv")
    monkeypatch.setattr(row_tables, "LARGEST", 100)
    page = write()
    files = "models/pannuke/evaluation/*/*/*/counts.parquet"
    assert f"again from `{files}` ({len(before)} rows, too many for git: DVC's cache has them) and `models/" in page
    left = {path.name for path in Path("reports/pannuke").glob("*.csv")}
    assert left == {"scores.csv", "intervals.csv", "curves.csv"}
    found = pd.concat([read_rows(path) for path in Path().glob(files)])
    counted = [name for name in before if re.fullmatch(r"c\d_\d", name)]
    assert found[counted].sum().tolist() == before[counted].sum().tolist()


def test_the_band_is_printed_where_it_was_measured_on_these_data(project: Path) -> None:
    assert "No band was measured for these data and parameters" in page_of(project)
    basis = band.basis(read_params(), read_study("pannuke"), "unet-augmented", ["c0ffee"])
    band.write_bands("pannuke", "unet-augmented", basis, [band.Band("mean_iou", 0.5, 0.01, 0.47, 0.53, 5)])
    page = write()
    assert "| unet-augmented | mean IoU | 0.500 | 0.010 | 0.470 to 0.530 |" in page and ", outside |" in page
    short = page.split("## In short")[1].split("\n## ")[0]
    assert "]** (**outside its band**: with another seed 0.470 to 0.530)" in short


def test_scores_of_few_nuclei_read_na(project: Path) -> None:
    page = page_of(project)
    assert "dead, n = 1" in page and "n/a" in page
    fabricated.change_study({"report.min_count": 0})
    assert " n/a |" not in write()


def test_a_variant_missing_is_one_sentence_and_leaves_the_old_report(project: Path) -> None:
    old = page_of(project)
    Path("models/pannuke/evaluation/run1/seed42/vgg19-plain/counts.parquet").unlink()
    with pytest.raises(Problem, match=r"vgg19-plain/counts\.parquet is missing"):
        write()
    assert Path("reports/pannuke.md").read_text() == old


def test_an_encoder_that_the_paper_has_not_adds_a_row(project: Path) -> None:
    fabricated.change(Path("params.yaml"), {"encoder": "densenet121"})
    for plan in ("plain", "augmented"):
        fabricated.make_evaluation("densenet121", plan, noise=0.5)
    page = write()
    row = next(
        line
        for line in page.splitlines()
        if line.startswith("| U-Net + densenet121\N{NO-BREAK SPACE}◀\N{NO-BREAK SPACE}`encoder` | plain")
    )
    assert row.split("|")[4:6] == [" – ", " – "]
    assert len(pd.read_csv("reports/pannuke/scores.csv")) == 17


def test_a_variant_scored_on_other_tiles_is_refused(project: Path) -> None:
    path = Path("models/pannuke/evaluation/run1/seed42/vgg19-plain/instances.parquet")
    write_rows(path, read_rows(path).iloc[:-1])
    with pytest.raises(Problem, match="vgg19-plain was scored on other test tiles than"):
        write()


def test_a_report_is_the_same_twice_and_only_one_section_knows_the_machine(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def everything() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in Path("reports").rglob("*") if path.is_file()}

    first = everything()
    write(figures=True)
    assert everything() == first
    for path in Path("models").rglob("*.json"):  # as another machine would have written them
        if path.name == "machine.json":
            text = path.read_text().replace("a made-up device", "another").replace("10.0", "99.0")
            path.write_text(re.sub(r',\s*"crc32": "\w+"', "", text))
    monkeypatch.setattr(facts.platform, "platform", lambda: "elsewhere")
    page = write(figures=True)
    changed = {name for name, content in everything().items() if content != first[name]}
    assert changed == {"reports/pannuke.md"}
    old = first["reports/pannuke.md"].decode()
    assert page.split("## On this machine")[0] == old.split("## On this machine")[0]


def test_pictures_are_small_and_carry_no_date(project: Path) -> None:
    names = {path.name for path in Path("reports/pannuke").glob("*.png")}
    assert names == PICTURES | FIGURES
    for name in names:
        path = Path("reports/pannuke") / name
        assert path.stat().st_size < 300_000, name
        with Image.open(path) as picture:
            assert set(picture.info) <= {"dpi"}


@pytest.mark.parametrize(("publish", "folder"), [(False, "reports/private/pannuke"), (True, "reports/pannuke")])
def test_pictures_of_real_tiles_stay_private_unless_told(project: Path, publish: bool, folder: str) -> None:
    for shard in shards("pannuke"):
        with h5py.File(shard.path, "a") as file:
            file.attrs["source"] = "official"
    fabricated.change_study({"report.publish_pictures": publish})
    page = write()
    assert page.startswith("# PanNuke")
    assert "synthetic" not in page
    assert {path.parent.as_posix() for path in Path("reports").rglob("*.png") if path.name in PICTURES} == {folder}
    assert Path("reports/private/pannuke").is_dir()
    assert f"]({Path(folder).relative_to('reports').as_posix()}/best.png)" in page


def test_nothing_is_read_of_the_raw_data(project: Path) -> None:
    assert not Path("data/raw").exists()
    page = page_of(project)
    assert "- SHA-256 over the files: `c0ffee`" in page and "- Cite: Someone, 2020" in page
    assert "[CC BY-NC-SA 4.0](https://example.org/licence)" in page


def test_a_study_without_a_paper_has_the_report_of_its_task(project: Path) -> None:
    shutil.rmtree("studies/pannuke/paper")
    page = write(figures=True)
    assert "# pannuke: which of the models does best on pannuke?" in page
    assert not re.search(r"\{\{|\{%|\bnan\b|None|published|\n\n\n", page)
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        assert len({row.count("|") for row in table.splitlines()}) == 1, table
    for link in re.findall(r"\]\((pannuke/[^)]+)\)", page):
        assert Path("reports", link).is_file(), link


def test_the_best_variants_pictures_go_to_mlflow(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: dict[tuple[str, str], list[Path]] = {}
    with mock.patch("pipeline.tasks.segmentation.report.track", lambda study, encoder, found: logged.update(found)):
        monkeypatch.setattr(report, "draw_figures", lambda *arguments: None)
        fabricated.run(stage.main, "pannuke")
    ((_, pictures),) = logged.items()
    assert {path.name for path in pictures} == PICTURES and all(path.is_file() for path in pictures)


def test_a_study_without_a_paper_begins_with_what_a_person_wants_to_know(project: Path) -> None:
    shutil.rmtree("studies/pannuke/paper")
    page = write()
    first, _, rest = page.partition("## Best and worst tiles")
    assert rest and "**No patient is known.** So one patient may be on two sides" in first
    best = re.findall(r"\*\*Which model:\*\* (.+), (plain|augmented|balanced), has the highest mean IoU: \*\*", first)
    assert len(best) == 1
    assert (
        "**How sure:** 5 test tiles are too few for an interval, and no verdict is possible on so few ([why](" in first
    )
    assert re.search(r"; their own values range from 0\.\d{3} to 0\.\d{3}\. It is one", first) and "95 %" not in first
    assert "**5 test tiles are too few for 95 %**: a bootstrap knows these alone, and even the range of" in rest
    assert "like these with a confidence of 93.8 % ([why](" in rest
    assert "**On how many:** tested on 5 test tiles, trained on 5 tiles.\n" in first
    assert first.count("**Better than no model?**") == 2
    nuclei = re.search(r"- \*\*Nuclei, one by one:\*\* bPQ (\S+), without a model (\S+) at best \((.+)\)\.\n", first)
    scores = pd.read_csv("reports/pannuke/scores.csv").set_index("variant")["bpq_images"]
    assert (
        nuclei
        and nuclei.groups()[1:] == (f"{scores['otsu']:.3f}", "Otsu on haematoxylin")
        and scores["background"] == 0
    )
    assert float(nuclei[1]) in scores.drop(["otsu", "background"]).round(3).tolist()
    assert "**Against the second best,**" in first and "other variants against the best: " in first
    assert re.search(r"\*\*[\d,]+ more test tiles\*\* to test on|too much alike|better \(p|by chance", first)
    assert "| model | plan | mean IoU | Dice, macro | pixel accuracy | bPQ | mPQ | AJI |" in page


@pytest.mark.parametrize("trained", [1, 3])
def test_few_models_are_ranked_by_no_picture(project: Path, trained: int) -> None:
    shutil.rmtree("studies/pannuke/paper")
    names = ["unet", "resnet50", "vgg19"][:trained]
    fabricated.change_study({"compare": names, "plans": ["plain"], "ablation": []})
    page = write(figures=True)
    drawn = Path("reports/pannuke/ranks.png").exists()
    assert drawn == ("ranks.png" in page) == ("All pairs of models at once" in page) == (trained == 3)
    assert "\n\n\n" not in page and "\n\n## Every class" in page


def test_texts_count_right_and_say_what_a_mean_holds(project: Path) -> None:
    shutil.rmtree("studies/pannuke/paper")
    page = write()
    assert "| 1 | test | – | 5 |" in page and "Nuclei at borders" not in page
    assert page.count(", the mean over 6 classes, the background among them.") == 1
    for name in ("split.csv", "plain.csv"):
        path = Path("data/plans/pannuke/run1") / name
        plan = read_plan(path)
        write_plan(plan.assign(patient=plan["shard"], slide=plan["shard"]), path)
    for path in Path("models").rglob("*.parquet"):
        write_rows(path, read_rows(path).assign(patient="fold3"))
    page = write()
    assert "tested on 1 patient, trained on 1 patient and 5 tiles." in page and "| 1 | test | 1 | 5 |" in page
    assert "- **How sure:** 1 patient is too few for an interval, and no verdict is possible on so few (" in page
    assert "- Nuclei at borders: 5 test tiles are parts of 1 larger image. A nucleus that a tile's border cuts" in page
    fabricated.change_study({"ignore": ["background"]})
    assert "the background among them" not in write()
