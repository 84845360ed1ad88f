"""Figures from counts: against the metrics they are made of, with units and runs in all arrangements."""

import shutil

import numpy as np
import pandas as pd
import pytest

from pipeline.base.paths import plan_folder
from pipeline.base.records import Metrics
from pipeline.metrics import detection, instance, pixel, stats
from pipeline.reporting import scoring
from pipeline.reporting.results import Variant, load_variants
from pipeline.reporting.scoring import Evidence
from tests import fabricated

CLASSES = fabricated.CLASSES
NAMES = [("unet", "plain"), ("resnet50", "plain"), ("background", "plain")]


@pytest.fixture(scope="module", params=[(1,), (1, 3)], ids=["one run", "two runs"])
def variants(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Variant]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("project"))
        fabricated.make_params()
        fabricated.make_tiles("sample")
        study = fabricated.change_study(
            {"runs": list(request.param), "compare": ["unet", "resnet50"], "plans": ["plain"], "ablation": []}
            | {"baselines": ["background"]}
        )
        for run in request.param[1:]:
            shutil.copytree(plan_folder("pannuke", 1), plan_folder("pannuke", run))
        for (name, plan), noise in zip(NAMES, (0.2, 0.6, 1), strict=True):
            fabricated.make_evaluation(name, plan, noise, request.param)
        return load_variants(study, "resnet50")


def columns(variant: Variant, run: int, prefix: str, names: tuple[str, ...]) -> np.ndarray:
    rows = variant.instances[variant.instances["run"] == run]
    return rows[[f"{prefix}_{name}" for name in names]].to_numpy()


def test_figures_are_those_of_the_metrics(variants: list[Variant]) -> None:
    found = Evidence(variants, CLASSES, 0).by_run()
    for place, variant in enumerate(variants):
        for position, run in enumerate(run.run for run in variant.runs):
            counts = variant.counts[(variant.images["run"] == run).to_numpy()]
            expected = pixel.score(counts, CLASSES)
            for name in ("mean_iou", "dice_macro_no_background", "mean_iou_of_images", "pixel_accuracy"):
                assert found[name][place, position] == pytest.approx(expected[name])
            assert found["recall_dead"][place, position] == pytest.approx(expected["per_class"]["dead"]["recall"])
            binary = columns(variant, run, "binary", instance.COLUMNS)
            per_class = np.stack([columns(variant, run, name, instance.COLUMNS) for name in CLASSES[1:]], axis=1)
            official = instance.panoptic_scores(binary, per_class, [""] * len(binary))
            assert found["bpq_images"][place, position] == pytest.approx(official.bpq_images)
            assert found["mpq_tissues"][place, position] == pytest.approx(official.mpq_tissues)
            assert found["pq_connective_images"][place, position] == pytest.approx(official.class_pq_images[2])
            assert found["aji"][place, position] == pytest.approx(instance.aggregated_jaccard(binary.sum(axis=0)))
            detected = columns(variant, run, "epithelial_detection", detection.CLASS_COLUMNS).sum(axis=0)
            scores = detection.classification_scores(detected)
            assert found["detection_f1_epithelial"][place, position] == pytest.approx(scores.f1, nan_ok=True)


def test_scores_of_images_where_there_is_one_class_to_find(variants: list[Variant]) -> None:
    """Against scikit-learn, image by image; an image without a nucleus in truth and prediction is left out."""
    from sklearn.metrics import accuracy_score, f1_score, jaccard_score, precision_score, recall_score

    counts = np.array([[[20, 4], [6, 10]], [[30, 0], [5, 5]], [[40, 0], [0, 0]]])
    images = variants[0].images.iloc[:3].assign(**dict(zip(pixel.columns(2), counts.reshape(3, 4).T, strict=True)))
    images = images[[*variants[0].images.columns[:8], *pixel.columns(2)]]
    one = Variant(**{**variants[0].__dict__, "images": images, "instances": pd.DataFrame()})
    found = Evidence([one], ["background", "nucleus"], 0).by_run()
    names = {"jaccard": jaccard_score, "f1": f1_score, "recall": recall_score, "precision": precision_score}
    for name, score in names.items():
        expected = [score([0, 0, 1, 1], [0, 1, 0, 1], sample_weight=image.ravel()) for image in counts[:2]]
        assert found[f"{name}_of_images"][0, 0] == pytest.approx(np.mean(expected))
    right = [accuracy_score([0, 0, 1, 1], [0, 1, 0, 1], sample_weight=image.ravel()) for image in counts]
    assert found["accuracy_of_images"][0, 0] == pytest.approx(np.mean(right))


def test_what_parting_is_worth_is_the_difference_of_both_counts(variants: list[Variant]) -> None:
    variant = variants[0]
    halved = {f"components_{name}": variant.instances[f"binary_{name}"] for name in instance.COLUMNS}
    halved |= {"components_sum_iou": halved["components_sum_iou"] / 2}
    changed = Variant(**{**variant.__dict__, "instances": variant.instances.assign(**halved)})
    (figures,) = Evidence([changed], CLASSES, 0).figures()
    assert figures["components_pq"].value == pytest.approx(figures["pq"].value / 2)
    assert figures["parting_pq"].value == pytest.approx(figures["pq"].value / 2)
    assert figures["pq"].value == pytest.approx(np.mean([quality(changed, run) for run in changed.runs]))
    assert figures["parting_pq"].low <= figures["parting_pq"].value <= figures["parting_pq"].high
    assert figures["parting_aji"].value == 0


def quality(variant: Variant, run: Metrics) -> float:
    """Panoptic quality of all nuclei of a run together."""
    tp, fp, fn, iou, *_ = columns(variant, run.run, "binary", instance.COLUMNS).sum(axis=0)
    return float(iou / (tp + fp / 2 + fn / 2))


def test_a_figure_is_the_mean_over_the_runs_and_lies_in_its_interval(variants: list[Variant]) -> None:
    evidence = Evidence(variants, CLASSES, 0)
    scores, figures = evidence.by_run(), evidence.figures()
    for place in range(len(variants)):
        figure = figures[place]["mean_iou"]
        assert figure.value == pytest.approx(scores["mean_iou"][place].mean())
        assert figure.low <= figure.value <= figure.high
        if evidence.runs == 1:
            assert figure.sd is None
        else:
            assert figure.sd == pytest.approx(scores["mean_iou"][place].std(ddof=1))


def test_tissues_are_averaged_as_the_official_script_does(variants: list[Variant]) -> None:
    tissues = ["Breast", "Colon", "Breast", "Colon", "Colon"] * len(variants[0].runs)
    variant = variants[1]
    changed = Variant(**{**variant.__dict__, "images": variant.images.assign(group=tissues)})
    found = Evidence([changed], CLASSES, 0).by_run()
    binary = columns(variant, 1, "binary", instance.COLUMNS)
    per_class = np.stack([columns(variant, 1, name, instance.COLUMNS) for name in CLASSES[1:]], axis=1)
    official = instance.panoptic_scores(binary, per_class, tissues[:5])
    assert found["bpq_tissues"][0, 0] == pytest.approx(official.bpq_tissues)
    assert found["mpq_tissues"][0, 0] == pytest.approx(official.mpq_tissues)
    assert found["bpq_images"][0, 0] == pytest.approx(official.bpq_images)
    assert official.bpq_tissues != pytest.approx(official.bpq_images)


@pytest.mark.parametrize("variants", [(1,)], ids=["one run"], indirect=True)
def test_paired_tests_say_what_the_metrics_module_says(variants: list[Variant]) -> None:
    evidence = Evidence(variants, CLASSES, 0)
    (found,) = evidence.compare([("pixel_accuracy", 0, 1)])
    counts = [variant.counts.astype(float) for variant in variants[:2]]
    (expected,) = stats.compare(counts, lambda sums: pixel.pixel_accuracy(sums), repeats=scoring.PAIRED)
    assert found.difference.value == pytest.approx(expected.difference.value)
    assert found.verdict == expected.verdict
    assert found.difference.low == pytest.approx(expected.difference.low, abs=0.01)


def test_the_worse_of_two_is_called_so(variants: list[Variant]) -> None:
    evidence = Evidence(variants, CLASSES, 0)
    pairs = [(0, 1), (1, 0), (1, 1)]  # one table each: five tiles cannot show more
    better, worse, same = (evidence.compare([("pixel_accuracy", *pair)])[0] for pair in pairs)
    assert (better.verdict, worse.verdict, same.verdict) == ("better", "worse", "no difference shown")
    assert same.p == 1


def test_resamples_without_a_class_are_left_out_and_not_scored_over_fewer(variants: list[Variant]) -> None:
    """The dead class is in one of five tiles: without this rule its absence would lift the mean."""
    evidence = Evidence(variants, CLASSES, 0)
    drawn = evidence._draw({"mean_iou", "iou_dead"}, 500)
    lost = np.isnan(drawn["mean_iou"]).all(axis=(1, 2))
    assert 0.2 < lost.mean() < 0.5  # (4 / 5) ** 5 = 0.33
    assert np.isfinite(drawn["mean_iou"][~lost]).all()


def test_an_image_that_two_runs_test_on_is_one_unit(variants: list[Variant]) -> None:
    assert Evidence(variants, CLASSES, 0).units == fabricated.TILES


@pytest.mark.parametrize(
    ("patients", "slides", "unit", "units"),
    [
        (["", "", ""], ["", "", ""], "test tiles", 3),
        (["a", "a", "b"], ["s", "t", "u"], "patients", 2),
        (["", "", ""], ["s", "s", "t"], "slides", 2),
        (["a", "", ""], ["s", "t", ""], "patients and slides and test tiles", 3),
    ],
)
def test_units_are_patients_else_slides_else_tiles(
    patients: list[str], slides: list[str], unit: str, units: int
) -> None:
    rows = pd.DataFrame({"dataset": "d", "shard": "s", "index": [0, 1, 2], "patient": patients, "slide": slides})
    found, names = scoring.name_units(rows)
    assert found == unit
    assert len(set(names)) == units


@pytest.mark.parametrize("variants", [(1,)], ids=["one run"], indirect=True)
def test_a_verdict_needs_the_more_units_the_more_tests_there_are(variants: list[Variant]) -> None:
    evidence = Evidence(variants, CLASSES, 0, "images")
    one, many = (evidence.needed("pixel_accuracy", 0, 1, tests) for tests in (1, 50))
    assert one is not None and many is not None and 3 < one < many
    assert evidence.needed("pixel_accuracy", 1, 1, 1) is None


def test_what_slides_are_called_is_said_by_the_data(variants: list[Variant]) -> None:
    images = variants[0].images.assign(slide=[f"s{n}" for n in range(len(variants[0].images))])
    slides = Variant(**{**variants[0].__dict__, "images": images})
    assert Evidence([slides], CLASSES, 0).unit == "slides"
    assert Evidence([slides], CLASSES, 0, "images").unit == "images"
