import numpy as np

from pipeline.reporting.names import BASELINES as NAMES
from pipeline.tasks.detection.baselines import BASELINES, colour, constant

TRAINING = [np.full((4, 4, 3), value, np.uint8) for value in (10, 20, 200, 210, 220)]
LABELS = np.array([0, 0, 1, 1, 1])


def test_a_report_has_a_name_for_each() -> None:
    assert BASELINES.keys() <= NAMES.keys()


def test_the_commonest_class_of_the_training_images_wins() -> None:
    assert constant(TRAINING, LABELS, TRAINING[:2], 2).tolist() == [[0, 1], [0, 1]]


def test_an_image_goes_to_the_class_of_its_colour() -> None:
    asked = [np.full((4, 4, 3), value, np.uint8) for value in (0, 12, 215, 255)]
    votes = colour(TRAINING, LABELS, asked, 2)
    assert votes.argmax(axis=1).tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(votes.sum(axis=1), 1)
