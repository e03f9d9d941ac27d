"""The journals: which shards a cache has, one line a shard, one file a writer.

A line is appended when its shard is durable under its final name, and is on disk before the next one: adding a shard
costs the same however many there are, and ranks never write to one file. A line counts when its end does: what a killed
writer left without one is ignored by readers and cut off by the next writer of that rank.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pttrust_lightning.cache.durable import append_line, cut
from pttrust_lightning.cache.manifest import Manifest, check_types, exclusions_from_json
from pttrust_lightning.cache.pairs import EQUAL_STATES
from pttrust_lightning.errors import CacheError
from pttrust_lightning.types import Exclusions

JOURNALS = "shards-*.jsonl"

ITS_LINE = f"the line of {JOURNALS} that names it"
"""What :func:`mend` says to delete where a shard is damaged."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One shard, as a journal names it.

    Attributes:
        file: File name in the cache's folder: ``shard-``, the first 16 digits of the hash, ``.h5``.
        sha256: Hash of the file.
        bytes: Its size.
        rows: Line states in it, in each layer.
        pairs: Candidate pairs in it: those whose two lines have states, equal or not.
        groups: Ids of the groups that it answers for, those that gave no state included.
        equal_pairs: Layer -> how many of the pairs have equal states in it, and examples.
        excluded: What was left out while it was made, whatever the layer: reason -> count and examples.
    """

    file: str
    sha256: str
    bytes: int
    rows: int
    pairs: int
    groups: list[str]
    equal_pairs: dict[str, dict[str, Any]] = field(default_factory=dict)
    excluded: dict[str, dict[str, Any]] = field(default_factory=dict)


class Journal(NamedTuple):
    """What one journal says.

    Attributes:
        entries: The shards.
        totals: How many groups the corpus had, each time that this rank came to its end.
        length: Bytes of the lines that count; the file may have a torn line after them.
    """

    entries: list[ShardEntry]
    totals: list[int]
    length: int


class CacheContents(NamedTuple):
    """What all journals of a cache say, in no particular order.

    Attributes:
        manifest: The cache's manifest.
        entries: The shards.
        totals: Numbers of groups in the corpus that writers came to.
    """

    manifest: Manifest
    entries: list[ShardEntry]
    totals: set[int]

    @property
    def groups(self) -> set[str]:
        """Ids of the groups that are answered for."""
        return {group for entry in self.entries for group in entry.groups}

    @property
    def rows(self) -> int:
        """Line states in each layer."""
        return sum(entry.rows for entry in self.entries)

    def pairs(self, layer: int) -> int:
        """Contrastive pairs of a layer: those whose states differ in it."""
        return sum(entry.pairs - int(entry.equal_pairs[str(layer)]["count"]) for entry in self.entries)

    @property
    def candidate_pairs(self) -> int:
        """Contrastive pairs, those of equal states included."""
        return sum(entry.pairs for entry in self.entries)

    def exclusions(self, layer: int | None = None) -> Exclusions:
        """All that was left out of a layer, over the corpus and the shards; None: of each, whatever its states."""
        total = exclusions_from_json(self.manifest.source_excluded)
        for entry in self.entries:
            total.merge(exclusions_from_json(entry.excluded))
            if layer is not None:
                total.merge(exclusions_from_json({EQUAL_STATES: entry.equal_pairs[str(layer)]}))
        return total


def journal_path(folder: Path, rank: int) -> Path:
    """A rank's journal."""
    return folder / f"shards-{rank}.jsonl"


def add_entry(folder: Path, rank: int, entry: ShardEntry) -> None:
    """Name a shard that is durable; it counts from here on."""
    append_line(journal_path(folder, rank), json.dumps(asdict(entry)))


def add_total(folder: Path, rank: int, total: int) -> None:
    """Say that a rank has come to the end of a corpus of ``total`` groups."""
    append_line(journal_path(folder, rank), json.dumps({"total": total}))


def read_contents(folder: Path, manifest: Manifest) -> CacheContents:
    """All journals of a cache.

    Raises:
        CacheError: A journal is damaged, or a group is answered for twice.
    """
    journals = [read_journal(path, manifest.layers) for path in sorted(folder.glob(JOURNALS))]
    entries = [entry for journal in journals for entry in journal.entries]
    contents = CacheContents(manifest, entries, {total for journal in journals for total in journal.totals})
    if sum(len(entry.groups) for entry in entries) != len(contents.groups):
        seen: set[str] = set()
        twice = next(group for e in entries for group in e.groups if group in seen or seen.add(group))  # type: ignore[func-returns-value]
        raise CacheError(
            f"{folder}: two lines of its {JOURNALS} answer for the program {twice!r}. Delete one of the two lines, and "
            "run pttrust extract again; or delete the cache folder."
        )
    return contents


def read_journal(path: Path, layers: Iterable[int]) -> Journal:
    """One journal, without a torn last line; every entry answers for every layer.

    Raises:
        CacheError: A line that has its end is not what was written; names the file and the 1-based line.
    """
    data = path.read_bytes()
    length = data.rfind(b"\n") + 1
    entries: list[ShardEntry] = []
    totals: list[int] = []
    wanted = {str(layer) for layer in layers}
    for number, line in enumerate(data[:length].split(b"\n")[:-1], start=1):
        try:
            raw = json.loads(line)
            if raw.keys() == {"total"}:
                totals.append(_count(raw["total"], "total"))
            else:
                entries.append(_entry(raw, wanted))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CacheError(f"{path}, line {number}: not a shard's entry ({error}). {mend('that line')}") from error
    return Journal(entries, totals, length)


def cut_torn_line(folder: Path, rank: int, layers: Iterable[int]) -> None:
    """Remove what a killed writer of this rank left of a line; to be called under the rank's lock."""
    path = journal_path(folder, rank)
    if path.exists() and (length := read_journal(path, layers).length) < path.stat().st_size:
        _log.warning("%s: cut off a last line that a killed writer left unfinished; its shard is read again", path)
        cut(path, length)


def mend(what: str) -> str:
    """The remedy for a shard or a line of a journal that is damaged."""
    return f"Delete {what} and run pttrust extract again, which reads those programs again; or delete the cache folder."


def _entry(raw: dict[str, Any], layers: set[str]) -> ShardEntry:
    entry = ShardEntry(**raw)
    check_types(entry)
    if not re.fullmatch(r"[0-9a-f]{64}", entry.sha256) or entry.file != f"shard-{entry.sha256[:16]}.h5":
        raise ValueError(f"field 'file' is {entry.file!r}, which is not named after its field 'sha256'")
    for left_out in (entry.excluded, entry.equal_pairs):
        Exclusions().merge(exclusions_from_json(left_out))
    for name in ("bytes", "rows", "pairs"):
        _count(getattr(entry, name), name)
    if not layers <= entry.equal_pairs.keys():
        raise ValueError(f"field 'equal_pairs' is without layer {min(layers - entry.equal_pairs.keys())}")
    return entry


def _count(value: object, name: str) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"field '{name}' is not a count")
    return value
