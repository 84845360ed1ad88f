"""Whole slides of one's own with outlines on them: card and reader (docs/how-to/use-my-data.md)."""
