"""Findings of other tools: the lines that a SARIF 2.1.0 file (OASIS standard) marks in a folder of source files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from pttrust_lightning.errors import ConfigError, SourceError
from pttrust_lightning.source.corpora.base import problem_with
from pttrust_lightning.source.corpora.python_functions import PlacedFunction, placed_functions
from pttrust_lightning.source.labelled.base import LabelledSource
from pttrust_lightning.source.labelled.sarif_log import Finding, findings
from pttrust_lightning.source.languages import language_of
from pttrust_lightning.source.lines import is_blank, split_lines
from pttrust_lightning.types import Exclusions, LabelledSnippet, Program

Level = Literal["none", "note", "warning", "error"]
Unit = Literal["file", "function"]


class SarifFindings(LabelledSource):
    """The files, or the Python functions, in which tools found something; wrong lines are the lines of the findings.

    A finding marks all non-blank lines of its region; columns are ignored. What is suppressed, of another kind than
    ``fail``, or no longer there (``baselineState: absent``) is left out and counted, and so is a finding whose file is
    missing, lies outside the folder, or ends before it.

    Args:
        path: The SARIF file.
        root: The folder of the source files; relative URIs are resolved against it, whatever their ``uriBaseId``.
        levels: The levels to read, of ``none``, ``note``, ``warning`` and ``error``; all where null.
        rules: The ids of the rules to read, such as ``["B006"]``; all where null.
        unit: ``file``, or ``function`` for the top-level functions and methods of Python files, dedented.
    """

    def __init__(
        self,
        path: str,
        root: str,
        levels: list[Level] | None = None,
        rules: list[str] | None = None,
        unit: Unit = "file",
    ) -> None:
        for level in levels or ():
            if level not in get_args(Level):
                raise ConfigError(f"Unknown level {level!r}. Choose from {', '.join(get_args(Level))}.")
        if unit not in get_args(Unit):
            raise ConfigError(f"unit is {unit!r}; choose 'file' or 'function'.")
        self.path = path
        self.root = root
        self.levels = levels
        self.rules = rules
        self.unit: Unit = unit

    @property
    def name(self) -> str:
        """The file's own name."""
        return Path(self.path).name

    def describe(self) -> str:
        """The file, the folder, and which findings are read."""
        levels = "" if self.levels is None else f", levels {', '.join(self.levels)}"
        rules = "" if self.rules is None else f", rules {', '.join(self.rules)}"
        return f"findings of {self.path} in {self.unit}s of {self.root}{levels}{rules}"

    def snippets(self, exclusions: Exclusions) -> list[LabelledSnippet]:
        """The files or functions with a finding, by path; ids are ``path/in/folder.py`` or ``...::Class.method``.

        The label source is ``sarif:<tool>:<rule>``, with further ``<tool>:<rule>`` after commas.

        Raises:
            SourceError: The file or the folder cannot be read, or no finding is left.
            SchemaError: The file is no SARIF 2.1 log; names the run and the result.
        """
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise SourceError(f"{self.root} is no folder. Name the folder that the findings' files lie in.")
        of_file: defaultdict[str, list[Finding]] = defaultdict(list)
        for finding in findings(self.path, root, exclusions):
            if self.levels is not None and finding.level not in self.levels:
                exclusions.add("finding of another level", finding.place)
            elif self.rules is not None and finding.rule not in self.rules:
                exclusions.add("finding of another rule", finding.place)
            else:
                of_file[finding.file].append(finding)
        snippets = [
            snippet for file in sorted(of_file) for snippet in self._snippets(root, file, of_file[file], exclusions)
        ]
        if not snippets:
            reasons = "; ".join(exclusions.describe()) or "it holds none"
            raise SourceError(f"{self.path} gives no finding ({reasons}). Check path, root, levels and rules.")
        return snippets

    def _snippets(
        self, root: Path, file: str, found: list[Finding], exclusions: Exclusions
    ) -> Iterator[LabelledSnippet]:
        program = _program(root, file, len(found), exclusions)
        if program is None:
            return
        marked = _marked_lines(program, found, exclusions)
        for part, first_line in self._parts(program, exclusions):
            last_line = first_line + len(split_lines(part.code))
            own = {line: marked.pop(line) for line in sorted(marked) if first_line <= line < last_line}
            if own:
                sources = sorted({source for line_sources in own.values() for source in line_sources})
                yield LabelledSnippet(
                    id=part.id,
                    problem_id=file,
                    language=part.language,
                    task="analysis",
                    prompt="",
                    code=part.code,
                    wrong_lines=tuple(line - first_line for line in own),
                    correct=False,
                    label_source=f"sarif:{','.join(sources)}",
                )
        exclusions.add("marked line outside of functions", file, len(marked))

    def _parts(self, program: Program, exclusions: Exclusions) -> Iterator[PlacedFunction]:
        if self.unit == "file":
            yield PlacedFunction(program, 0)
        elif program.language != "python":
            exclusions.add("not Python (unit 'function')", program.id)
        else:
            yield from placed_functions(program, exclusions)


def _program(root: Path, file: str, n_findings: int, exclusions: Exclusions) -> Program | None:
    language = language_of(Path(file))
    if language is None:
        exclusions.add("finding in a file of no known language", file, n_findings)
        return None
    try:
        code = (root / file).read_bytes().decode("utf-8-sig")
    except OSError as error:
        exclusions.add(f"finding in an unreadable file ({error.strerror})", file, n_findings)
        return None
    except UnicodeDecodeError:
        exclusions.add("finding in a file that is not UTF-8 text", file, n_findings)
        return None
    problem = problem_with(code, "file")
    if problem is not None:
        exclusions.add(f"finding in a file with a problem: {problem}", file, n_findings)
        return None
    return Program(id=file, code=code, language=language, origin=file)


def _marked_lines(program: Program, found: list[Finding], exclusions: Exclusions) -> dict[int, set[str]]:
    """The tools and rules that mark each line, by 0-based line number."""
    lines = split_lines(program.code)
    marked: defaultdict[int, set[str]] = defaultdict(set)
    for finding in found:
        if finding.last_line >= len(lines):
            exclusions.add("finding beyond the end of its file", finding.place)
            continue
        own = [n for n in range(finding.first_line, finding.last_line + 1) if not is_blank(lines[n].text)]
        if not own:
            exclusions.add("finding on blank lines", finding.place)
        for number in own:
            marked[number].add(f"{finding.tool}:{finding.rule}")
    return dict(marked)
