import json
import math

import numpy as np
import pytest

from pttrust_lightning.interpretation.table import LatentRow
from pttrust_lightning.report.latent_tables import LatentReport, SourceLine, markdown, write_latents

LINES = [
    SourceLine("a.py::f", 0, "def f(x | y):", False, "code"),
    SourceLine("a.py::f", 1, "    # what `it` does", False, "comment"),
    SourceLine("a.py::f", 3, "    return x", True, "code"),
]


def row(latent, strongest=(), p=0.5, share=0.1, **figures):
    n = len(strongest)
    known = {"odds_ratio": 2.0, "odds_ratio_low": 1.5, "odds_ratio_high": 3.0, "p": p, "q": p}
    known |= {f"code_{name}": value for name, value in known.items()}
    known |= {"logit_drop": 0.25, "probability_drop": 0.0125, "variance_share": share}
    known |= {"n_fired": n, "firing_rate": n / 3, "mean_activation": 1.5, "n_fired_wrong": 1, "code_share": 0.5}
    known |= {"auroc": 0.625, "activations": (1.5,) * n, "n_alike": (2,) * n, **figures}
    return LatentRow(latent=latent, strongest=np.array(strongest, dtype=np.int64), **known)


def never_fires(latent):
    names = ("odds_ratio", "odds_ratio_low", "odds_ratio_high", "p", "q")
    unknown = {name: math.nan for name in (*names, *(f"code_{name}" for name in names), "mean_activation")}
    return row(latent, (), **unknown, code_share=math.nan, logit_drop=math.nan, probability_drop=math.nan, share=0.0)


ROWS = [never_fires(0), row(1, (2, 0), p=0.01), row(2, (1,), p=0.2, share=0.7), row(3, (0, 1, 2), p=0.04, share=-0.3)]
REPORT = LatentReport(ROWS, LINES, "some labels", ["2 left out: for a reason (b.py)"])


def test_the_table_is_a_record_a_latent(tmp_path):
    write_latents(tmp_path / "new", REPORT, shown=2)
    text = (tmp_path / "new" / "latents.jsonl").read_text()
    records = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    assert [r["latent"] for r in records] == [0, 1, 2, 3]
    assert records[0]["odds_ratio"] is None and records[0]["mean_activation"] is None
    assert records[0]["top_lines"] == []
    assert {name: records[1][name] for name in ("n_fired", "q", "auroc")} == {"n_fired": 2, "q": 0.01, "auroc": 0.625}
    alike = {"snippet": "a.py::f", "kind": "code", "activation": 1.5, "n_alike": 2}
    assert records[1]["top_lines"] == [
        {**alike, "line": 3, "text": "    return x", "wrong": True},
        {**alike, "line": 0, "text": "def f(x | y):", "wrong": False},
    ]
    assert len({frozenset(r) for r in records}) == 1
    before = text, (tmp_path / "new" / "latents.md").read_text()
    write_latents(tmp_path / "new", REPORT, shown=2)
    assert before == (
        (tmp_path / "new" / "latents.jsonl").read_text(),
        (tmp_path / "new" / "latents.md").read_text(),
    )


def shown_latents(page, heading):
    part = page.split(heading)[1].split("\n## ")[0]
    return [line.split("|")[1].strip() for line in part.splitlines() if line.startswith("| ") and "latent" not in line]


def test_the_page_shows_the_most_associated_then_the_most_explaining():
    page = markdown(REPORT, shown=2)
    assert "4 latents on 3 lines of 1 snippets, 1 lines wrong (33.3%): some labels. 2 lines hold code (66.7%)" in page
    assert "1 latents never fire and 0 always do; of the other 3, 2 go with being wrong" in page
    assert "- 2 left out: for a reason (b.py)" in page
    assert shown_latents(page, "## The 2 latents with the least p") == ["1", "3"]
    assert shown_latents(page, "## The 2 latents with the largest share") == ["2", "1"]
    assert [line for line in page.splitlines() if line.startswith("### ")] == [f"### Latent {i}" for i in (1, 3, 2)]


def test_the_page_without_a_risk_model_says_nothing_of_one():
    rows = [row(i, (0,), logit_drop=None, probability_drop=None, share=None) for i in range(2)]
    page = markdown(REPORT._replace(rows=rows), shown=5)
    assert "logit" not in page
    assert shown_latents(page, "## The 2 latents with the least p") == ["0", "1"]


def test_latents_that_always_fire_are_among_the_most_explaining():
    always = never_fires(4)
    rows = [*ROWS, row(5, (0, 1, 2), q=math.nan, p=math.nan, odds_ratio=math.nan, share=0.9)]
    page = markdown(REPORT._replace(rows=[*rows, always]), shown=1)
    assert shown_latents(page, "## The 1 latents with the largest share") == ["5"]
    assert "| n/a | n/a |" in page
    assert "nan" not in page


def test_source_text_does_not_break_the_tables():
    page = markdown(REPORT, shown=4)
    assert "| 1.50 | `def f(x \\| y):` | 2 |  | `a.py::f` 0 |" in page
    assert "| 1.50 | `` # what `it` does `` | 2 |  | `a.py::f` 1 |" in page
    assert "| 1.50 | `return x` | 2 | wrong | `a.py::f` 3 |" in page
