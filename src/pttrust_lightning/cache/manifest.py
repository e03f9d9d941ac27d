"""The manifest: what a cache was made from, and whether it is complete. Which shards it has is in the journals."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from pttrust_lightning.cache.durable import write_whole
from pttrust_lightning.cache.schema import SCHEMA_VERSION
from pttrust_lightning.errors import CacheError, CacheMismatchError
from pttrust_lightning.types import Exclusions

MANIFEST_NAME = "manifest.json"

CacheKey = dict[str, Any]
"""Everything that decides what the states are: plain JSON values by field name; ``layers`` is a list of blocks."""


@dataclass(slots=True)
class Manifest:
    """The contents of ``manifest.json``; written when a cache is begun and when it is finished.

    Attributes:
        key: What the states come from. ``layers`` is sorted.
        d: Width of a state.
        storage_dtype: How states are stored.
        complete: Whether every group of the corpus is in a shard.
        n_groups: How many groups those are, so that a journal that is gone is missed; 0 until complete.
        source_excluded: What was left out before any state was read (files skipped by the corpus).
        fingerprint: Free for the caller: what lets it see, without reading the corpus, that nothing has changed.
        schema_version: Version of the layout.
    """

    key: CacheKey
    d: int
    storage_dtype: str
    complete: bool = False
    n_groups: int = 0
    source_excluded: dict[str, dict[str, Any]] = field(default_factory=dict)
    fingerprint: dict[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    @property
    def layers(self) -> list[int]:
        """The cached layers, ascending: what an extractor must read to add to this cache."""
        return list(self.key["layers"])

    def check(self, folder: Path, wanted: CacheKey, partial: bool = False) -> None:
        """Compare with what a run asks for; ``partial`` compares only the fields that ``wanted`` has.

        A cache may hold more layers than are wanted, and not fewer. Every other field must be equal.

        Raises:
            CacheMismatchError: Names the first field that differs.
        """
        wanted = plain_key(wanted)
        for name in sorted(wanted.keys() if partial else self.key.keys() | wanted.keys()):
            cached, asked = self.key.get(name), wanted.get(name)
            enough = name == "layers" and isinstance(asked, list) and set(asked) <= set(self.layers)
            if cached != asked and not enough:
                raise CacheMismatchError(str(folder), name, cached, asked)


def plain_key(key: CacheKey) -> CacheKey:
    """The key as it reads back from JSON (tuples become lists), so that keys compare by value; ``layers`` sorted."""
    plain = dict(json.loads(json.dumps(key)))
    layers = plain.get("layers")
    if isinstance(layers, list) and all(type(layer) is int for layer in layers):
        plain["layers"] = sorted(set(layers))
    return plain


def is_layers(value: object) -> bool:
    """Whether a value names layers: a list of 0-based numbers, ascending, at least one."""
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(type(layer) is int and layer >= 0 for layer in value)
        and value == sorted(set(value))
    )


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
        manifest = Manifest(**raw)
        check_types(manifest)
        if not is_layers(manifest.key.get("layers")):
            raise TypeError("field 'key' has no list of layers, ascending")
        exclusions_from_json(manifest.source_excluded)
        return manifest
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CacheError(f"{path} is not a cache manifest ({error}). Delete {folder} and extract again.") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the folder's manifest, so that a crash leaves either the old or the new one. Held under the lock."""
    path = folder / MANIFEST_NAME
    write_whole(path, json.dumps(asdict(manifest), indent=1).encode(), path.with_name(f"{MANIFEST_NAME}.tmp"))


def check_types(part: Any) -> None:
    """Raise TypeError for a dataclass's field whose value is not of the type that it is declared with."""
    for name, hint in get_type_hints(type(part)).items():
        value, kind = getattr(part, name), get_origin(hint) or hint
        inner = get_args(hint)[0] if kind is list else object
        if not isinstance(value, kind) or not all(isinstance(v, inner) for v in (value if kind is list else ())):
            raise TypeError(f"field '{name}' is not of type {hint}")


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
