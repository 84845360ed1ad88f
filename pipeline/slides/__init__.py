"""Whole slides: read (slide, tiff), annotated (geojson, annotations), cut to tiles (tiling), shown (contact_sheet)."""
