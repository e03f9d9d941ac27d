from __future__ import annotations

import json
from pathlib import PurePath

import pytest

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.source import FolderCorpus, JsonlCorpus, JsonlLabelled
from pttrust_lightning.source.languages import (
    ALIASES,
    GRAMMARS,
    LANGUAGES,
    SUFFIXES,
    canonical_language,
    known_language,
    language_of,
)
from pttrust_lightning.types import Exclusions

NAMES = {
    "Python3": "python",
    "py": "python",
    "C++": "cpp",
    "js": "javascript",
    "TypeScript": "typescript",
    "golang": "go",
    "rs": "rust",
    " Java ": "java",
    "C": "c",
}


@pytest.mark.parametrize(("name", "language"), NAMES.items())
def test_a_language_has_one_name(name, language):
    assert canonical_language(name) == known_language(name) == language


def test_every_language_has_suffixes_and_a_grammar():
    assert set(GRAMMARS) == set(SUFFIXES) == set(LANGUAGES)
    assert len(LANGUAGES) == 8
    assert set(ALIASES.values()) <= set(LANGUAGES)
    assert not set(ALIASES) & set(LANGUAGES)
    assert [language_of(PurePath(f"a{s}")) for s in SUFFIXES["typescript"]] == ["typescript"] * 4
    assert language_of(PurePath("a.PY")) == "python"
    assert language_of(PurePath("py")) is None


def test_other_languages_pass_where_records_name_them_and_not_where_files_are_chosen():
    assert canonical_language("Kotlin") == "kotlin"
    with pytest.raises(ConfigError, match=r"Unknown language 'Kotlin'\. Known languages: python, java"):
        known_language("Kotlin")


def test_records_and_settings_go_by_any_name(tmp_path):
    file = tmp_path / "a.jsonl"
    records = [
        {"id": n, "code": f"x = {i}", "language": n, "wrong_lines": [0]} for i, n in enumerate((*NAMES, "Kotlin"))
    ]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    expected = {**NAMES, "Kotlin": "kotlin"}
    assert {p.id: p.language for p in JsonlCorpus(str(file)).programs(Exclusions())} == expected
    assert {s.id: s.language for s in JsonlLabelled(str(file)).snippets(Exclusions())} == expected
    file.write_text('{"code": "x = 1"}')
    (program,) = JsonlCorpus(str(file), default_language="C++").programs(Exclusions())
    assert program.language == "cpp"
    assert FolderCorpus(".", languages=["Python3", "C++"]).languages == ["python", "cpp"]
