"""Propose the edits of a program that would be bugs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from pttrust_lightning.source.mutation.semantic import conditions, names, statements, values
from pttrust_lightning.source.mutation.semantic.edit import Edit
from pttrust_lightning.source.mutation.semantic.facts import Facts

Rule = Callable[[Facts], Iterator[Edit]]

RULES: tuple[Rule, ...] = (
    conditions.wrong_comparison,
    conditions.negated_condition,
    conditions.missing_operand,
    conditions.wrong_precedence,
    values.off_by_one,
    values.wrong_loop_bound,
    values.wrong_constant,
    names.wrong_variable,
    names.wrong_attribute,
    names.swapped_arguments,
    statements.missing_statement,
    statements.missing_value,
    statements.early_return,
    statements.unwrapped,
)
"""Everything that proposes edits; a rule may serve several operators."""


def propose_edits(facts: Facts, operators: Collection[str]) -> list[Edit]:
    """The edits of these operators, in source order and without repeats; a few may turn out not to parse."""
    found = {
        edit
        for rule in RULES
        for edit in rule(facts)
        if edit.operator in operators and facts.editable(edit.start_of_code) and _keeps_lines(facts, edit)
    }
    return sorted(found, key=lambda edit: (edit.start, edit.end, edit.operator, edit.replacement))


def _keeps_lines(facts: Facts, edit: Edit) -> bool:
    """Whether an edit within lines leaves the number of lines, and something else in their place."""
    before = facts.data[edit.start : edit.end]
    same_lines = before.count(b"\n") == edit.replacement.count(b"\n")
    return edit.drops_lines or (same_lines and before != edit.replacement)
