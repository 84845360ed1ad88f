"""Images of one's own with instances as COCO has them: card, reader, the file (docs/how-to/use-my-data.md)."""
