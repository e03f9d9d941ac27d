from __future__ import annotations

from pathlib import Path

import pytest
from tools.embedded_llm.corpus.errors import SourceListError
from tools.embedded_llm.corpus.sources import STANDARD_LIBRARY_LICENCES, is_permissive, load_sources

LISTED = Path(__file__).parents[4] / "tools" / "embedded_llm" / "sources.yaml"


def load(tmp_path, text):
    path = tmp_path / "sources.yaml"
    path.write_text(text)
    return load_sources(path)


def test_the_recipes_own_list():
    sources = load_sources(LISTED)
    assert len(sources) > 300
    for source in sources:
        if source.ecosystem == "stdlib":
            continue
        assert len(source.sha256) == 64 and source.file and source.mb >= 0
        assert is_permissive(source.licence) or source.licence in STANDARD_LIBRARY_LICENCES
    held_out = [s.name for s in sources if s.held_out]
    assert {s.ecosystem for s in sources if s.held_out} == {"pypi", "npm"} and len(held_out) >= 8
    assert all(s.held_out_share == 0.02 for s in sources if s.ecosystem == "debian")


@pytest.mark.parametrize(
    ("licence", "permissive"),
    [
        ("MIT", True),
        ("MIT AND Apache-2.0", True),
        ("(MIT OR GPL-3.0-or-later)", True),
        ("EPL-2.0 OR BSD-3-Clause", True),
        ("MPL-2.0 AND MIT", False),
        ("GPL-2.0", False),
        ("LGPL-2.1-only", False),
        ("", False),
        ("SEE LICENSE IN LICENSE", False),
        ("BSD-2-Clause AND Apache-2.0 WITH LLVM-exception", True),
    ],
)
def test_licences(licence, permissive):
    assert is_permissive(licence) is permissive


def test_fields(tmp_path):
    (source,) = load(
        tmp_path,
        'npm:\n  - {name: "@a/b", version: "1.10", licence: MIT, language: javascript, held_out: true, mb: 1.5}\n',
    )
    assert (source.label, source.version, source.held_out, source.mb) == ("npm/@a/b-1.10", "1.10", True, 1.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no source"),
        ("[", "is no YAML"),
        ("cargo: []\n", "unknown ecosystem 'cargo'"),
        ("pypi: [flask]\n", "'flask' is no source"),
        ("pypi: [{name: a, version: 1.0, licence: MIT, language: python}]\n", "field 'version': it is 1.0, not text"),
        ("pypi: [{name: a, licence: MIT, language: python}]\n", "field 'version'"),
        ("pypi: [{name: a, version: '1', language: python}]\n", "field 'licence'"),
        ("pypi: [{name: a, version: '1', licence: GPL-3.0, language: python}]\n", "'GPL-3.0' is not allowed"),
        ("pypi: [{name: a, version: '1', licence: MIT, language: perl}]\n", "field 'language': it is 'perl'"),
        ("pypi: [{name: a, version: '1', licence: MIT, language: python, heldout: true}]\n", "field 'heldout'"),
        ("debian: [{name: a, version: '1', licence: MIT, language: go, held_out_share: 2}]\n", "held_out_share"),
        ("stdlib: [{name: a, licence: MIT, language: python, limit: 0}]\n", "field 'limit'"),
        ("stdlib: [{name: a, licence: MIT, language: python, include: json}]\n", "field 'include'"),
        ("stdlib: [{name: a, licence: MIT, language: python, held_out: maybe}]\n", "field 'held_out'"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    with pytest.raises(SourceListError) as error:
        load(tmp_path, text)
    assert message in str(error.value) and "sources.yaml" in str(error.value)


def test_a_source_is_listed_once(tmp_path):
    line = "  - {name: a, version: '1', licence: MIT, language: python}\n"
    with pytest.raises(SourceListError, match=r"pypi/a-1 is listed twice"):
        load(tmp_path, f"pypi:\n{line}{line}")


def test_a_missing_list(tmp_path):
    with pytest.raises(SourceListError, match="--sources"):
        load_sources(tmp_path / "none.yaml")


def test_gpl_is_allowed_for_debian_with_an_exception_only(tmp_path):
    line = "[{name: a, version: '1', licence: GPL-2.0-only WITH Classpath-exception-2.0, language: java}]\n"
    assert load(tmp_path, f"debian: {line}")
    with pytest.raises(SourceListError, match="not allowed"):
        load(tmp_path, f"pypi: {line}")
