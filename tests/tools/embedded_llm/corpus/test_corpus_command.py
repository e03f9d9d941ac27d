"""The command line, from a list of sources and archives to files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tools.embedded_llm.corpus.__main__ import main
from tools.embedded_llm.corpus.archives import file_sha256
from tools.embedded_llm.corpus.output import corpus_sha256


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def recipe(downloads, tmp_path, function) -> list[object]:
    """Arguments of a build of two small packages."""
    downloads.wheel("a", {f"a/f{i}.py": function(f"f{i}") for i in range(5)} | {"a/small.py": "x"})
    downloads.wheel("b", {"b/held.py": function("held_ü")})
    listed = tmp_path / "sources.yaml"
    listed.write_text(
        "pypi:\n"
        "  - {name: a, version: '1.0', licence: MIT, language: python, file: a-1.0-py3-none-any.whl}\n"
        "  - {name: b, version: '1.0', licence: ISC, language: python, file: b-1.0-py3-none-any.whl, held_out: true}\n"
    )
    return ["build", "--sources", listed, "--downloads", downloads.root]


class TestBuild:
    def test_files_and_manifest(self, recipe, benchmarks, tmp_path, downloads, capsys):
        assert run(*recipe, "--benchmarks", benchmarks, "--output", tmp_path / "out") == 0
        files = contents(tmp_path / "out")
        assert set(files) == {"train/python.jsonl", "held_out/python.jsonl", "manifest.json"}
        (held,) = map(json.loads, files["held_out/python.jsonl"].decode().splitlines())
        assert (held["id"], held["language"], held["source"]) == ("pypi/b-1.0/b/held.py", "python", "pypi/b-1.0")
        assert held["code"].startswith("def held_ü(argument):\n")
        manifest = json.loads(files["manifest.json"])
        assert manifest["sizes"]["train"]["python"]["files"] == 5
        assert manifest["dropped"] == {"python": {"smaller than 200 bytes": 1}}
        assert manifest["corpus_sha256"] == corpus_sha256(manifest["files"])
        for name, sha256 in manifest["files"].items():
            assert file_sha256(tmp_path / "out" / name) == sha256
        first, second = manifest["sources"]
        assert (first["name"], first["licence"], first["files"], second["files"]) == ("a", "MIT", 5, 1)
        assert first["archive_sha256"] == file_sha256(downloads.root / "pypi" / "a-1.0-py3-none-any.whl")
        contamination = manifest["contamination"]
        assert contamination["checked"] and contamination["files_checked"] == 6
        assert contamination["files_left_in_output"] == contamination["files_dropped"] == 0
        assert str(tmp_path) not in files["manifest.json"].decode()
        out = capsys.readouterr().out
        assert "python" in out and "smaller than 200 bytes" in out

    def test_the_same_archives_give_the_same_bytes(self, recipe, benchmarks, tmp_path):
        for name in ("one", "two"):
            assert run(*recipe, "--benchmarks", benchmarks, "--output", tmp_path / name) == 0
        assert contents(tmp_path / "one") == contents(tmp_path / "two")

    def test_a_build_replaces_an_earlier_one(self, recipe, tmp_path):
        out = tmp_path / "out"
        (out / "train").mkdir(parents=True)
        (out / "train" / "java.jsonl").write_text("old\n")
        assert run(*recipe, "--no_contamination_check", "--output", out) == 0
        assert set(contents(out)) == {"train/python.jsonl", "held_out/python.jsonl", "manifest.json"}

    def test_missing_benchmarks_are_refused(self, recipe, tmp_path, capsys):
        assert run(*recipe, "--benchmarks", tmp_path / "none", "--output", tmp_path / "out") == 1
        assert "--no_contamination_check" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_a_build_without_a_check_says_so(self, recipe, tmp_path):
        assert run(*recipe, "--no_contamination_check", "--output", tmp_path / "out") == 0
        assert json.loads((tmp_path / "out" / "manifest.json").read_text())["contamination"] == {"checked": False}

    def test_a_changed_archive_is_refused_before_anything_is_read(self, recipe, downloads, tmp_path, capsys):
        listed = Path(recipe[2])
        listed.write_text(listed.read_text().replace("whl}", f"whl, sha256: {'a' * 64}}}"))
        assert run(*recipe, "--no_contamination_check", "--output", tmp_path / "out") == 1
        assert "a-1.0-py3-none-any.whl: its sha256 is" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("option", ["--limit_bytes_per_language", "--workers"])
    def test_negative_numbers_are_refused(self, recipe, option, capsys):
        with pytest.raises(SystemExit):
            run(*recipe, option, "-1")
        assert f"argument {option}: it is -1" in capsys.readouterr().err

    def test_a_few_files_of_the_standard_library(self, tmp_path):
        listed = tmp_path / "tiny.yaml"
        listed.write_text(
            "stdlib: [{name: python, licence: PSF-2.0, language: python, include: ['json/*.py'], limit: 3}]\n"
        )
        out = tmp_path / "out"
        assert run("build", "--sources", listed, "--no_contamination_check", "--output", out) == 0
        assert 1 <= len((out / "train" / "python.jsonl").read_text().splitlines()) <= 3

    def test_an_interruption_leaves_no_manifest(self, recipe, tmp_path, monkeypatch, capsys):
        out = tmp_path / "out"
        assert run(*recipe, "--no_contamination_check", "--output", out) == 0

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("tools.embedded_llm.corpus.__main__.write_manifest", interrupted)
        assert run(*recipe, "--no_contamination_check", "--output", out) == 130
        assert not (out / "manifest.json").exists() and not list(out.rglob("*.tmp"))


class TestFetch:
    def test_nothing_to_do(self, recipe, capsys):
        assert run("fetch", *recipe[1:]) == 0
        assert "0 archives to download" in capsys.readouterr().err

    def test_failures_end_the_command_with_1(self, recipe, downloads, monkeypatch, capsys):
        (downloads.root / "pypi" / "a-1.0-py3-none-any.whl").unlink()
        monkeypatch.setattr("tools.embedded_llm.corpus.__main__.fetch_all", lambda *_, **__: ["pypi/a-1.0: no network"])
        assert run("fetch", *recipe[1:]) == 1
        assert "1 downloads failed:\n  pypi/a-1.0: no network" in capsys.readouterr().err
