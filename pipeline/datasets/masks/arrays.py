"""Masks saved by NumPy: an array of numbers, or a dictionary of two as CellViT has them.

A dictionary lies in its file as a pickle, which may hold any program. Only what makes arrays of numbers is let through.
"""

import pickle
import threading
from typing import Any, BinaryIO

import numpy as np

from pipeline.base.errors import Problem
from pipeline.datasets.labels import Labels
from pipeline.datasets.members import Member

NUMBERS, CLASSES = "inst_map", "type_map"  # of a dictionary: a number for each nucleus, its class
HARMLESS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.numeric", "_frombuffer"),
    ("_codecs", "encode"),
}
# NumPy reads a header by Python's parser, whose count of its depth is shared by threads in 3.11.
ONE_AT_A_TIME = threading.Lock()
BROKEN = (ValueError, OSError, EOFError, pickle.UnpicklingError, AttributeError, TypeError, KeyError, IndexError)


class _Arrays(pickle.Unpickler):
    """Makes arrays of numbers, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core", "numpy._core")  # as it was called before NumPy 2
        if (module, name) not in HARMLESS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def is_dictionary(member: Member) -> bool:
    """Whether an .npy file holds objects, of which a dictionary is the one kind that is read."""
    try:
        with member.path.open("rb") as file:
            return bool(_header(file).hasobject)
    except BROKEN:
        return False  # reading it says what is wrong


def read_dictionary(member: Member) -> tuple[Labels, Labels]:
    """Numbers and class codes of the nuclei, (H, W) each.

    Raises:
        Problem: it is no dictionary with these two, of one size.
    """
    try:
        with member.path.open("rb") as file:
            _header(file)
            found = _Arrays(file).load().item()
        numbers, classes = (_whole(found[key], member) for key in (NUMBERS, CLASSES))
    except BROKEN as error:
        raise Problem(
            f"{member} is no dictionary with the arrays {NUMBERS} and {CLASSES} ({error}); save it as"
            f" numpy.save(path, {{'{NUMBERS}': ..., '{CLASSES}': ...}})."
        ) from None
    if numbers.shape != classes.shape:
        raise Problem(f"{member} has {NUMBERS} of {numbers.shape} px and {CLASSES} of {classes.shape}; save it again.")
    return numbers, classes


def read_array(member: Member) -> Labels:
    """An array of numbers, (H, W).

    Raises:
        Problem: it is none, or holds no whole numbers from 0 on.
    """
    try:
        with ONE_AT_A_TIME:
            values = np.load(member.path, allow_pickle=False)
        return _whole(values, member)
    except BROKEN as error:
        raise Problem(f"{member} is no array of numbers ({error}); save a mask as one with numpy.save.") from None


def _header(file: BinaryIO) -> np.dtype[Any]:
    """The type of the elements, as the file's beginning has it; what follows is the content."""
    read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    with ONE_AT_A_TIME:
        _, _, kind = read[np.lib.format.read_magic(file)[0]](file)
    return kind


def _whole(values: Any, member: Member) -> Labels:
    numeric = isinstance(values, np.ndarray) and values.ndim == 2 and np.issubdtype(values.dtype, np.number)
    if not numeric or not values.size or (values != np.trunc(values)).any() or values.min() < 0:
        shape = f"{values.dtype} of the shape {values.shape}" if isinstance(values, np.ndarray) else type(values)
        raise Problem(f"{member} holds {shape}; a mask is whole numbers from 0 on, height times width.")
    if values.max() >= 2**31:
        raise Problem(f"{member} holds the number {values.max()}; a mask's are below {2**31:,}.")
    return values.astype(np.int32)
