from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.source.languages import LANGUAGES
from pttrust_lightning.source.mutation.operators import OPERATORS, drawn_order, operator_weights
from pttrust_lightning.source.mutation.semantic.facts import QUERIES, Regions
from pttrust_lightning.source.mutation.semantic.vocabulary import CONFUSED_APIS

PROPERTY = settings(deadline=None, derandomize=True)


def test_a_list_weighs_all_alike_in_its_order():
    weights = operator_weights(["wrong_variable", "delete_line", "wrong_variable"])
    assert list(weights.items()) == [("wrong_variable", 1.0), ("delete_line", 1.0)]


def test_equal_mappings_draw_alike():
    weights = {"wrong_variable": 2.0, "delete_line": 1}
    assert list(operator_weights(weights)) == list(operator_weights(dict(reversed(weights.items()))))


@pytest.mark.parametrize(
    ("operators", "message"),
    [
        ([], "No operator is named. Valid operators: switch_inside, "),
        ({}, "No operator is named"),
        (
            ["of_by_one"],
            "Unknown operator 'of_by_one'. Valid operators: switch_inside, .*, dropped_call. Did you mean 'off_by_one'",
        ),
        ({"off_by_one": 0}, "off_by_one the weight 0; give a number above 0, or leave it out"),
        ({"off_by_one": -1.0}, "weight -1"),
        ({"off_by_one": float("nan")}, "weight nan"),
        ({"off_by_one": float("inf")}, "weight inf"),
        ({"off_by_one": "much"}, "weight much"),
    ],
)
def test_bad_weights_are_refused(operators, message):
    with pytest.raises(ConfigError, match=message):
        operator_weights(operators)


def test_the_first_drawn_is_drawn_by_weight():
    weights = {"off_by_one": 3.0, "wrong_variable": 1.0, "delete_line": 1.0}
    rng = random.Random(0)
    first = Counter(drawn_order(weights, rng)[0] for _ in range(5000))
    assert abs(first["off_by_one"] - 3000) < 140  # a standard deviation of 35
    assert abs(first["delete_line"] - 1000) < 110


@PROPERTY
@given(st.dictionaries(st.sampled_from(OPERATORS), st.floats(0.01, 100), min_size=1), st.integers())
def test_every_operator_gets_its_turn(weights, seed):
    assert sorted(drawn_order(weights, random.Random(seed))) == sorted(weights)


def test_every_language_has_its_table():
    assert sorted(QUERIES) == sorted(CONFUSED_APIS) == sorted(LANGUAGES)
    for groups in CONFUSED_APIS.values():
        names = [name for group in groups for name in group.split()]
        assert len(names) == len(set(names))


def nested_spans(bounds: list[int]) -> list[tuple[int, int, int]]:
    """Spans that nest: brackets that open and close by a seeded walk."""
    rng, open_, spans = random.Random(str(bounds)), [], []
    for position in sorted(bounds):
        if open_ and rng.random() < 0.5 and open_[-1] < position:
            spans.append((open_.pop(), position, len(spans)))
        else:
            open_.append(position)
    return spans


@PROPERTY
@given(st.lists(st.integers(0, 60), unique=True, max_size=24))
def test_the_innermost_region_is_the_shortest_that_holds_the_byte(bounds):
    spans = nested_spans(bounds)
    regions = Regions(spans)
    for position in range(-1, 62):
        around = [span for span in spans if span[0] <= position < span[1]]
        expected = min(around, key=lambda span: span[1] - span[0])[2] if around else None
        assert regions.at(position) == expected
