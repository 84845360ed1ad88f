"""Rectangles of a slide at the model's resolution, px, and the squares that it is worked through in."""

from collections.abc import Iterator
from typing import NamedTuple


class Window(NamedTuple):
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        return self.top + self.height

    @property
    def right(self) -> int:
        return self.left + self.width

    def part_of(self, other: "Window") -> "Window":
        """What two windows share; of no height or width where that is nothing."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        height, width = min(self.bottom, other.bottom) - top, min(self.right, other.right) - left
        return Window(top, left, max(height, 0), max(width, 0))

    def holds(self, other: "Window") -> bool:
        """Whether another one lies wholly in it."""
        return self.part_of(other) == other

    def wider(self, margin: int) -> "Window":
        """With a margin all around."""
        return Window(self.top - margin, self.left - margin, self.height + 2 * margin, self.width + 2 * margin)

    def rows_from(self, top: int) -> slice:
        """Its rows in an array whose first row is `top`."""
        return slice(self.top - top, self.bottom - top)

    def columns_from(self, left: int) -> slice:
        """Its columns in an array whose first column is `left`."""
        return slice(self.left - left, self.right - left)


def squares(height: int, width: int, side: int) -> Iterator[tuple[tuple[int, int], Window]]:
    """The squares of a rectangle, row after row, each with its row and column; smaller at the right and bottom."""
    for row, top in enumerate(range(0, height, side)):
        for column, left in enumerate(range(0, width, side)):
            yield (row, column), Window(top, left, min(side, height - top), min(side, width - left))
