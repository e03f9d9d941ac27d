"""An edit of a program's bytes."""

from __future__ import annotations

from typing import NamedTuple


class Edit(NamedTuple):
    """Replace the bytes ``start:end`` of a program.

    Attributes:
        operator: Name of the operator that proposes it.
        start: First byte, in the UTF-8 text.
        end: Byte after the last one.
        replacement: What takes their place.
        dropped_from: Where the statement starts whose whole lines are dropped; -1 for an edit within lines, which
            keeps their number.
    """

    operator: str
    start: int
    end: int
    replacement: bytes
    dropped_from: int = -1

    @property
    def drops_lines(self) -> bool:
        """Whether whole lines go."""
        return self.dropped_from >= 0

    @property
    def start_of_code(self) -> int:
        """The first byte that is edited, without the indentation of dropped lines."""
        return self.dropped_from if self.drops_lines else self.start
