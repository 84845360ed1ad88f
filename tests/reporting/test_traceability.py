"""Every headline figure again from the saved counts, with pandas alone: nothing of the pipeline is imported here.

Of pannuke once for a made-up project, once for the report that is committed; of the other studies for theirs.
Reports are in git: one that is missing fails.
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
CLASSES = ["background", "neoplastic", "inflammatory", "connective", "dead", "epithelial"]
NUCLEI = CLASSES[1:]
KEY = ["variant", "plan", "run", "seed"]


@pytest.fixture(scope="module", params=["made up", "committed"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pannuke report."""
    if request.param == "committed":
        return ROOT / "reports/pannuke"
    from pipeline.tasks.segmentation import report
    from tests import fabricated

    place = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(report, "draw_figures", lambda *arguments: None)
        fabricated.make_params()
        fabricated.make_tiles("sample")
        fabricated.make_evaluations(runs=(1, 3))
        fabricated.write_report()
    return place / "reports/pannuke"


@pytest.fixture(scope="module")
def scores(folder: Path) -> pd.DataFrame:
    """What the report printed, a row a variant and run."""
    return pd.read_csv(folder / "scores.csv").set_index(KEY).sort_index()


@pytest.fixture(scope="module")
def areas(folder: Path) -> pd.DataFrame:
    """Right, true and predicted pixels of each class, summed over the test tiles."""
    sums = pd.read_csv(folder / "counts.csv").groupby(KEY).sum(numeric_only=True)
    codes = range(len(CLASSES))
    parts = {}
    for code, name in enumerate(CLASSES):
        parts["right", name] = sums[f"c{code}_{code}"]
        parts["true", name] = sums[[f"c{code}_{other}" for other in codes]].sum(axis=1)
        parts["predicted", name] = sums[[f"c{other}_{code}" for other in codes]].sum(axis=1)
    return pd.DataFrame(parts).sort_index()


@pytest.fixture(scope="module")
def nuclei(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "instances.csv", keep_default_na=False)


def same(found: pd.Series, printed: pd.Series) -> None:
    assert len(found)
    pd.testing.assert_series_equal(found.sort_index(), printed, check_names=False, check_dtype=False, rtol=1e-6)


def test_mean_iou(areas: pd.DataFrame, scores: pd.DataFrame) -> None:
    iou = areas["right"] / (areas["true"] + areas["predicted"] - areas["right"])
    same(iou.mean(axis=1), scores["mean_iou"])
    same(iou[NUCLEI].mean(axis=1), scores["mean_iou_no_background"])


def test_dice(areas: pd.DataFrame, scores: pd.DataFrame) -> None:
    dice = 2 * areas["right"] / (areas["true"] + areas["predicted"])
    same(dice.mean(axis=1), scores["dice_macro"])
    same(dice[NUCLEI].mean(axis=1), scores["dice_macro_no_background"])
    pixels = areas["true"].sum(axis=1) + areas["predicted"].sum(axis=1)
    same(2 * areas["right"].sum(axis=1) / pixels, scores["dice_micro"])


@pytest.mark.parametrize("name", NUCLEI)
def test_precision_recall_and_f1_of_a_class(areas: pd.DataFrame, scores: pd.DataFrame, name: str) -> None:
    right, true, predicted = (areas[part][name] for part in ("right", "true", "predicted"))
    there = (true + predicted) > 0
    for score, below in (("precision", predicted), ("recall", true)):
        found = (right / below).fillna(0).where(there)  # 0 where only one of truth and prediction has the class
        same(found, scores[f"{score}_{name}"])
    same(2 * right / (true + predicted), scores[f"f1_{name}"])


def panoptic_quality(rows: pd.DataFrame, prefix: str) -> pd.Series:
    """PQ of each image as PanNuke has it: none where the truth has no such nucleus."""
    tp, fp, fn, iou = (rows[f"{prefix}_{name}"] for name in ("tp", "fp", "fn", "sum_iou"))
    return (iou / (tp + fp / 2 + fn / 2)).where(tp + fn > 0)


def test_bpq_and_mpq(nuclei: pd.DataFrame, scores: pd.DataFrame) -> None:
    per_class = pd.DataFrame({name: panoptic_quality(nuclei, name) for name in NUCLEI})
    images = nuclei[[*KEY, "group"]].assign(bpq=panoptic_quality(nuclei, "binary"), mpq=per_class.mean(axis=1))
    for name in ("bpq", "mpq"):
        same(images.groupby(KEY)[name].mean(), scores[f"{name}_images"])
        same(images.groupby([*KEY, "group"])[name].mean().groupby(KEY).mean(), scores[f"{name}_tissues"])


def test_detection(nuclei: pd.DataFrame, scores: pd.DataFrame) -> None:
    sums = nuclei.groupby(KEY).sum(numeric_only=True)
    tp, fp, fn = (sums[f"detection_{name}"] for name in ("tp_d", "fp_d", "fn_d"))
    same(2 * tp / (2 * tp + fp + fn), scores["detection_f1"])
    for name in NUCLEI:
        tp, fp_c, fn_c, fp, fn = (sums[f"{name}_detection_{part}"] for part in ("tp_c", "fp_c", "fn_c", "fp_d", "fn_d"))
        same(2 * tp / (2 * tp + 2 * fp_c + 2 * fn_c + fp + fn), scores[f"detection_f1_{name}"])


def test_printed_figures_are_means_over_the_runs(folder: Path, scores: pd.DataFrame) -> None:
    printed = pd.read_csv(folder / "intervals.csv").set_index(["variant", "plan", "score"])
    for name in ("mean_iou", "bpq_images", "mpq_images", "detection_f1"):
        figures = printed.xs(name, level="score").sort_index()
        same(scores.groupby(KEY[:2])[name].mean(), figures["value"])
        assert (figures["low"] <= figures["value"]).all() and (figures["value"] <= figures["high"]).all()


def headline_of_nuclei(rows: pd.DataFrame) -> pd.Series:
    """Jaccard index of the one class beside the background, averaged over images."""
    jaccard = rows["c1_1"] / (rows["c1_1"] + rows["c0_1"] + rows["c1_0"])
    return jaccard.groupby([rows[name] for name in KEY]).mean()


def headline_of_lesions(rows: pd.DataFrame) -> pd.Series:
    """F1 of the lesion's pixels."""
    sums = rows.groupby(KEY).sum(numeric_only=True)
    return 2 * sums["c1_1"] / (2 * sums["c1_1"] + sums["c0_1"] + sums["c1_0"])


def headline_of_tissues(rows: pd.DataFrame) -> pd.Series:
    """Accuracy of each class against all others, averaged over the classes."""
    counted = rows.filter(regex=r"^c\d+_\d+$")
    classes = round(counted.shape[1] ** 0.5)
    sums = counted.groupby([rows[name] for name in KEY]).sum()
    right = sum(sums[f"c{code}_{code}"] for code in range(classes))
    return 1 - 2 * (1 - right / sums.sum(axis=1)) / classes


def headline_of_images(rows: pd.DataFrame) -> pd.Series:
    """Share of the test images that get their own class."""
    tested = rows[rows["split"] == "test"]
    return (tested["truth"] == tested["call"]).groupby([tested[name] for name in KEY]).mean()


OTHERS: dict[str, tuple[str, str, Callable[[pd.DataFrame], pd.Series]]] = {
    "tnbc": ("jaccard_of_images", "counts.csv", headline_of_nuclei),
    "bracs": ("dice_macro_no_background", "counts.csv", headline_of_lesions),
    "bcss": ("accuracy_one_vs_rest", "counts.csv", headline_of_tissues),
    "bach": ("accuracy", "votes.csv", headline_of_images),
}


@pytest.mark.parametrize("study", OTHERS)
def test_the_headline_of_every_other_study(study: str) -> None:
    score, counts, headline = OTHERS[study]
    folder = ROOT / "reports" / study
    printed = pd.read_csv(folder / "intervals.csv").set_index(["variant", "plan", "score"])
    printed = printed.xs(score, level="score").sort_index()
    found = headline(pd.read_csv(folder / counts)).groupby(KEY[:2]).mean()
    same(found, printed["value"])
    assert (printed["low"] <= printed["value"]).all() and (printed["value"] <= printed["high"]).all()
