"""The manifest: what a cache was made from, and which shards it has."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from pttrust_lightning.cache.schema import SCHEMA_VERSION
from pttrust_lightning.errors import CacheError, CacheMismatchError
from pttrust_lightning.types import Exclusions

MANIFEST_NAME = "manifest.json"

CacheKey = dict[str, Any]
"""Everything that decides what the states are: plain JSON values by field name."""


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One shard, as the manifest names it.

    Attributes:
        file: File name in the cache's folder.
        sha256: Hash of the file.
        bytes: Its size.
        rows: Line states in it.
        pairs: Contrastive pairs in it.
        groups: Ids of the groups that it answers for, those that gave no state included.
        excluded: What was left out while it was made: reason -> count and examples.
    """

    file: str
    sha256: str
    bytes: int
    rows: int
    pairs: int
    groups: list[str]
    excluded: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Manifest:
    """The contents of ``manifest.json``.

    Attributes:
        key: What the states come from.
        d: Width of a state.
        storage_dtype: How states are stored.
        complete: Whether every group of the corpus is in a shard.
        shards: The shards.
        source_excluded: What was left out before any state was read (files skipped by the corpus).
        schema_version: Version of the layout.
    """

    key: CacheKey
    d: int
    storage_dtype: str
    complete: bool = False
    shards: list[ShardEntry] = field(default_factory=list)
    source_excluded: dict[str, dict[str, Any]] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def check(self, folder: Path, wanted: CacheKey, partial: bool = False) -> None:
        """Compare with what a run asks for; ``partial`` compares only the fields that ``wanted`` has.

        Raises:
            CacheMismatchError: Names the first field that differs.
        """
        wanted = plain_key(wanted)
        for name in sorted(wanted.keys() if partial else self.key.keys() | wanted.keys()):
            cached, asked = self.key.get(name), wanted.get(name)
            if cached != asked:
                raise CacheMismatchError(str(folder), name, cached, asked)

    def exclusions(self) -> Exclusions:
        """All that was left out, over the corpus and the shards."""
        total = exclusions_from_json(self.source_excluded)
        for shard in self.shards:
            total.merge(exclusions_from_json(shard.excluded))
        return total


def plain_key(key: CacheKey) -> CacheKey:
    """The key as it reads back from JSON (tuples become lists), so that keys compare by value."""
    return dict(json.loads(json.dumps(key)))


def read_manifest(folder: Path) -> Manifest | None:
    """The folder's manifest, or None where there is none.

    Raises:
        CacheError: It is not readable, or of another version.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return None
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        version = raw["schema_version"]
        if version != SCHEMA_VERSION:
            raise CacheMismatchError(str(folder), "schema_version", version, SCHEMA_VERSION)
        manifest = Manifest(**{**raw, "shards": [ShardEntry(**s) for s in raw["shards"]]})
        _check_types(manifest)
        for shard in manifest.shards:
            _check_types(shard)
        manifest.exclusions()
        return manifest
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CacheError(f"{path} is not a cache manifest ({error}). Delete {folder} and extract again.") from error


def _check_types(part: Manifest | ShardEntry) -> None:
    """Raise TypeError for a field whose value is not of the type that it is declared with."""
    for name, hint in get_type_hints(type(part)).items():
        value, kind = getattr(part, name), get_origin(hint) or hint
        inner = get_args(hint)[0] if kind is list else object
        if not isinstance(value, kind) or not all(isinstance(v, inner) for v in (value if kind is list else ())):
            raise TypeError(f"field '{name}' is not of type {hint}")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the folder's manifest, so that a crash leaves either the old or the new one."""
    temporary = folder / f"{MANIFEST_NAME}.tmp"
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(asdict(manifest), stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    publish(temporary, folder / MANIFEST_NAME)


def publish(temporary: Path, final: Path) -> None:
    """Give a file that is already on disk its final name, and make the name itself durable."""
    temporary.replace(final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def exclusions_to_json(exclusions: Exclusions) -> dict[str, dict[str, Any]]:
    """Counts and examples by reason, as plain JSON."""
    return {r: {"count": n, "examples": exclusions.examples.get(r, [])} for r, n in exclusions.counts.items()}


def exclusions_from_json(raw: dict[str, dict[str, Any]]) -> Exclusions:
    """The inverse of :func:`exclusions_to_json`."""
    exclusions = Exclusions()
    for reason, entry in raw.items():
        exclusions.counts[reason] = int(entry["count"])
        exclusions.examples[reason] = [str(e) for e in entry["examples"]]
    return exclusions
