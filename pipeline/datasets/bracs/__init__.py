"""BRACS: card, reader and the drawing of its sample (docs/datasets/bracs.md)."""
