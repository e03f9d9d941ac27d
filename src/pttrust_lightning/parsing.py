"""Command lines whose errors are short and name the nearest valid spelling."""

from __future__ import annotations

import argparse
import difflib
import importlib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from typing import NoReturn

from jsonargparse import ArgumentParser
from lightning.pytorch.cli import LightningArgumentParser

_PACKAGE = __name__.partition(".")[0]
_OF_CLASS = re.compile(r"class_path '([\w.]+)':\s+Option '(\w+)' is not accepted")
_OF_PARSER = re.compile(r"(?:^Option|does not accept option) '([\w.]+)'")
_OF_ARGUMENTS = re.compile(r"unrecognized arguments: (.+)")
_OF_NAMES = re.compile(r"has no attribute '(\w+)'|Expected a dot import path string: (\w+)")


class Parser(ArgumentParser):  # type: ignore[misc]
    """jsonargparse's parser, but for its errors: no usage of a page in front, and the nearest valid name behind."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say what is wrong, and exit with 2."""
        if not self.exit_on_error:  # the parser of a part: the whole's says more
            super().error(message, ex)
        _fail(self, message, ex)


class LightningParser(LightningArgumentParser):
    """The same of LightningCLI's parser."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say what is wrong, and exit with 2."""
        if not self.exit_on_error:  # the parser of a part: the whole's says more
            super().error(message, ex)
        _fail(self, message, ex)


def _fail(parser: ArgumentParser, message: str, ex: Exception | None) -> NoReturn:
    at_fault = getattr(ex, "subcommand_parser", None) or parser
    program = at_fault.prog.replace(" [options]", "")
    near = "".join(f"Did you mean '{name}'?\n" for name in suggestions(message, [parser, at_fault]))
    print(f"{program}: {message}\n{near}All options: {program} --help", file=sys.stderr)
    parser.exit(2)
    raise AssertionError("exit does not return")


def suggestions(message: str, parsers: Iterable[argparse.ArgumentParser]) -> list[str]:
    """The valid names nearest to those that an error message says are none; nothing where none is near.

    Args:
        message: As jsonargparse words it.
        parsers: Whose options count.
    """
    near = []
    for given, valid in _misspelt(message, list(parsers)):
        near += difflib.get_close_matches(given, valid, n=1, cutoff=0.6)
    return list(dict.fromkeys(near))


def _misspelt(message: str, parsers: list[argparse.ArgumentParser]) -> Iterator[tuple[str, list[str]]]:
    """Each name that is none, with the names that are."""
    of_class = _OF_CLASS.findall(message)
    for class_path, option in of_class:
        yield option, list(_parameters(class_path))
    if not of_class:
        options = [action.dest for parser in parsers for action in parser._actions]
        for option in _OF_PARSER.findall(message):
            yield option, options
        for arguments in _OF_ARGUMENTS.findall(message):
            for argument in arguments.split():
                yield argument.partition("=")[0].lstrip("-"), options
    for match in _OF_NAMES.finditer(message):
        yield match[1] or match[2], _classes()


def _parameters(class_path: str) -> list[str]:
    module, _, name = class_path.rpartition(".")
    return list(inspect.signature(getattr(importlib.import_module(module), name)).parameters)


def _classes() -> list[str]:
    """What this package's rooms offer by name, as far as they are loaded."""
    rooms = [module for name, module in sys.modules.items() if name.startswith(f"{_PACKAGE}.")]
    return sorted({name for room in rooms for name in getattr(room, "__all__", ()) if name[:1].isupper()})
