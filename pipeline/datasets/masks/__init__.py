"""Images and masks of one's own: card, reader, and what a mask's values mean (docs/how-to/use-my-data.md)."""
