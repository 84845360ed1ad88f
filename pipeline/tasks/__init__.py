"""The tasks: how each learns, predicts, scores and reports."""
