"""What everything that is read has: a name, and a line that says what is read."""

from __future__ import annotations


class Described:
    """A source of programs, fixes or labels."""

    @property
    def name(self) -> str:
        """A short name for tables and messages."""
        return type(self).__name__

    def describe(self) -> str:
        """One line that says what is read, for logs, manifests and reports."""
        return self.name
