"""PanNuke: card, reader and the drawing of its sample (docs/datasets/pannuke.md)."""
