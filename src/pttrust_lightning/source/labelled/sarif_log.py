"""Read the findings of a SARIF 2.1.0 log, and say exactly where one does not follow the standard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from pttrust_lightning.errors import SchemaError
from pttrust_lightning.source.jsonl import read_object
from pttrust_lightning.types import Exclusions

MAX_BASES = 16
"""Longest chain of ``uriBaseId``; a longer one goes in circles."""


class Finding(NamedTuple):
    """One place that one result marks.

    Attributes:
        tool: Name of the tool.
        rule: Id of its rule; ``none`` where the result names none.
        level: ``none``, ``note``, ``warning`` or ``error``.
        file: Path in the source folder, with ``/``.
        first_line: 0-based number of the first line.
        last_line: 0-based number of the last line.
    """

    tool: str
    rule: str
    level: str
    file: str
    first_line: int
    last_line: int

    @property
    def place(self) -> str:
        """File and 1-based line, for messages."""
        return f"{self.file}:{self.first_line + 1}"


def findings(path: str, root: Path, exclusions: Exclusions) -> Iterator[Finding]:
    """The findings of a log, in its order.

    Args:
        path: The SARIF file.
        root: The folder of the source files.
        exclusions: Where what is left out is counted.

    Raises:
        SourceError: The file cannot be read.
        SchemaError: It does not follow the standard; names the result (of all runs, counted from 1) and the field.
    """
    log = read_object(path)
    version = log.text("version")
    if not version.startswith("2.1"):
        raise log.error("version", f"{version!r} is not 2.1.0", "Have the tool write SARIF 2.1.0.")
    number = 0
    for run_fields in _Node(path, 1, "", log.fields).objects("runs"):
        run = _Run(run_fields)
        for result in run_fields.objects("results", optional=True):
            number += 1
            yield from _result(_Node(path, number, result.where, result.fields), run, root, exclusions)


@dataclass(frozen=True, slots=True)
class _Node:
    """An object within the log, with its place for messages."""

    path: str
    record: int
    where: str
    fields: dict[str, Any]

    def error(self, field: str, problem: str) -> SchemaError:
        remedy = "Have the tool write SARIF 2.1.0."
        return SchemaError(self.path, self.record, f"{self.where}{field}", problem, remedy)

    def get(self, field: str, kind: type, default: Any = None) -> Any:
        """A field's value, or the default where it is missing or null; a boolean is no integer."""
        value = self.fields.get(field)
        if value is None:
            return default
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.error(field, f"{type(value).__name__} instead of {kind.__name__}")
        return value

    def required(self, field: str, kind: type) -> Any:
        value = self.get(field, kind)
        if value is None:
            raise self.error(field, "missing")
        return value

    def object(self, field: str) -> _Node:
        """The object in a field; an empty one where it is missing."""
        return _Node(self.path, self.record, f"{self.where}{field}.", self.get(field, dict, {}))

    def objects(self, field: str, optional: bool = False) -> list[_Node]:
        values = self.get(field, list, []) if optional else self.required(field, list)
        for index, value in enumerate(values):
            if not isinstance(value, dict):
                raise self.error(f"{field}[{index}]", "not an object")
        return [_Node(self.path, self.record, f"{self.where}{field}[{i}].", value) for i, value in enumerate(values)]


class _Run:
    """What the results of one run refer to."""

    def __init__(self, run: _Node) -> None:
        driver = run.object("tool").object("driver")
        self.tool: str = driver.required("name", str)
        self.rules = driver.objects("rules", optional=True)
        self.artifacts = run.objects("artifacts", optional=True)
        self.bases = run.object("originalUriBaseIds")


def _result(result: _Node, run: _Run, root: Path, exclusions: Exclusions) -> Iterator[Finding]:
    rule_node = _listed(run.rules, result, "ruleIndex", result.object("rule").get("index", int))
    rule = result.get("ruleId", str) or result.object("rule").get("id", str)
    if rule is None and rule_node is not None:
        rule = rule_node.get("id", str)
    name = f"{run.tool}:{rule or 'none'}"
    reason = _left_out(result)
    if reason is not None:
        exclusions.add(reason, name)
        return
    places = result.objects("locations", optional=True)
    if not places:
        exclusions.add("finding without a place", name)
    for place in places:
        physical = place.object("physicalLocation")
        region = physical.object("region")
        first = region.get("startLine", int)
        if first is None:
            exclusions.add("finding without a line", name)
            continue
        last = region.get("endLine", int, first)
        if first < 1 or last < first:
            raise region.error("startLine", f"lines {first} to {last} are no region; lines count from 1")
        file = _file(physical.object("artifactLocation"), run, root)
        if file is None:
            exclusions.add("finding outside of the folder", name)
            continue
        yield Finding(run.tool, rule or "none", _level(result, rule_node), file, first - 1, last - 1)


def _left_out(result: _Node) -> str | None:
    kind = result.get("kind", str, "fail")
    if kind != "fail":
        return f"result of kind '{kind}'"
    if result.get("baselineState", str) == "absent":
        return "finding that is no longer there"
    statuses = [s.get("status", str, "accepted") for s in result.objects("suppressions", optional=True)]
    return "suppressed finding" if "accepted" in statuses else None


def _level(result: _Node, rule: _Node | None) -> str:
    level: str | None = result.get("level", str)
    if level is None and rule is not None:
        level = rule.object("defaultConfiguration").get("level", str)
    return level or "warning"  # the standard's default


def _listed(nodes: list[_Node], result: _Node, field: str, fallback: int | None) -> _Node | None:
    """The node that an index names; -1 stands for none."""
    index = result.get(field, int, -1 if fallback is None else fallback)
    if index >= len(nodes):
        raise result.error(field, f"{index}, but there are {len(nodes)}")
    return nodes[index] if index >= 0 else None


def _file(location: _Node, run: _Run, root: Path) -> str | None:
    """Path in the folder, or None where it lies outside of it."""
    artifact = _listed(run.artifacts, location, "index", None)
    if location.get("uri", str) is None and artifact is not None:
        location = artifact.object("location")
    path = _path(location.required("uri", str))
    base: str | None = location.get("uriBaseId", str)
    for _ in range(MAX_BASES):
        if base is None or (path is not None and path.is_absolute()):
            break
        parent = run.bases.object(base)
        above = _path(parent.get("uri", str, ""))
        if path is None or above is None:
            return None
        if not above.is_absolute():  # an absolute base is where the tool ran: here, that is the folder itself
            path = above / path
        base = parent.get("uriBaseId", str)
    else:
        raise location.error("uriBaseId", "the bases go in circles")
    if path is None:
        return None
    file, inside = (root / path).resolve(), root.resolve()
    return file.relative_to(inside).as_posix() if file.is_relative_to(inside) else None


def _path(uri: str) -> Path | None:
    """The path of a relative or ``file:`` URI, percent-decoded; None for other schemes."""
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        return None
    path = unquote(parts.path)
    return None if "\0" in path else Path(path)
