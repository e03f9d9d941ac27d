"""Errors that users can act on. Every message names the file or field, and ends with the remedy.

This is a leaf module: it imports nothing from the rest of the package.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class PtTrustError(Exception):
    """Base of all errors that the command line shows as a message, without a traceback."""


class SourceError(PtTrustError, ValueError):
    """A corpus or source file that cannot be used."""


class SchemaError(PtTrustError, ValueError):
    """A record of a labelled set or corpus that does not follow its schema."""

    def __init__(self, path: str, record: int, field: str, problem: str, remedy: str) -> None:
        """Name the file, the 1-based record, the field, what is wrong with it and what to do."""
        super().__init__(f"{path}, record {record}, field '{field}': {problem}. {remedy}")


class LanguageModelError(PtTrustError, ValueError):
    """A language model, tokenizer or layer that cannot be used."""


class TokenAlignmentError(PtTrustError, ValueError):
    """Tokens whose bytes are not the source's bytes, or lines that cannot be told apart by token."""


class CacheError(PtTrustError, RuntimeError):
    """A state cache that is missing, damaged or incomplete."""


class CacheMismatchError(CacheError):
    """A state cache that was made from something else than what is asked for."""

    CAUSES: ClassVar = {
        "schema_version": "Another version of this package wrote it; go back to that version",
        "corpus_sha256": "Go back to the same programs (the same files, limit and Python)",
        "weights_sha256": "Go back to the same LLM: its weights or configuration have changed",
        "tokenizer_sha256": "Go back to the same LLM: its tokenizer has changed",
    }
    """The remedy for fields that are no settings."""

    def __init__(self, folder: str, field: str, cached: object, wanted: object) -> None:
        """Name the folder and the first field that differs, with both values."""
        super().__init__(
            f"The state cache {folder} was made with {field} = {cached!r}, but this run asks for {wanted!r}. "
            f"{self.CAUSES.get(field, f'Set {field} back')}, choose another cache_dir, or delete that folder."
        )
        self.field = field


class JudgeError(PtTrustError, RuntimeError):
    """An LLM judge that cannot be reached, refuses to answer, or would cost more than was allowed."""


class ModelFolderError(PtTrustError, ValueError):
    """An exported model folder that is missing, damaged or of another kind."""


class CheckpointMismatchError(PtTrustError, ValueError):
    """A Lightning checkpoint of another class than the one being run."""


class NonFiniteError(PtTrustError, ValueError):
    """States, losses or scores that are NaN or infinite."""


class LeakageError(PtTrustError, ValueError):
    """Data to be tested on that is also trained on."""


class ConfigError(PtTrustError, ValueError):
    """Settings that contradict each other or the data."""


class RunError(PtTrustError, RuntimeError):
    """A run of a benchmark that failed in a process of its own."""


class SandboxError(PtTrustError, RuntimeError):
    """A sandbox that is missing, does not contain what it runs, or failed; never a verdict on a program."""


class ToolchainError(SandboxError):
    """A compiler or interpreter that a sandbox lacks, or that does not work in it."""


def own_error(error: BaseException | None) -> PtTrustError | None:
    """The error that the user can mend: raised while a class was built, jsonargparse wraps it in its own."""
    while error is not None and not isinstance(error, PtTrustError):
        error = error.__cause__
    return error


def did_you_mean(given: str, valid: Iterable[str]) -> str:
    """A question for the end of a message, with the nearest valid name; empty where none is near."""
    near = difflib.get_close_matches(given, list(valid), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
