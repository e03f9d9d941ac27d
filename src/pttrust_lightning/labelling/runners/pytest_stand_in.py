"""The part of pytest that tests of small programs use, for a sandbox that does not hold pytest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any


class Skipped(Exception):  # pytest's own name
    """Raised by :func:`skip`."""


def skip(reason: str = "") -> None:
    """Leave the running test out."""
    raise Skipped(reason)


def param(*values: Any, marks: object = (), id: str | None = None) -> tuple[Any, ...]:
    """One row of :meth:`mark.parametrize`."""
    return values


@contextmanager
def raises(expected: Any, match: str | None = None) -> Any:
    """Require that the block raises ``expected``."""
    try:
        yield
    except expected as error:
        if match is not None and not re.search(match, str(error)):
            raise AssertionError(f"{error!r} does not match {match!r}") from error
    else:
        raise AssertionError(f"did not raise {expected}")


class approx:  # pytest's own name
    """Equal up to a tolerance: numbers, and sequences or mappings of numbers."""

    def __init__(self, expected: Any, rel: float | None = None, abs: float | None = None) -> None:
        self.expected, self.rel, self.abs = expected, rel, abs

    def __eq__(self, actual: object) -> bool:
        return self._equal(self.expected, actual)

    def __repr__(self) -> str:
        return f"approx({self.expected!r})"

    def _equal(self, expected: Any, actual: Any) -> bool:
        if isinstance(expected, Mapping):
            return expected.keys() == actual.keys() and all(self._equal(expected[k], actual[k]) for k in expected)
        if isinstance(expected, Sequence) and not isinstance(expected, (str, bytes)):
            return len(expected) == len(actual) and all(map(self._equal, expected, actual))
        if expected == actual:
            return True
        if not isinstance(expected, (int, float, complex)) or not isinstance(actual, (int, float, complex)):
            return False
        difference = abs(expected - actual)
        return bool(difference < float("inf") and difference <= self._tolerance(expected))

    def _tolerance(self, expected: complex) -> float:
        absolute = 1e-12 if self.abs is None else self.abs
        relative = (1e-6 if self.abs is None else 0.0) if self.rel is None else self.rel
        return max(absolute, relative * abs(expected))


class _Mark:
    """``pytest.mark``: parametrize does what it says, every other mark nothing."""

    def parametrize(self, names: str | Sequence[str], values: Iterable[Any], **_: object) -> Callable[[Any], Any]:
        keys = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
        rows = [dict(zip(keys, (row if len(keys) > 1 or isinstance(row, tuple) else (row,)))) for row in values]  # noqa: B905

        def decorate(function: Any) -> Any:
            function.parametrizations = [rows, *getattr(function, "parametrizations", [])]
            return function

        return decorate

    def __getattr__(self, name: str) -> Any:
        def mark(*arguments: Any, **_: Any) -> Any:
            return arguments[0] if len(arguments) == 1 and callable(arguments[0]) else lambda function: function

        return mark


mark = _Mark()
