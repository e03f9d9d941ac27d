from __future__ import annotations

import json

import pytest
from tools.embedded_llm.evaluation.corpus_split import BEYOND_LIMIT, CorpusFile, read_files
from tools.embedded_llm.evaluation.encoding import encode_exactly
from tools.embedded_llm.evaluation.labelled_sets import labelled_sets

from pttrust_lightning.errors import ConfigError, SchemaError, SourceError, TokenAlignmentError
from pttrust_lightning.types import Exclusions


def test_whole_files_from_the_front(corpus):
    exclusions = Exclusions()
    files = read_files(corpus, "held_out", "java", 60, exclusions)
    assert [file.id for file in files] == ["held_out0", "held_out1"], "the file that passes the limit is read whole"
    assert all(file.data.decode() == file.code for file in files)
    assert exclusions.counts == {BEYOND_LIMIT: 2}
    assert len(read_files(corpus, "held_out", "java", None, Exclusions())) == 4


def test_empty_files_are_counted(tmp_path):
    (tmp_path / "train").mkdir()
    path = tmp_path / "train" / "c.jsonl"
    path.write_text('{"id": "a", "code": ""}\n{"id": "b", "code": "int x;"}\n')
    exclusions = Exclusions()
    assert [file.id for file in read_files(tmp_path, "train", "c", None, exclusions)] == ["b"]
    assert exclusions.counts == {"empty file": 1}
    path.write_text('{"id": "a", "code": ""}\n')
    with pytest.raises(SourceError, match=r"c\.jsonl holds no file with code"):
        read_files(tmp_path, "train", "c", None, exclusions)
    path.write_text('{"id": "a"}\n')
    with pytest.raises(SchemaError, match=r"c\.jsonl, record 1, field 'code': missing"):
        read_files(tmp_path, "train", "c", None, exclusions)


def test_a_language_that_is_not_there(corpus):
    with pytest.raises(
        SourceError, match=r"go\.jsonl does not exist \(.*train holds java, python\)\. Build the corpus"
    ):
        read_files(corpus, "train", "go", None, Exclusions())


@pytest.mark.parametrize("name", ["gpt2", "llama3", "codellama"])
def test_tokens_stand_for_the_bytes(tokenizers, name):
    code = "x = 'naïve 😀'\r\n\tprint(x)  # <|endoftext|>\n"
    (ids,) = encode_exactly(tokenizers[name], [CorpusFile("a", code, code.encode())])
    special = set(tokenizers[name].all_special_ids)
    assert len(ids) and not special & set(ids.tolist())


def test_a_tokenizer_that_changes_a_file_is_refused(tokenizers):
    code = "x = 'e\u0301'\n"
    with pytest.raises(TokenAlignmentError, match=r"a\.py: the tokens' bytes differ .* Use a lossless tokenizer"):
        encode_exactly(tokenizers["qwen2"], [CorpusFile("a.py", code, code.encode())])


def test_sets(data):
    sets, missing = labelled_sets(data, ["humanevalpack", "debugbench"], ["python"])
    assert [(s.name, len(s.snippets)) for s in sets] == [
        ("HumanEvalPack python", 10),
        ("DebugBench python, semantic", 11),
    ]
    assert sets[1].exclusions.counts == {"record of another bug type": 1}
    assert not missing


def test_sets_that_are_not_there(data):
    (data / "humanevalpack" / "js.jsonl").write_text(
        json.dumps({"task_id": "JavaScript/0", "prompt": "", "canonical_solution": "a;", "buggy_solution": "b;"}) + "\n"
    )
    sets, missing = labelled_sets(data, ["humanevalpack", "debugbench"], ["javascript"])
    assert [s.name for s in sets] == ["HumanEvalPack javascript"]
    assert missing == ["debugbench is not there in javascript"]
    with pytest.raises(SourceError, match=r"java\.jsonl does not exist\. Set --data to the folder that holds human"):
        labelled_sets(data, ["humanevalpack"], ["java"])
    with pytest.raises(ConfigError, match="Nothing to compare: humanevalpack is not there in cpp"):
        labelled_sets(data, ["humanevalpack"], ["cpp"])
    with pytest.raises(ConfigError, match="There is no 'rust'"):
        labelled_sets(data, ["humanevalpack"], ["rust"])


def test_the_published_sets(shared_data):
    sets, missing = labelled_sets(shared_data, ["humanevalpack", "debugbench"], ["python", "java", "javascript", "cpp"])
    assert {s.name: len(s.snippets) for s in sets} == {
        "HumanEvalPack python": 164,
        "HumanEvalPack java": 164,
        "HumanEvalPack javascript": 164,
        "DebugBench python, semantic": 209,
        "DebugBench java, semantic": 200,
        "DebugBench cpp, semantic": 220,
    }
    assert len(missing) == 2
