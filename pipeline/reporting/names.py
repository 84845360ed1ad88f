"""What a report calls the rows that a model must beat."""

BASELINES = {
    "background": "background everywhere",
    "otsu": "Otsu on haematoxylin",
    "commonest": "the commonest class everywhere",
    "constant": "always the commonest class",  # of whole images, as what follows
    "colour": "mean colour alone",
}
