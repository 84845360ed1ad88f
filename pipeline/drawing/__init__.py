"""Brushes for synthetic H&E tissue: a canvas with two dyes, tissue, nuclei, scenes made of them, stain and camera.

What is drawn looks like H&E and means nothing clinically: it is for trying the whole pipeline without a download, and
for tests.

Same bytes on every machine: random numbers are taken from PCG64 as uniform ones alone, and pixels are computed by
elementwise + - * / and square root, which IEEE 754 fixes to the last bit (no sine, no FFT, no matrix product, no sum
of floats). The only exponential is a table of integers. Not covered: a NumPy that changes the stream of
`Generator.random` (its policy lets it, the lock file keeps it out), and machines without 64-bit IEEE arithmetic.
"""
