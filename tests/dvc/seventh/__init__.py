"""A data set that a test adds to a copy of the project: three patients, an array of images and one of nuclei each."""
