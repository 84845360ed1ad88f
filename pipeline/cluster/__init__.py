"""Stages on a Dask cluster: the cluster, what a stage needs of it, what its workers do, and the table of what runs."""
