"""Detection: nuclei as objects with box, class and mask; the images are called what most of their nuclei are."""
