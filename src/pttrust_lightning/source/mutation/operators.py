"""The names of all mutation operators, and how often each is drawn.

Line operators (PtTrust, arXiv 2504.14640) edit text; what they make need not parse. Semantic operators edit syntax
trees, after the bugs that code LLMs make; what they make parses, and differs beyond comments and white space.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping, Sequence

from pttrust_lightning.errors import ConfigError, did_you_mean

LINE_OPERATORS: tuple[str, ...] = ("switch_inside", "switch_outside", "delete_line")

SEMANTIC_OPERATORS: tuple[str, ...] = (
    "wrong_comparison",
    "off_by_one",
    "wrong_variable",
    "wrong_attribute",
    "negated_condition",
    "missing_condition",
    "wrong_constant",
    "swapped_arguments",
    "wrong_precedence",
    "missing_initialisation",
    "wrong_return",
    "wrong_loop_bound",
    "dropped_statement",
    "dropped_call",
)

OPERATORS: tuple[str, ...] = LINE_OPERATORS + SEMANTIC_OPERATORS

Operators = Sequence[str] | Mapping[str, float]
"""Names of operators, all drawn equally often, or the weight of each; weights need not sum to 1."""


def operator_weights(operators: Operators, valid: Collection[str] = OPERATORS) -> dict[str, float]:
    """The weight of each named operator: 1 where a list names it.

    Raises:
        ConfigError: An unknown operator, none at all, or a weight that is no number above 0.
    """
    named = dict.fromkeys(operators, 1.0)
    if isinstance(operators, Mapping):  # by name, since two mappings that are equal must draw alike
        named = dict(sorted(operators.items()))
    unknown = [name for name in named if name not in valid]
    if unknown or not named:
        problem = f"Unknown operator {unknown[0]!r}" if unknown else "No operator is named"
        near = did_you_mean(unknown[0], valid) if unknown else ""
        raise ConfigError(f"{problem}. Valid operators: {', '.join(valid)}.{near}")
    for name, weight in named.items():
        if not (isinstance(weight, int | float) and math.isfinite(weight) and weight > 0):
            raise ConfigError(f"operators gives {name} the weight {weight}; give a number above 0, or leave it out.")
    return named


def drawn_order(weights: Mapping[str, float], rng: random.Random) -> list[str]:
    """The operators in the order of draws without replacement, each by its weight among those left.

    Equal weights use up the generator as the unweighted draws of earlier versions did, so that their mutants stay.
    """
    names = list(weights)
    if len(set(weights.values())) == 1:
        return rng.sample(names, len(names))
    keys = {name: rng.random() ** (1 / weight) for name, weight in weights.items()}  # Efraimidis and Spirakis, 2006
    return sorted(names, key=keys.__getitem__, reverse=True)
