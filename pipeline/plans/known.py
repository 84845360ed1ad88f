"""Whose the tiles of a plan are: what is known of it, and what therefore nobody can know of its split."""

from collections.abc import Mapping

import pandas as pd

from pipeline.base.records import Known
from pipeline.tiles.plan import tcga_patients


def known(plan: pd.DataFrame) -> dict[str, Known]:
    """Of how many tiles the patient is known, by name or TCGA barcode, or the slide alone; by data set."""
    barcode = tcga_patients(plan) != ""
    patient = barcode | (plan["patient"] != "")
    slide = ~patient & (plan["slide"] != "")
    counted = pd.DataFrame({"patient": patient, "slide": slide, "barcode": barcode}).groupby(plan["dataset"], sort=True)
    return {
        str(name): Known(
            tiles=len(rows),
            patient=int(rows["patient"].sum()),
            barcode=int(rows["barcode"].sum()),
            slide=int(rows["slide"].sum()),
        )
        for name, rows in counted
    }


def unknown(found: Mapping[str, Known]) -> list[str]:
    """What cannot be known of a split of these tiles, a sentence each; none where every patient is known."""
    said = [
        f"No patient is known for {tiles.tiles - tiles.patient:,} of {tiles.tiles:,} tiles of {name},"
        f" {_instead(tiles)}: a patient may be on two sides of the split."
        for name, tiles in found.items()
        if tiles.patient < tiles.tiles
    ]
    total, named = (sum(getattr(tiles, what) for tiles in found.values()) for what in ("tiles", "barcode"))
    if len(found) > 1 and named < total:
        said.append(
            f"That a patient is in two data sets shows by a TCGA barcode alone, which {total - named:,} of {total:,}"
            " tiles lack."
        )
    return said


def _instead(tiles: Known) -> str:
    """What is known in place of the patient."""
    neither = tiles.tiles - tiles.patient - tiles.slide
    if not tiles.slide:
        return "nor a slide"
    if not neither:
        return "only their slide or image"
    return f"of {tiles.slide:,} only their slide or image, of {neither:,} not even that"
