"""From maps to nuclei: watershed, pseudo-instances, objects, comparison of found and true ones."""
