import dataclasses
import io
import json
import math
import re

import pytest
from rich.console import Console

from pttrust_lightning.baselines import BASELINES
from pttrust_lightning.metrics.evaluation import LOWER_IS_BETTER, METRICS, VERDICT_METRICS, Estimate
from pttrust_lightning.report.results import (
    COMPARED,
    SHOWN,
    SHOWN_OF_SNIPPETS,
    Results,
    markdown,
    print_results,
    record,
)

NAN = Estimate(math.nan, math.nan, math.nan)


def estimates(value, **changes):
    """Every metric with one value, but for the changes (``auroc=...``)."""
    return {m: Estimate(value, value - 0.1, value + 0.1) for m in METRICS} | changes


def results(methods=None, differences=None):
    return Results(
        name="tiny",
        seeds=[3],
        data={"test": {"snippets": 11, "lines": 120, "wrong_lines": 13}, "labelled": {"left_out": {"empty": 2}}},
        methods=methods or {"pttrust": estimates(0.6), "surface": estimates(0.4, auroc=NAN), "random": estimates(0.2)},
        differences=differences or {"surface": estimates(0.2), "random": estimates(0.05)},
    )


def strict(text):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def table(text, first):
    """The cells of the Markdown table whose head starts with ``first``."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first}"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_json_is_strict_and_holds_every_metric():
    found = strict(json.dumps(record(results())))
    assert found["data"] == results().data
    assert list(found["methods"]) == ["pttrust", "surface", "random"]
    assert set(found["methods"]["random"]) == set(METRICS)
    assert found["methods"]["random"]["mrr"] == {"value": 0.2, "low": 0.1, "high": 0.30000000000000004}
    assert found["methods"]["surface"]["auroc"] == {"value": None, "low": None, "high": None}
    assert found["pttrust_minus"]["surface"]["mrr"]["value"] == 0.2


def test_markdown_says_what_labels_and_states_these_are_where_that_is_known():
    assert "sha" not in markdown(results()) and "Labels" not in markdown(results())
    known = {
        "labels_sha256": "ab" * 32,
        "states_sha256": "cd" * 32,
        "llm": {"llm": "tiny", "weights_sha256": "ef" * 32},
    }
    given = dataclasses.replace(results(), data={**results().data, "labelled": {"left_out": {}, **known}})
    assert "Labels `abababababab`, states `cdcdcdcdcdcd` of the LLM tiny, weights `efefefefefef`." in markdown(given)


def test_markdown_columns_are_the_shown_metrics():
    rows = table(markdown(results()), "method")
    assert [h.split()[0] for h in rows[0]] == ["method", *SHOWN]
    for heading in rows[0][1:]:
        assert ("↓" in heading) == (heading.split()[0] in LOWER_IS_BETTER)
    assert {len(row) for row in rows} == {1 + len(SHOWN)}
    assert [row[0] for row in rows[2:]] == ["pttrust", "surface", "random"]
    assert set(rows[1]) == {"---"}
    auroc = 1 + SHOWN.index("auroc")
    assert [row[auroc].replace("0.", ".") for row in rows[2:]] == [
        ".600 (.500 to .700)",
        "n/a (n/a to n/a)",
        ".200 (.100 to .300)",
    ]


def test_markdown_says_what_it_was_found_on():
    text = markdown(results())
    for part in ("`tiny`", "seed 3", "11 test snippets", "120 lines", "13 of them wrong"):
        assert part in text
    assert text.endswith("\n")


def test_markdown_marks_differences_whose_interval_leaves_out_zero():
    rows = table(
        markdown(
            results(
                differences={
                    "surface": estimates(0.2),
                    "random": estimates(-0.2),
                    "probe": estimates(0.05, mrr=NAN),
                }
            )
        ),
        "pttrust minus",
    )
    assert rows[0] == ["pttrust minus", *COMPARED]
    assert [row[1].replace("0.", ".") for row in rows[2:]] == [
        "+.200* (+.100 to +.300)",
        "-.200* (-.300 to -.100)",
        "+.050 (-.050 to +.150)",
    ]
    assert rows[4][1 + COMPARED.index("mrr")] == "n/a (n/a to n/a)"


def printed(found, width=200):
    """What the terminal gets, and the parts of it in bold."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=True, color_system="standard", legacy_windows=False)
    print_results(found, console)
    text = stream.getvalue()
    bold = [part.split("\x1b[0m")[0].strip() for part in text.split("\x1b[1m")[1:]]
    return text, [float(part) for part in bold if part.lstrip("-+").replace(".", "").isdigit()]


def test_the_best_of_each_metric_is_bold():
    _, bold = printed(results())
    # where less is better the lowest
    assert sorted(bold) == sorted(0.2 if m in LOWER_IS_BETTER else 0.6 for m in SHOWN)


@pytest.mark.parametrize("order", [1, -1])
def test_an_undefined_value_is_never_the_best(order):
    methods = {"pttrust": estimates(0.7, auroc=NAN, ece=NAN), "surface": estimates(0.4), "random": estimates(0.3)}
    text, bold = printed(results(dict(list(methods.items())[::order])))
    expected = {m: 0.3 if m in LOWER_IS_BETTER else 0.7 for m in SHOWN} | {"auroc": 0.4, "ece": 0.3}
    assert sorted(bold) == sorted(expected.values())
    assert "n/a" in text


def test_the_terminal_shows_every_method_and_metric():
    text, _ = printed(results())
    metrics = (part for metric in SHOWN for part in metric.replace("@20%", "_").split("_"))
    for name in (*results().methods, *metrics, "tiny", "11 snippets", "120 lines", "13 wrong"):
        assert name in text


def test_the_terminal_tables_fit_into_80_columns():
    names = ("pttrust", *BASELINES, "sae_no_contrast", *(f"variant_{i}" for i in range(6)))
    methods = {name: estimates(0.5) | {m: Estimate(0.5, 0.4, 0.6) for m in VERDICT_METRICS} for name in names}
    found = results(methods, {name: estimates(-0.1) for name in names[1:]})
    found.data["test"] |= {"judged_snippets": 22, "judged_wrong_snippets": 12}
    text, _ = printed(found, width=80)
    assert "…" not in text
    for name in methods:
        assert name in text
    assert max(len(re.sub("\x1b\\[[0-9;]*m", "", line)) for line in text.splitlines()) <= 80
    assert text.count("-.200 .000") + text.count("-.200 +.000") == len(COMPARED) * (len(names) - 1), "nothing is cut"


def test_zero_has_no_sign():
    from pttrust_lightning.report.results import _number

    assert [_number(v, digits=2) for v in (-0.001, 0.001, -0.25)] == [".00", ".00", "-.25"]
    assert [_number(v, signed=True) for v in (-0.0001, 0.0)] == ["+.000", "+.000"]


def judging_results():
    of_snippets = {m: Estimate(0.7, 0.6, 0.8) for m in VERDICT_METRICS}
    methods = {
        "pttrust": estimates(0.6) | of_snippets,
        "lines_alone": estimates(0.5),
        "surface": estimates(0.4) | of_snippets | {"snippet_auroc": Estimate(0.55, 0.5, 0.6)},
    }
    gap = {m: Estimate(0.15, 0.05, 0.25) for m in VERDICT_METRICS}
    found = results(methods, {"lines_alone": estimates(0.1), "surface": estimates(0.2) | gap})
    found.data["test"] |= {"judged_snippets": 22, "judged_wrong_snippets": 12}
    return found


def test_methods_that_judge_snippets_have_a_table_of_their_own():
    text = markdown(judging_results())
    assert "Whole snippets: 22 were judged, 12 of them wrong." in text
    methods, gaps = text[text.index("Whole") :].split("| pttrust minus")
    heading, _, *rows = table(methods, "method")
    assert heading[1:] == [f"{m} ↓" if m in LOWER_IS_BETTER else m for m in SHOWN_OF_SNIPPETS]
    assert [row[0] for row in rows] == ["pttrust", "surface"], "lines_alone judges no snippet"
    assert rows[1][1] == ".550 (.500 to .600)"
    assert "| surface | +.150* (+.050 to +.250)" in gaps and "lines_alone" not in gaps


def test_without_any_that_do_there_is_no_such_table():
    assert "snippet_auroc" not in markdown(results()) and "Whole snippets" not in markdown(results())


def test_the_terminal_shows_judged_snippets_only_where_there_are_any():
    shown = []
    for found in (results(), judging_results()):
        console = Console(file=io.StringIO(), width=80, force_terminal=False)
        print_results(found, console)
        shown.append(console.file.getvalue())
    assert "whole snippets: 22 judged, 12 wrong" in shown[1] and "aurc ↓" in shown[1]
    assert "whole snippets" not in shown[0]
