"""Metrics as pure functions on arrays: counts first, scores after."""
