"""MoNuSeg: card, reader and the drawing of its sample (docs/datasets/monuseg.md)."""
