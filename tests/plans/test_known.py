"""What is not known of a split is said, and nothing that is."""

import re

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.plans.known import known, unknown
from tests.tiles.test_plan import make_plan

rows = st.lists(
    st.tuples(
        st.sampled_from(["bracs", "bach"]),
        st.sampled_from(["", "NA", "0", "TCGA-A7-A13E"]),
        st.sampled_from(["", "n001", "TCGA-A7-A13F-01Z-00-DX1"]),
    ),
    min_size=1,
    max_size=30,
)


def plan_of(found: list[tuple[str, str, str]]) -> pd.DataFrame:
    dataset, patient, slide = zip(*found, strict=True)
    return make_plan(len(found), dataset=dataset, patient=patient, slide=slide)


def test_the_sentences() -> None:
    tiles = [("bracs", "1", "s")] * 112 + [("bracs", "", "t")] * 8
    assert unknown(known(plan_of(tiles))) == [
        "No patient is known for 8 of 120 tiles of bracs, only their slide or image: a patient may be on two sides of"
        " the split."
    ]
    assert "tiles of bracs, nor a slide: a" in unknown(known(plan_of([("bracs", "", "")])))[0]
    assert (
        "of 2 only their slide or image, of 1 not even that"
        in unknown(known(plan_of([("bracs", "", "s")] * 2 + [("bracs", "", "")])))[0]
    )
    assert unknown(known(plan_of([("bracs", "NA", ""), ("bracs", "", "TCGA-A7-A13F-01Z")]))) == []


@settings(deadline=None)
@given(rows, st.randoms())
def test_no_sentence_is_false_and_none_is_missing(found: list[tuple[str, str, str]], random: object) -> None:
    said = unknown(known(plan_of(found)))
    for dataset in {name for name, _, _ in found}:
        lacking = [row for row in found if row[0] == dataset and not row[1] and not row[2].startswith("TCGA")]
        about = [sentence for sentence in said if f"tiles of {dataset}," in sentence]
        assert len(about) == bool(lacking)
        if lacking:
            numbers = re.match(r"No patient is known for (\d+) of (\d+) tiles", about[0])
            assert numbers and int(numbers[1]) == len(lacking)
            assert int(numbers[2]) == sum(name == dataset for name, _, _ in found)
            assert ("nor a slide" in about[0]) == all(not slide for _, _, slide in lacking)
    several = len({name for name, _, _ in found}) > 1
    unlike = [row for row in found if "TCGA" not in row[1] + row[2]]
    assert any("two data sets" in sentence for sentence in said) == (several and bool(unlike))
    random.shuffle(found)  # type: ignore[attr-defined]
    assert unknown(known(plan_of(found))) == said
