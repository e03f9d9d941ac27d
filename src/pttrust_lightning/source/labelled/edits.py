"""Programs to edit by an instruction: EditEval (InstructCoder, arXiv 2310.20329) and CanItEdit (arXiv 2312.12450; MIT).

The program before the edit is right by itself and wrong by its instruction: the wrong lines are those that the edit
changes. EditEval's programs are partly those of HumanEval and MBPP; do not train on one and test on the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.source.fixes import BugFix
from pttrust_lightning.source.jsonl import read_file_or_folder
from pttrust_lightning.source.labelled.fixed_programs import FixedPrograms
from pttrust_lightning.source.labelled.hub import PublicDataset, as_comment, with_unique_ids
from pttrust_lightning.types import Exclusions

CANITEDIT = PublicDataset("nuprl/CanItEdit", "test", "the same data set", "test.jsonl")

InstructionKind = Literal["descriptive", "lazy"]


class EditEval(FixedPrograms):
    """The 194 Python programs of EditEval before their edit; the instruction precedes them as a comment.

    Read are ``task_id``, ``instruction``, ``context`` (more text for the instruction, may be missing), ``input`` (the
    program before the edit) and ``output`` (after it).

    Args:
        path: ``edit_eval.jsonl`` of github.com/qishenghu/InstructCoder, or a folder that holds it.
        include_correct: Whether each edited program is a snippet too, without wrong lines.
    """

    task = "editing"

    def __init__(self, path: str, include_correct: bool = False) -> None:
        super().__init__(include_correct)
        self.path = path

    def describe(self) -> str:
        """The name and where it is read from."""
        return f"{self.name} from {self.path}"

    def fixes(self, exclusions: Exclusions) -> Iterator[BugFix]:
        """The programs, in file order; ids are task ids.

        Raises:
            SourceError: The path cannot be read.
            SchemaError: A record lacks a field, or repeats a task id.
        """
        for task_id, record in with_unique_ids(read_file_or_folder(self.path, "edit_eval.jsonl"), "task_id"):
            instruction = f"{record.text('instruction')}\n{record.text('context', default='')}"
            yield BugFix(
                id=task_id,
                problem_id=task_id,
                language="python",
                prompt=as_comment(instruction, "python"),
                buggy=record.text("input"),
                correct=record.text("output"),
            )


class CanItEdit(FixedPrograms):
    """The 105 Python programs of CanItEdit before their edit; the instruction precedes them as a comment.

    Read are ``id``, ``before``, ``after`` and ``instruction_descriptive`` or ``instruction_lazy``.

    Args:
        path: A JSONL file of the published records, or a folder of such files; where null, ``nuprl/CanItEdit`` is
            loaded by name through the ``datasets`` package.
        instruction: ``descriptive`` (in detail) or ``lazy`` (in a few words).
        include_correct: Whether each edited program is a snippet too, without wrong lines.
    """

    task = "editing"

    def __init__(
        self, path: str | None = None, instruction: InstructionKind = "descriptive", include_correct: bool = False
    ) -> None:
        if instruction not in get_args(InstructionKind):
            raise ConfigError(
                f"Unknown instruction {instruction!r}. Choose one of {', '.join(get_args(InstructionKind))}."
            )
        super().__init__(include_correct)
        self.path = path
        self.instruction = instruction

    def describe(self) -> str:
        """The name, the kind of instruction and where it is read from."""
        return f"{self.name} ({self.instruction} instructions) from {self.path or CANITEDIT.name}"

    def fixes(self, exclusions: Exclusions) -> Iterator[BugFix]:
        """The programs, in file order; ids are ``CanItEdit/<id>``.

        Raises:
            SourceError: The path or the data set cannot be read.
            SchemaError: A record lacks a field, or repeats an id.
        """
        for id_, record in with_unique_ids(CANITEDIT.records(self.path), "id"):
            yield BugFix(
                id=f"CanItEdit/{id_}",
                problem_id=f"CanItEdit/{id_}",
                language="python",
                prompt=as_comment(record.text(f"instruction_{self.instruction}"), "python"),
                buggy=record.text("before"),
                correct=record.text("after"),
            )
