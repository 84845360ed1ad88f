"""TNBC: card, reader and the drawing of its sample (docs/datasets/tnbc.md)."""
