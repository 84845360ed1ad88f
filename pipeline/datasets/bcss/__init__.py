"""BCSS: card, reader and the drawing of its sample (docs/datasets/bcss.md)."""
