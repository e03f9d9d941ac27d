from __future__ import annotations

import json

import pytest
from tools.embedded_llm.evaluation.__main__ import main

from pttrust_lightning.states.uncertainty import UNCERTAINTY_FEATURES

METRICS = ("hit@1", "mrr", "auroc")


def run(capsys, *arguments):
    status = main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return status, " ".join(printed.out.split()), printed.err


def read(path):
    return json.loads(path.read_text(), parse_constant=pytest.fail)


def test_compression(llm_pair, corpus, tmp_path, capsys):
    out = tmp_path / "deep" / "compression.json"
    command = ["compression", *(f"--llm={llm}:32" for llm in llm_pair), f"--corpus={corpus}", "--languages", "python"]
    command += ["java", "--max_bytes=500", "--bootstrap_samples=50"]
    status, printed, _ = run(capsys, *command, f"--output={out}")
    assert status == 0
    report = read(out)
    methods = [
        "gzip -9, file by file", "xz -9e, file by file", "gzip -9, one stream", "xz -9e, one stream", "5-gram",
        "new", "old",
    ]  # fmt: skip
    for language in ("python", "java"):
        found = report["languages"][language]
        assert list(found["methods"]) == methods
        figures = found["methods"]["new"]
        bits = figures["nats_per_token"] / figures["bytes_per_token"] / 0.6931471805599453
        assert figures["bits_per_byte"]["value"] == pytest.approx(bits)
        assert 0 <= figures["top_1"] <= 1
        for name, other in found["methods"].items():
            if name != "new":
                gap = figures["bits_per_byte"]["value"] - other["bits_per_byte"]["value"]
                assert found["first_llm_minus"][name]["value"] == pytest.approx(gap)
    python, counted = report["languages"]["python"], report["languages"]["python"]["methods"]["5-gram"]
    assert python["files"] + sum(python["left_out"].values()) == 4
    assert (counted["training_files"], counted["training_files_left_out"]) == (6, 0)
    assert counted["held_out_files_also_in_training"] == python["files"], "the test's corpus repeats itself"
    random_weights = python["methods"]["new"]["bits_per_byte"]["value"]
    assert counted["bits_per_byte"]["value"] < random_weights, "the 5-gram has seen these files"
    assert "one stream" in printed and "left out: file beyond the bytes asked for" in printed
    assert run(capsys, *command, f"--output={tmp_path / 'again.json'}")[0] == 0
    assert out.read_bytes() == (tmp_path / "again.json").read_bytes()


def test_compression_without_ngrams(llm_pair, corpus, tmp_path, capsys):
    out = tmp_path / "out.json"
    options = [f"--corpus={corpus}", "--ngram_bytes=0", f"--output={out}", "--context=16"]
    assert run(capsys, "compression", f"--llm={llm_pair[0]}", *options)[0] == 0
    report = read(out)
    assert "5-gram" not in report["languages"]["python"]["methods"]
    assert report["llms"][0]["context"] == 16


def test_bugs(llm_pair, data, tmp_path, capsys):
    out = tmp_path / "bugs.json"
    command = ["bugs", *(f"--llm={llm}" for llm in llm_pair), f"--data={data}", "--bootstrap_samples=50", "--folds=3"]
    status, printed, _ = run(capsys, *command, f"--output={out}")
    assert status == 0
    report = read(out)
    humanevalpack, debugbench = report["sets"]
    assert humanevalpack["snippets"] == 9 and humanevalpack["snippets_read"] == 10
    assert humanevalpack["left_out"] == {"snippet that not every LLM can rank": 1}
    assert humanevalpack["not_rankable_under"] == {
        name: {"snippet with fewer than two non-blank lines": 1} for name in ("new", "old")
    }
    assert debugbench["left_out"] == {
        "line beyond the smallest context (of a snippet that is compared)": 1,
        "record of another bug type": 1,
        "wrong line beyond the smallest context (of a snippet that is compared)": 1,
    }
    for found in report["sets"]:
        assert found["line_uncertainty"].keys() == {"chance", "new", "old"}
        chance = found["line_uncertainty"]["chance"]
        assert chance["percentile"]["value"] == 50 and chance["auroc"]["value"] == 0.5
        assert chance["mean_rank"]["value"] == pytest.approx((found["lines"] / found["snippets"] + 1) / 2)
        assert found["methods"].keys() == {"chance", "surface", "uncertainty of new", "uncertainty of old"}
        assert [len(found["blocks"][name]) for name in ("new", "old")] == [2, 3]
        for probe in [*found["blocks"]["new"], found["methods"]["surface"]]:
            assert len(probe["cs"]) == 3
            assert all(0 <= probe[m]["low"] <= probe[m]["value"] <= probe[m]["high"] <= 1 for m in METRICS[:2])
        (verdict,) = found["verdicts"]
        assert [(d["layer"], d["reference_layer"]) for d in verdict["depths"]] == [(0, 0), (1, 2)]
        for depth in verdict["depths"]:
            for metric in METRICS:
                ours = found["blocks"]["new"][depth["layer"]][metric]["value"]
                theirs = found["blocks"]["old"][depth["reference_layer"]][metric]["value"]
                assert depth[metric]["value"] == pytest.approx(ours - theirs)
        assert verdict["sentence"].split(" (")[0] in printed
    assert "1 left out: record of another bug type" in printed
    again = ["--benchmarks", "debugbench", f"--output={tmp_path / 'again.json'}"]
    assert run(capsys, *command, *again)[0] == 0
    assert json.dumps(read(tmp_path / "again.json")["sets"]) == json.dumps([debugbench])


def test_bugs_of_one_llm(llm_pair, data, tmp_path, capsys):
    out = tmp_path / "bugs.json"
    options = [f"--data={data}", f"--output={out}", "--benchmarks", "debugbench", "--folds=2"]
    status, printed, _ = run(capsys, "bugs", f"--llm={llm_pair[0]}", *options, "--bootstrap_samples=10")
    assert status == 0
    (found,) = read(out)["sets"]
    assert found["verdicts"] == [] and "beats" not in printed


def test_a_context_too_short_for_any_snippet(llm_pair, data, tmp_path, capsys):
    out = tmp_path / "bugs.json"
    status, printed, _ = run(capsys, "bugs", f"--llm={llm_pair[0]}:4", f"--data={data}", f"--output={out}")
    assert status == 0
    assert all("not_compared" in found for found in read(out)["sets"])
    assert "no snippet can be ranked under every LLM" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compression", "--corpus=nowhere"], "nowhere/held_out/python.jsonl does not exist"),
        (["bugs", "--data=nowhere"], "Set --data to the folder"),
        (["bugs", "--device=none"], "device 'none' cannot be used"),
    ],
)
def test_errors_are_messages(llm_pair, data, capsys, arguments, message):
    known = [] if any("--data" in a or "--corpus" in a for a in arguments) else [f"--data={data}"]
    status, _, error = run(capsys, *arguments, *known, f"--llm={llm_pair[0]}")
    assert status == 2
    assert message in error and error.startswith(arguments[0])


@pytest.mark.parametrize("option", ["--folds=1", "--bootstrap_samples=0", "--context=-1", "--languages=rust"])
def test_values_that_no_run_could_use(llm_pair, capsys, option):
    with pytest.raises(SystemExit):
        main(["bugs", f"--llm={llm_pair[0]}", option])
    assert option.split("=")[0] in capsys.readouterr().err


def test_mean_log_probability_comes_first():
    assert UNCERTAINTY_FEATURES[0] == "mean_log_probability", "the line uncertainty reads that column"
