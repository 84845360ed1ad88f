"""Tiles of one's own in PanNuke's layout: card and reader (docs/how-to/use-my-data.md)."""
