"""Which programs of a corpus are used, one at a time; and what tells two corpora apart."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pttrust_lightning.errors import ConfigError, SourceError
from pttrust_lightning.source.lines import non_blank_lines
from pttrust_lightning.types import Exclusions, Program, ProgramGroup


def select_groups(
    read: Callable[[Exclusions], Iterator[ProgramGroup]],
    exclusions: Exclusions,
    *,
    source: str,
    limit: int | None = None,
    seed: int = 0,
    min_lines: int = 1,
    max_lines: int | None = None,
) -> Iterator[ProgramGroup]:
    """Drop duplicates and programs too short or too long, then draw a sample; the order stays.

    Groups are held one at a time, so that a corpus may be of any size: of those read before, a digest is kept. A
    sample is drawn by reading twice, first to count.

    Args:
        read: Reads the programs with the mutants that come with them, and counts what it leaves out.
        exclusions: Where what is left out is counted.
        source: Where the programs come from, for messages.
        limit: Size of the random sample; all where None.
        seed: Seed of that sample.
        min_lines: Fewest non-blank lines of the original.
        max_lines: Most non-blank lines of the original; no bound where None.

    Raises:
        SourceError: No program is left.
    """
    kept = _usable(read, exclusions, min_lines, max_lines)
    n_kept = 0
    if limit is None:
        for group in kept:
            n_kept += 1
            yield group
    else:
        n_kept = sum(1 for _ in kept)
    if n_kept == 0:
        reasons = "; ".join(exclusions.describe()) or "it holds none"
        raise SourceError(f"{source} gives no program ({reasons}). Choose another source or looser limits.")
    if limit is not None:
        drawn = set(random.Random(seed).sample(range(n_kept), min(limit, n_kept)))
        exclusions.add(f"not drawn (limit {limit})", "", n_kept - len(drawn))
        again = _usable(read, Exclusions(), min_lines, max_lines)
        yield from (group for i, group in enumerate(again) if i in drawn)


def _usable(
    read: Callable[[Exclusions], Iterator[ProgramGroup]], exclusions: Exclusions, min_lines: int, max_lines: int | None
) -> Iterator[ProgramGroup]:
    seen: set[bytes] = set()
    for group in read(exclusions):
        original = group.original
        n_lines = len(non_blank_lines(original.code))
        mutants = (mutant.program.code for mutant in group.mutants)
        digest = _digest((original.language, original.prompt, original.code, *mutants))
        if n_lines < min_lines:
            exclusions.add(f"fewer than {min_lines} non-blank lines", original.id)
        elif max_lines is not None and n_lines > max_lines:
            exclusions.add(f"more than {max_lines} non-blank lines", original.id)
        elif digest in seen:
            exclusions.add("duplicate", original.id)
        else:
            seen.add(digest)
            yield group


def _digest(fields: Iterable[str]) -> bytes:
    """16 bytes that differ where a field does; each field comes after its length."""
    digest = hashlib.blake2b(digest_size=16)
    for field in fields:
        data = field.encode("utf-8", "surrogateescape")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.digest()


class CorpusDigest:
    """SHA-256 over id, language, prompt and code of programs, in order, one at a time.

    Each field is preceded by its length, so that text cannot move between fields or programs unnoticed.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, program: Program) -> None:
        """Take the next program."""
        for field in (program.id, program.language, program.prompt, program.code):
            data = field.encode("utf-8")
            self._digest.update(len(data).to_bytes(8, "big"))
            self._digest.update(data)

    def hexdigest(self) -> str:
        """The hash of the programs so far."""
        return self._digest.hexdigest()


def corpus_sha256(programs: Iterable[Program]) -> str:
    """:class:`CorpusDigest` of programs that are at hand."""
    digest = CorpusDigest()
    for program in programs:
        digest.add(program)
    return digest.hexdigest()


def file_fingerprint(files: Sequence[Path], settings: Mapping[str, object]) -> str | None:
    """Hash of files' names, sizes and modification times and of settings; None where a file cannot be looked at."""
    digest = hashlib.sha256(repr(sorted(settings.items())).encode("utf-8", "surrogateescape"))
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            return None
        digest.update(f"\0{file}\0{stat.st_size}\0{stat.st_mtime_ns}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def check_limits(limit: int | None, min_lines: int, max_lines: int | None) -> None:
    """Refuse limits that no corpus could meet.

    Raises:
        ConfigError: Names the limit.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"limit is {limit}; it must be at least 1, or null for all programs.")
    if min_lines < 1:
        raise ConfigError(f"min_lines is {min_lines}; it must be at least 1.")
    if max_lines is not None and max_lines < min_lines:
        raise ConfigError(f"max_lines is {max_lines}, below min_lines = {min_lines}. Raise it, or set it to null.")


def check_portion(portion: tuple[float, float] | None) -> None:
    """Refuse a portion that is no interval in [0, 1].

    Raises:
        ConfigError: Says what it must be.
    """
    if portion is not None and (len(portion) != 2 or not 0 <= portion[0] < portion[1] <= 1):
        raise ConfigError(
            f"portion is {list(portion)}; it must be [low, high] with 0 <= low < high <= 1, or null for all files."
        )


def is_in_portion(relative: str, portion: tuple[float, float]) -> bool:
    """Whether a file's hash, read as a number in [0, 1), is in [low, high)."""
    digest = hashlib.sha256(relative.encode("utf-8", "surrogateescape")).digest()
    low, high = (bound * 2**64 for bound in portion)  # exact; dividing the hash instead could round it up to 1
    return low <= int.from_bytes(digest[:8], "big") < high
