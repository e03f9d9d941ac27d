from __future__ import annotations

import json
import shutil

import pytest
from tools.embedded_llm.evaluation.llms import bos_token_id, compared_llms, tokenizer_of

from pttrust_lightning.errors import ConfigError, LanguageModelError


def test_contexts(llm_folders):
    qwen2, llama = str(llm_folders["qwen2"]), str(llm_folders["llama"])
    assert [llm.context for llm in compared_llms([f"{qwen2}:64", llama], "cpu")] == [64, 512]
    assert [llm.context for llm in compared_llms([f"{qwen2}:64", llama], "cpu", 128)] == [64, 128]
    assert [llm.context for llm in compared_llms([llama], "cpu", 1024)] == [512], "no more than it has positions"
    with pytest.raises(LanguageModelError, match="context_length 600 is more than the 512 positions"):
        compared_llms([f"{qwen2}:600"], "cpu")
    with pytest.raises(LanguageModelError, match="Give it a context of 2 or more"):
        compared_llms([f"{qwen2}:1"], "cpu")
    with pytest.raises(LanguageModelError, match="does not exist"):
        compared_llms(["./nowhere"], "cpu")


def test_names_tell_llms_apart(llm_folders, tmp_path):
    qwen2 = llm_folders["qwen2"]
    shutil.copytree(qwen2, tmp_path / "qwen2")
    assert [llm.name for llm in compared_llms([str(qwen2), str(llm_folders["llama"])], "cpu")] == ["qwen2", "llama"]
    assert [llm.name for llm in compared_llms([f"{qwen2}:64", f"{qwen2}:32"], "cpu")] == ["qwen2:64", "qwen2:32"]
    places = [str(qwen2), str(tmp_path / "qwen2")]
    assert [llm.name for llm in compared_llms(places, "cpu")] == places
    with pytest.raises(ConfigError, match="twice with one context"):
        compared_llms([str(qwen2), str(qwen2)], "cpu")


def test_a_description_holds_no_path(llm_folders):
    (llm,) = compared_llms([str(llm_folders["qwen2"])], "cpu")
    found = llm.describe()
    assert (found["name"], found["blocks"], found["width"], found["context"]) == ("qwen2", 8, 32, 512)
    assert str(llm_folders["qwen2"].parent) not in json.dumps(found)


def test_the_token_that_starts_a_text(llm_folders, tmp_path):
    (llama,) = compared_llms([str(llm_folders["llama"])], "cpu")
    assert bos_token_id(llama, tokenizer_of(llama)) == tokenizer_of(llama).bos_token_id
    shutil.copytree(llm_folders["qwen2"], tmp_path / "none")
    (qwen2,) = compared_llms([str(tmp_path / "none")], "cpu")
    assert bos_token_id(qwen2, tokenizer_of(qwen2)) == 1, "its configuration's, since its tokenizer names none"
    config = json.loads((tmp_path / "none" / "config.json").read_text())
    (tmp_path / "none" / "config.json").write_text(json.dumps(config | {"bos_token_id": None}))
    with pytest.raises(LanguageModelError, match="none has no token that starts a text"):
        bos_token_id(qwen2, tokenizer_of(qwen2))
