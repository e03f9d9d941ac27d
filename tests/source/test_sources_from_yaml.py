"""Every source is built from YAML, as the command line does it."""

from __future__ import annotations

import pytest
from jsonargparse import ArgumentError, ArgumentParser

from pttrust_lightning.source import Corpus, LabelledSource

LABELLED = [
    ("DebugBench", "{bug_types: all, languages: [java], include_correct: true}"),
    ("HumanEvalPack", "{languages: [python, go]}"),
    ("QuixBugs", "{path: quixbugs, languages: [java]}"),
    ("EditEval", "{path: edit_eval.jsonl}"),
    ("CanItEdit", "{instruction: lazy}"),
    ("Generations", "{samples: s.jsonl, benchmark: mbpp}"),
    ("Defects4J", "{path: bugs.json, include_correct: true}"),
    ("SarifFindings", "{path: log.sarif, root: src, levels: [error], rules: [B006], unit: function}"),
]
GIT = "{class_path: pttrust_lightning.source.GitHistory, init_args: {path: ., message: '', unit: function}}"
CORPORA = [
    ("BugFixes", "{source: {class_path: pttrust_lightning.source.QuixBugs, init_args: {path: q}}, limit: 5}"),
    ("BugFixes", f"{{source: {GIT}}}"),
    ("GitHistory", "{path: ., revision: main, languages: [python], max_changed_lines: 3}"),
    ("Mixed", f"{{corpora: [{GIT}, {{class_path: pttrust_lightning.source.StandardLibrary}}]}}"),
]


@pytest.mark.parametrize(
    ("base", "class_name", "arguments"),
    [(LabelledSource, *row) for row in LABELLED] + [(Corpus, *row) for row in CORPORA],
)
def test_built_and_dumped(base, class_name, arguments):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(base, "source")
    text = f"source:\n  class_path: pttrust_lightning.source.{class_name}\n  init_args: {arguments}\n"
    config = parser.parse_string(text)
    built = parser.instantiate(config).source
    assert type(built).__name__ == class_name
    assert built.describe() and built.name
    assert parser.parse_string(parser.dump(config)) == config
    with pytest.raises(ArgumentError):
        parser.parse_string(text.replace("{", "{no_such_setting: 1, ", 1))
