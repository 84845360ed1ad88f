"""BACH: card, reader and the drawing of its sample (docs/datasets/bach.md)."""
