"""From tiles to plans: what decides which tiles train, validate and test, and how often."""
