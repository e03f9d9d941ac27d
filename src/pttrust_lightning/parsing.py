"""Command lines whose errors are short, name the option as it is written, and the nearest valid spelling."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import importlib
import inspect
import re
import sys
import typing
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, NoReturn

from jsonargparse import ArgumentParser
from lightning.pytorch.cli import LightningArgumentParser

_PACKAGE = __name__.partition(".")[0]
_OF_CLASS = re.compile(r"class_path '([\w.]+)':\s+Option '(\w+)' is not accepted")
_OF_GROUP = re.compile(r"class_path '([\w.]+)':\s+Group '\w+' does not accept option '([\w.]+)'")
_ARGUMENTS_OF_CLASS = re.compile(r"class_path '([\w.]+)':\s+unrecognized arguments: (.+)")
_OF_PARSER = re.compile(r"(?:^Option|does not accept option) '([\w.]+)'")
_OF_ARGUMENTS = re.compile(r"unrecognized arguments: (.+)")
_OF_NAMES = re.compile(r"has no attribute '(\w+)'|Expected a dot import path string: (\w+)")
_OF_LITERAL = re.compile(r"Expected a typing\.Literal\[(.+)\]\. Got value: (.+)")
_OF_KEYS = re.compile(r"Parser key \"(\w+)\":\s+Unexpected keys: \{(.+?)\}")

_AT_KEY = re.compile(r"Parser key \"(.+?)\":")
_IN_CLASS = re.compile(r"Problem with given class_path '[\w.]+':")
_SUBTYPES = "Subtypes: "
_GIVEN = "Given value: "
_SAYS_NOTHING = (
    "Does not validate against any of the Union subtypes",
    _SUBTYPES,
    "Errors:",
    "Given value type:",
    _GIVEN,
)
_CLASS = re.compile(r"<class '([\w.]+)\.(\w+)'>")
_ALTERNATIVE = re.compile(r"Expected an? (?:<class '[\w.]+'>|path but .+)$")


class _PlainErrors(ArgumentParser):  # type: ignore[misc]
    """jsonargparse's parser, but for its errors: no usage of a page in front, and the nearest valid name behind."""

    _file: str | None = None  # the configuration file that is being read

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})  # a part of a name is a misspelling too

    def parse_path(self, cfg_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Parse a configuration file; errors name it."""
        outer, self._file = self._file, str(cfg_path)
        try:
            return super().parse_path(cfg_path, *args, **kwargs)
        finally:
            self._file = outer

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say what is wrong, and exit with 2."""
        if not self.exit_on_error:  # the parser of a part: the whole's says more
            super().error(message, ex)
        at_fault = getattr(ex, "subcommand_parser", None) or self
        program = at_fault.prog.replace(" [options]", "")
        file = "" if self._file is None else f"{self._file}: "
        near = "".join(f"Did you mean '{name}'?\n" for name in suggestions(message, [self, at_fault]))
        print(f"{program}: {file}{explained(message)}\n{near}All options: {program} --help", file=sys.stderr)
        self.exit(2)
        raise AssertionError("exit does not return")


class Parser(_PlainErrors):
    """The parser of a tool."""


class LightningParser(_PlainErrors, LightningArgumentParser):
    """The parser of LightningCLI."""


class _Fault(NamedTuple):
    """What a message says of one option.

    Attributes:
        where: The option, as it is written.
        text: What is wrong with it.
        wanted: The classes that may stand there, as the message lists them; empty where it does not.
    """

    where: str
    text: str
    wanted: str


def explained(message: str) -> str:
    """What an error says, option by option as they are written, without the types that the value was tried against.

    Args:
        message: As jsonargparse words it.

    Returns:
        A line for each thing that is wrong; the message itself where it names no option.
    """
    faults, given = _faults(message)
    telling = [_worded(fault) for fault in faults if not _ALTERNATIVE.match(fault.text)]
    if not telling and faults:
        wanted = " or ".join(name for fault in faults for name in _last_names(fault.text)) or "another value"
        telling = [f"{faults[0].where}: expected {wanted}, got {given}"]
    return "\n".join(dict.fromkeys(telling)) or message


def _faults(message: str) -> tuple[list[_Fault], str | None]:
    """The leaves of the tree that a message is, by indentation, and the value that was given; none where it is none."""
    inside: list[tuple[int, str]] = []
    wanted: dict[str, str] = {}
    faults: list[_Fault] = []
    given = None
    if not (_AT_KEY.match(message) or _IN_CLASS.match(message)):
        return [], None
    for line in filter(str.strip, message.splitlines()):
        text = line.strip().removeprefix("- ")
        indent = len(line) - len(line.lstrip("- "))
        while inside and inside[-1][0] >= indent:
            inside.pop()
        if (key := _AT_KEY.match(text)) or _IN_CLASS.match(text):
            inside.append((indent, key[1] if key else "init_args"))
            text = text[text.index(":") + 1 :].strip()
        where = ".".join(key for _, key in inside)
        if text.startswith(_SUBTYPES):
            wanted[where] = text
        elif text.startswith(_GIVEN):
            given = text.removeprefix(_GIVEN)
        elif text and not text.startswith(_SAYS_NOTHING):
            faults.append(_Fault(where, text, wanted.get(where, "")))
    return faults, given


def _worded(fault: _Fault) -> str:
    text = fault.text
    if literal := _OF_LITERAL.match(text):
        text = f"{literal[2]!r} is none of {', '.join(_values(literal[1]))}"
    elif name := _OF_NAMES.match(text):
        kinds = [name for _, name in _CLASS.findall(fault.wanted)]
        text = f"{name[1] or name[2]!r} is no {' or '.join(kinds) or 'class that can stand here'}"
    return f"{fault.where}: {text}" if fault.where else text


def _last_names(text: str) -> list[str]:
    """The types in a message, without their modules; None is what can be left out."""
    return [path.rpartition(".")[2] for path in re.findall(r"<class '([\w.]+)'>", text) if path != "NoneType"]


def _values(literal: str) -> list[str]:
    return [value.strip().strip("'\"") for value in literal.split(",")]


def suggestions(message: str, parsers: Iterable[argparse.ArgumentParser]) -> list[str]:
    """The valid names nearest to those that an error message says are none; nothing where none is near.

    Args:
        message: As jsonargparse words it.
        parsers: Whose options count.
    """
    near = []
    for given, valid in _misspelt(message, list(parsers)):
        near += _nearest(given, [name for name in valid if name != given])
    return list(dict.fromkeys(near))


def _nearest(given: str, valid: list[str]) -> list[str]:
    """The nearest name, by the whole of it or, where none is near, by its last part."""
    close = difflib.get_close_matches(given, valid, n=1, cutoff=0.6)
    if close:
        return close
    by_last = {name.rpartition(".")[2]: name for name in reversed(valid)}
    return [by_last[last] for last in difflib.get_close_matches(given.rpartition(".")[2], by_last, n=1, cutoff=0.6)]


def _misspelt(message: str, parsers: list[argparse.ArgumentParser]) -> Iterator[tuple[str, list[str]]]:
    """Each name that is none, with the names that are."""
    of_class = [*_OF_CLASS.findall(message), *_OF_GROUP.findall(message)]
    for class_path, arguments in _ARGUMENTS_OF_CLASS.findall(message):
        of_class += [(class_path, option) for option in _options(arguments)]
    for class_path, option in of_class:
        yield option, list(_parameters(class_path))
    if not of_class:
        valid = [action.dest for parser in parsers for action in parser._actions]
        given = [*_OF_PARSER.findall(message), *(o for line in _OF_ARGUMENTS.findall(message) for o in _options(line))]
        for option in given:
            first = option.partition(".")[0]  # a misspelt group makes every option in it unknown
            groups = sorted({name.partition(".")[0] for name in valid})
            yield (option, valid) if first in groups or "." not in option else (first, groups)
    faults = _faults(message)[0] or [_Fault("", message, "")]
    for fault in faults:
        for match in _OF_NAMES.finditer(fault.text):
            yield match[1] or match[2], _subclasses(fault.wanted) or _classes()
    for match in _OF_LITERAL.finditer(message):
        yield match[2], _values(match[1])
    for key, unexpected in _OF_KEYS.findall(message):
        hints = [getattr(action, "_typehint", None) for p in parsers for action in p._actions if action.dest == key]
        for name in _values(unexpected):
            yield name, [field for hint in hints for field in _fields(hint)]


def _options(arguments: str) -> list[str]:
    return [argument.partition("=")[0].lstrip("-") for argument in arguments.split() if argument.startswith("-")]


def _parameters(class_path: str) -> Iterator[str]:
    """The constructor's parameters, and ``parameter.field`` of those that are data classes."""
    module, _, name = class_path.rpartition(".")
    cls = getattr(importlib.import_module(module), name)
    hints = typing.get_type_hints(cls.__init__)
    for parameter in inspect.signature(cls).parameters:
        yield parameter
        yield from (f"{parameter}.{field}" for field in _fields(hints.get(parameter)))


def _fields(hint: Any) -> Iterator[str]:
    """The keys of the data classes and typed dictionaries in a type."""
    if dataclasses.is_dataclass(hint):
        yield from (field.name for field in dataclasses.fields(hint))
    elif typing.is_typeddict(hint):
        yield from hint.__annotations__
    for part in typing.get_args(hint):
        yield from _fields(part)


def _subclasses(wanted: str) -> list[str]:
    """The subclasses, as far as they are loaded, of the classes that a message lists."""
    names: set[str] = set()
    for module, name in _CLASS.findall(wanted):
        names |= {cls.__name__ for cls in _descendants(getattr(sys.modules.get(module), name, None))}
    return sorted(name for name in names if not name.startswith("_"))


def _descendants(cls: type | None) -> Iterator[type]:
    if cls is not None:
        yield cls
        children: list[type] = cls.__subclasses__()
        for child in children:
            yield from _descendants(child)


def _classes() -> list[str]:
    """What this package's rooms offer by name, as far as they are loaded."""
    rooms = [module for name, module in sys.modules.items() if name.startswith(f"{_PACKAGE}.")]
    return sorted({name for room in rooms for name in getattr(room, "__all__", ()) if name[:1].isupper()})
