"""Stages and slides on a Dask cluster: who has room, what each needs, what a worker does, the table of what runs."""
