"""`python -m pipeline.commands` is `lobule`."""

from pipeline.commands import main

main()
