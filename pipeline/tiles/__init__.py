"""What every stage after `convert` sees: the tile store, plans, transforms, examples."""
