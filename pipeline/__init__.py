"""Lobule: a reproducible comparison of U-Net encoders on breast-cancer histopathology."""
