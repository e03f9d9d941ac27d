from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pttrust_lightning.errors import ConfigError, SchemaError, SourceError
from pttrust_lightning.source.labelled.sarif import SarifFindings
from pttrust_lightning.types import Exclusions, LabelledSnippet

CODE = "import os\n\n\nclass A:\n    def f(self, x=[]):\n        return x\n\n\ndef g():\n    return os\n"


def place(uri: str = "a.py", first: int = 5, last: int | None = None, **artifact: Any) -> dict[str, Any]:
    region = {"startLine": first, "startColumn": 9} | ({} if last is None else {"endLine": last})
    return {"physicalLocation": {"artifactLocation": {"uri": uri} | artifact, "region": region}}


def result(*places: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"ruleId": "B006", "message": {"text": "no"}, "locations": list(places or [place()])} | fields


def log(*results: dict[str, Any], tool: str = "ruff", **run: Any) -> dict[str, Any]:
    return {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": tool}}, "results": list(results)} | run]}


def source(
    tmp_path: Path, content: dict[str, Any], files: dict[str, str] | None = None, **settings: Any
) -> SarifFindings:
    root = tmp_path / "root"
    for name, text in ({"a.py": CODE} if files is None else files).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode())
    (tmp_path / "log.sarif").write_text(json.dumps(content, indent=1))
    return SarifFindings(str(tmp_path / "log.sarif"), str(root), **settings)


def read(source: SarifFindings) -> tuple[dict[str, LabelledSnippet], Exclusions]:
    exclusions = Exclusions()
    return {s.id: s for s in source.snippets(exclusions)}, exclusions


def test_lines_of_a_file(tmp_path):
    first = result(place(first=5, last=8), place(first=10))
    found, exclusions = read(source(tmp_path, log(first, result(place(first=5), ruleId="E1"))))
    assert found == {
        "a.py": LabelledSnippet(
            id="a.py",
            problem_id="a.py",
            language="python",
            task="analysis",
            prompt="",
            code=CODE,
            wrong_lines=(4, 5, 9),
            correct=False,
            label_source="sarif:ruff:B006,ruff:E1",
        )
    }
    assert not exclusions.counts


def test_functions(tmp_path):
    findings = log(result(place(first=5, last=6)), result(place(first=10), ruleId="E1"), result(place(first=1)))
    found, exclusions = read(source(tmp_path, findings, unit="function"))
    assert {id_: (s.code, s.wrong_lines, s.label_source) for id_, s in found.items()} == {
        "a.py::A.f": ("def f(self, x=[]):\n    return x\n", (0, 1), "sarif:ruff:B006"),
        "a.py::g": ("def g():\n    return os\n", (1,), "sarif:ruff:E1"),
    }
    assert {s.problem_id for s in found.values()} == {"a.py"}
    assert exclusions.counts == {"marked line outside of functions": 1}
    java = source(tmp_path, log(result(place("B.java", 1)), result()), {"B.java": "class B {}\n"}, unit="function")
    assert read(java)[1].counts["not Python (unit 'function')"] == 1


def test_levels_and_rules(tmp_path):
    rules = [{"id": "R1", "defaultConfiguration": {"level": "error"}}, {"id": "R2"}]
    results = [
        result(place(first=1), ruleId=None, ruleIndex=0),
        result(place(first=5), ruleId=None, rule={"index": 1}),
        result(place(first=6), ruleId="R3", level="note"),
        result(place(first=9), ruleId=None),
    ]
    findings = log(*results, tool={"driver": {"name": "t", "rules": rules}})
    findings["runs"][0]["tool"] = {"driver": {"name": "t", "rules": rules}}

    def marked(**settings: Any) -> tuple[tuple[int, ...], str]:
        snippet = read(source(tmp_path, findings, **settings))[0]["a.py"]
        return snippet.wrong_lines, snippet.label_source

    assert marked() == ((0, 4, 5, 8), "sarif:t:R1,t:R2,t:R3,t:none")
    assert marked(levels=["error"]) == ((0,), "sarif:t:R1")
    assert marked(levels=["warning", "note"]) == ((4, 5, 8), "sarif:t:R2,t:R3,t:none")
    assert marked(rules=["R3"]) == ((5,), "sarif:t:R3")
    _, exclusions = read(source(tmp_path, findings, rules=["R3"], levels=["note"]))
    assert exclusions.counts == {"finding of another level": 3}
    with pytest.raises(SourceError, match=r"gives no finding \(4 left out: finding of another rule .*Check path, root"):
        read(source(tmp_path, findings, rules=["R9"]))


def test_what_does_not_count(tmp_path):
    left_out = [
        result(suppressions=[{"kind": "inSource"}]),
        result(suppressions=[{"kind": "external", "status": "accepted"}]),
        result(kind="pass"),
        result(baselineState="absent"),
        result(locations=[]),
        result({"physicalLocation": {"artifactLocation": {"uri": "a.py"}}}),
        result(place(first=99)),
        result(place(first=2, last=3)),
        result(place("missing.py")),
        result(place("notes.txt", 1)),
        result(place("latin.py", 1)),
    ]
    kept = result(place(first=1), suppressions=[{"kind": "external", "status": "rejected"}])
    reader = source(tmp_path, log(*left_out, kept))
    (tmp_path / "root" / "latin.py").write_bytes(b"\xe9")
    (tmp_path / "root" / "notes.txt").write_text("x")
    found, exclusions = read(reader)
    assert found["a.py"].wrong_lines == (0,)
    assert exclusions.counts == {
        "suppressed finding": 2,
        "result of kind 'pass'": 1,
        "finding that is no longer there": 1,
        "finding without a place": 1,
        "finding without a line": 1,
        "finding beyond the end of its file": 1,
        "finding on blank lines": 1,
        "finding in an unreadable file (No such file or directory)": 1,
        "finding in a file of no known language": 1,
        "finding in a file that is not UTF-8 text": 1,
    }


@pytest.mark.parametrize(
    ("location", "inside"),
    [
        ({"uri": "d%20e/a%23.py"}, True),
        ({"uri": "a%23.py", "uriBaseId": "SUB"}, True),
        ({"uri": "d%20e/a%23.py", "uriBaseId": "ROOT"}, True),
        ({"uri": "d%20e/a%23.py", "uriBaseId": "UNKNOWN"}, True),
        ({"index": 0}, True),
        ({"uri": "x/../d%20e/a%23.py"}, True),
        ({"uri": "file://{root}/d%20e/a%23.py"}, True),
        ({"uri": "{root}/d%20e/a%23.py", "uriBaseId": "SUB"}, True),
        ({"uri": "../secret.py"}, False),
        ({"uri": "%2e%2e/secret.py"}, False),
        ({"uri": "file:///etc/passwd"}, False),
        ({"uri": "link.py"}, False),
        ({"uri": "https://example.org/a.py"}, False),
        ({"uri": "file://elsewhere/a.py"}, False),
        ({"uri": "a%00.py"}, False),
        ({"uri": "a.py", "uriBaseId": "WEB"}, False),
        ({"uri": "../secret.py", "uriBaseId": "SUB2"}, False),
    ],
)
def test_places(tmp_path, location, inside):
    root = tmp_path / "root"
    run = {
        "originalUriBaseIds": {
            "ROOT": {"uri": "file:///build/elsewhere/"},
            "SUB": {"uri": "d%20e/", "uriBaseId": "ROOT"},
            "SUB2": {"uri": "../", "uriBaseId": "ROOT"},
            "WEB": {"uri": "https://example.org/"},
        },
        "artifacts": [{"location": {"uri": "d%20e/a%23.py"}}],
    }
    artifact = {name: v.format(root=root) if isinstance(v, str) else v for name, v in location.items()}
    finding = result({"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": 1}}})
    reader = source(
        tmp_path, log(finding, result(place("b.py", 1)), **run), {"d e/a#.py": "x = 1\n", "b.py": "y = 1\n"}
    )
    (tmp_path / "secret.py").write_text("z = 1\n")
    (root / "link.py").symlink_to(tmp_path / "secret.py")
    found, exclusions = read(reader)
    assert list(found) == (["b.py", "d e/a#.py"] if inside else ["b.py"])
    assert exclusions.counts == ({} if inside else {"finding outside of the folder": 1})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"runs": []}, r"log\.sarif, record 1, field 'version': missing"),
        ({"version": "1.0.0", "runs": []}, "field 'version': '1.0.0' is not 2.1.0"),
        ({"version": "2.1.0"}, "field 'runs': missing"),
        ({"version": "2.1.0", "runs": {}}, "field 'runs': dict instead of list"),
        ({"version": "2.1.0", "runs": ["x"]}, r"field 'runs\[0\]': not an object"),
        ({"version": "2.1.0", "runs": [{}]}, r"field 'runs\[0\]\.tool\.driver\.name': missing"),
        (log(result(place(first=0))), r"record 1, field '.*region\.startLine': lines 0 to 0 are no region"),
        (
            log(result(), result(place(first=3, last=2))),
            r"record 2, field 'runs\[0\]\.results\[1\]\.locations\[0\]\.phys",
        ),
        (log(result(place(first=True))), "startLine': bool instead of int"),
        (log(result(ruleId=3)), "ruleId': int instead of str"),
        (log(result(ruleIndex=2)), "ruleIndex': 2, but there are 0"),
        (log(result({"physicalLocation": {"region": {"startLine": 1}}})), r"artifactLocation\.uri': missing"),
        (
            log(result(place(uriBaseId="A")), originalUriBaseIds={"A": {"uri": "x/", "uriBaseId": "A"}}),
            "uriBaseId': the bases go in circles",
        ),
    ],
)
def test_schema_errors(tmp_path, content, message):
    with pytest.raises(SchemaError, match=message):
        read(source(tmp_path, content))


def test_unusable_files_and_settings(tmp_path):
    reader = source(tmp_path, log())
    with pytest.raises(SourceError, match=r"gives no finding \(it holds none\)"):
        read(reader)
    for content, message in ((b"", "is empty"), (b"{\0}", "is a binary file")):
        (tmp_path / "log.sarif").write_bytes(content)
        with pytest.raises(SourceError, match=message):
            read(reader)
    with pytest.raises(SourceError, match="nowhere is no folder"):
        read(SarifFindings(str(tmp_path / "log.sarif"), str(tmp_path / "nowhere")))
    with pytest.raises(ConfigError, match="Unknown level 'high'"):
        SarifFindings("x", "y", levels=["high"])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="choose 'file' or 'function'"):
        SarifFindings("x", "y", unit="class")  # type: ignore[arg-type]


def test_crlf_and_a_byte_order_mark(tmp_path):
    reader = source(tmp_path, log(result(place(first=2))), {"a.py": "\ufeffx = 1\r\ny = 2\r\n"})
    (snippet,) = read(reader)[0].values()
    assert (snippet.code, snippet.wrong_lines) == ("x = 1\r\ny = 2\r\n", (1,))
