import json

import numpy as np
import pytest

from pttrust_lightning.errors import SchemaError
from pttrust_lightning.report.predictions import read_predictions, write_predictions
from pttrust_lightning.types import ScoredSnippet


def snippet(name="a", scores=(0.1, 1 / 3, -1e-300)):
    n = len(scores)
    return ScoredSnippet(
        name, np.arange(n), np.array(scores), np.linspace(0, 1, n), (np.arange(n) == 1).astype(np.float64), fold=n
    )


def test_numbers_read_back_exactly(tmp_path):
    path = tmp_path / "new folder" / "p.jsonl"
    rng = np.random.default_rng(0)
    written = [snippet("é\u2028\n", rng.normal(size=5) * 10.0**e) for e in (-308, -10, 0, 300)]
    write_predictions(path, written)
    read = read_predictions(path)
    assert len(read) == 4
    for a, b in zip(read, written, strict=True):
        assert (a.snippet_id, a.fold) == (b.snippet_id, b.fold)
        for x, y in zip(a[1:5], b[1:5], strict=True):
            assert x.dtype == y.dtype
            assert x.tolist() == y.tolist()


def test_one_record_a_line_and_the_same_bytes_again(tmp_path):
    for name in ("a", "b"):
        write_predictions(tmp_path / name, [snippet("x"), snippet("y", ())])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    records = [json.loads(line) for line in (tmp_path / "a").read_text(encoding="utf-8").split("\n")[:-1]]
    keys = {"id", "lines", "scores", "probabilities", "labels", "fold"}
    assert [set(r) for r in records] == [keys | {"correct", "snippet_score", "snippet_probability"}] * 2
    assert read_predictions(tmp_path / "a")[1].scores.shape == (0,)


def test_snippet_scores_and_verdicts_read_back_and_files_without_them_are_read(tmp_path):
    path = tmp_path / "p.jsonl"
    judged = [
        snippet("wrong")._replace(correct=False, snippet_score=1 / 3, snippet_probability=0.25),
        snippet("right")._replace(correct=True, snippet_score=-1e300, snippet_probability=0.0),
        snippet("unknown"),
    ]
    write_predictions(path, judged)
    assert [s[6:] for s in read_predictions(path)] == [s[6:] for s in judged]
    path.write_text(json.dumps(RECORD) + "\n")
    assert read_predictions(path)[0][6:] == (None,) * 4


def test_nothing_scored_is_an_empty_file(tmp_path):
    write_predictions(tmp_path / "p.jsonl", [])
    assert read_predictions(tmp_path / "p.jsonl") == []


RECORD = {"id": "a", "lines": [0, 1], "scores": [0.1, 0.2], "probabilities": [0.1, 0.2], "labels": [0, 1]}


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "not a prediction"),
        ("", "not a prediction"),
        ("[1, 2]", "not a prediction"),
        ("3", "not a prediction"),
        ("null", "not a prediction"),
        (json.dumps({k: v for k, v in RECORD.items() if k != "id"}), "'id'"),
        (json.dumps({k: v for k, v in RECORD.items() if k != "labels"}), "'labels'"),
        (json.dumps(RECORD | {"scores": ["high", "low"]}), "not a prediction"),
        (json.dumps(RECORD | {"lines": None}), "not a prediction"),
        (json.dumps(RECORD | {"scores": [0.1]}), "different lengths"),
        (json.dumps(RECORD | {"labels": [0, 1, 1]}), "different lengths"),
        (json.dumps(RECORD | {"correct": 1}), "not a prediction"),
        (json.dumps(RECORD | {"snippet_score": "high"}), "not a prediction"),
        (json.dumps(RECORD | {"snippet_probability": True}), "not a prediction"),
        (json.dumps(RECORD | {"scores": 0.5}), "different lengths"),
        (json.dumps(RECORD | {"probabilities": [[0.1, 0.2], [0.1, 0.2]]}), "different lengths"),
    ],
)
def test_a_bad_record_is_named_with_its_file(tmp_path, text, message):
    path = tmp_path / "p.jsonl"
    path.write_text(f"{json.dumps(RECORD)}\n{text}\n{json.dumps(RECORD)}\n", encoding="utf-8")
    with pytest.raises(SchemaError, match=message) as error:
        read_predictions(path)
    assert f"{path}, record 2" in str(error.value)
    assert "pttrust test" in str(error.value)
