from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from jsonargparse import ArgumentError, ArgumentParser

from pttrust_lightning.errors import ConfigError, SchemaError, SourceError
from pttrust_lightning.source.corpora import Corpus, FolderCorpus, JsonlCorpus, StandardLibrary, selection
from pttrust_lightning.source.corpora.base import MAX_LINE_CHARACTERS
from pttrust_lightning.source.corpora.selection import corpus_sha256, is_in_portion
from pttrust_lightning.types import Exclusions, Program


def write(root: Path, files: dict[str, str | bytes]) -> str:
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(root)


def read(corpus: Corpus) -> tuple[dict[str, Program], Exclusions]:
    exclusions = Exclusions()
    programs = list(corpus.programs(exclusions))
    by_id = {program.id: program for program in programs}
    assert len(by_id) == len(programs)
    return by_id, exclusions


class TestFolder:
    def test_languages_by_suffix_in_sorted_order(self, tmp_path):
        path = write(tmp_path, {"b.py": "b\n", "a/z.JAVA": "z\n", "a/c.rs": "c\n", "a.hpp": "a\n", "notes.txt": "x\n"})
        programs, exclusions = read(FolderCorpus(path))
        assert [(p.id, p.language, p.origin) for p in programs.values()] == [
            ("a.hpp", "cpp", "a.hpp"),
            ("a/c.rs", "rust", "a/c.rs"),
            ("a/z.JAVA", "java", "a/z.JAVA"),
            ("b.py", "python", "b.py"),
        ]
        assert exclusions.counts == {"file of no chosen language": 1}
        programs, exclusions = read(FolderCorpus(path, languages=["python", "rust"]))
        assert list(programs) == ["a/c.rs", "b.py"]
        assert exclusions.counts == {"file of no chosen language": 3}
        assert exclusions.examples["file of no chosen language"] == ["a.hpp", "notes.txt", "a/z.JAVA"]

    def test_files_of_no_chosen_language_are_counted_once(self, tmp_path):
        files = ["a.py", "LICENSE", "b.txt", ".gitignore", ".git/config", "generated/x.json", "y.lock"]
        path = write(tmp_path, dict.fromkeys(files, "x\n"))
        _, exclusions = read(FolderCorpus(path, exclude=["generated", "*.lock"]))
        assert exclusions.counts == {
            "file of no chosen language": 2,
            "hidden": 1,
            "hidden (folder)": 1,
            "matches an exclude pattern": 1,
            "matches an exclude pattern (folder)": 1,
        }

    def test_code_is_kept_as_it_is(self, tmp_path):
        path = write(tmp_path, {"crlf.py": "a\r\n\x0c\rb", "bom.py": b"\xef\xbb\xbfx = '\xc3\xa9'\n"})
        programs, _ = read(FolderCorpus(path))
        assert programs["crlf.py"].code == "a\r\n\x0c\rb"
        assert programs["bom.py"].code == "x = 'é'\n"

    def test_unusable_files_are_counted_by_reason(self, tmp_path):
        path = write(
            tmp_path,
            {
                "good.py": "x = 1\n",
                "copy.py": "x = 1\n",
                "empty.py": "",
                "blank.py": " \n\n",
                "nul.py": b"x\0y\n",
                "nul_latin1.py": b"\xe9\0\n",
                "latin1.py": "# coding: latin-1\né = 1\n".encode("latin-1"),
                "long.py": f"x = '{'a' * 1_000_000}'\n",
                "longest.py": "x" * MAX_LINE_CHARACTERS + "\n",
                ".hidden.py": "x = 2\n",
                ".git/hook.py": "x = 3\n",
                "gen/x_pb2.py": "x = 4\n",
                "third_party/x.py": "x = 5\n",
                "docs/deep/x.py": "x = 6\n",
            },
        )
        programs, exclusions = read(FolderCorpus(path, exclude=["*_pb2.py", "third_party", "docs/*"]))
        assert list(programs) == ["copy.py", "longest.py"]
        assert exclusions.counts == {
            "duplicate": 1,
            "empty file": 2,
            "binary file": 2,
            "not UTF-8 text": 1,
            f"line longer than {MAX_LINE_CHARACTERS} characters": 1,
            "hidden": 1,
            "hidden (folder)": 1,
            "matches an exclude pattern": 1,
            "matches an exclude pattern (folder)": 2,
        }
        assert exclusions.examples["duplicate"] == ["good.py"]
        assert exclusions.examples["not UTF-8 text"] == ["latin1.py"]
        assert exclusions.examples["matches an exclude pattern (folder)"] == ["third_party/", "docs/deep/"]

    def test_links(self, tmp_path):
        write(tmp_path, {"in/a.py": "a\n", "out/b.py": "b\n", "out/c.py": "c\n"})
        (tmp_path / "in" / "file_link.py").symlink_to(tmp_path / "out" / "b.py")
        (tmp_path / "in" / "folder_link").symlink_to(tmp_path / "out")
        (tmp_path / "in" / "broken.py").symlink_to(tmp_path / "in" / "missing.py")
        (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
        programs, exclusions = read(FolderCorpus(str(tmp_path / "in")))
        assert list(programs) == ["a.py"]
        assert exclusions.counts == {
            "link out of the folder": 1,
            "broken link or special file": 1,
            "link to a folder (not followed)": 2,
        }

    def test_folders_that_cannot_be_read_are_counted(self, tmp_path, monkeypatch):
        write(tmp_path, {"a.py": "a\n", "locked/b.py": "b\n"})
        scandir = os.scandir

        def refused(folder):
            if Path(folder).name == "locked":
                raise PermissionError(errno.EACCES, "Permission denied", str(folder))
            return scandir(folder)

        monkeypatch.setattr(os, "scandir", refused)
        programs, exclusions = read(FolderCorpus(str(tmp_path)))
        assert list(programs) == ["a.py"]
        assert exclusions.examples == {"unreadable folder (Permission denied)": ["locked/"]}

    def test_length_bounds_count_non_blank_lines(self, tmp_path):
        path = write(tmp_path, {f"{n}.py": "\n".join(f"x{i} = {n}\n" for i in range(n)) for n in range(1, 6)})
        programs, exclusions = read(FolderCorpus(path, min_lines=2, max_lines=4))
        assert list(programs) == ["2.py", "3.py", "4.py"]
        assert exclusions.counts == {"fewer than 2 non-blank lines": 1, "more than 4 non-blank lines": 1}

    def test_limit_is_a_seeded_sample_in_stable_order(self, tmp_path):
        path = write(tmp_path, {f"{i:03}.py": f"x = {i}\n" for i in range(100)})
        drawn = list(read(FolderCorpus(path, limit=10, seed=1))[0])
        assert drawn == sorted(drawn)
        assert drawn == list(read(FolderCorpus(path, limit=10, seed=1))[0])
        assert drawn != list(read(FolderCorpus(path, limit=10, seed=2))[0])
        assert drawn != [f"{i:03}.py" for i in range(10)]
        assert read(FolderCorpus(path, limit=10))[1].counts == {"not drawn (limit 10)": 90}
        assert len(read(FolderCorpus(path, limit=1000))[0]) == 100

    @pytest.mark.parametrize(
        ("files", "message"),
        [
            ({"notes.txt": "x"}, r"holds no source file \(\.py .*\)\. Check path, languages, exclude and portion"),
            ({".a.py": "x"}, r"holds no source file .*1 left out: hidden \(\.a\.py\)"),
            ({"a.py": ""}, r"gives no program \(1 left out: empty file \(a\.py\)\)\. Choose"),
        ],
    )
    def test_nothing_to_read(self, tmp_path, files, message):
        with pytest.raises(SourceError, match=message):
            read(FolderCorpus(write(tmp_path, files)))

    def test_path_is_no_folder(self, tmp_path):
        with pytest.raises(SourceError, match=r"nowhere does not exist\. Check the path"):
            read(FolderCorpus(str(tmp_path / "nowhere")))
        write(tmp_path, {"a.py": "x"})
        with pytest.raises(SourceError, match=r"a\.py is a file, not a folder\. Name the folder"):
            read(FolderCorpus(str(tmp_path / "a.py")))

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            (
                {"languages": ["pyhton"]},
                "Unknown language 'pyhton'. Known languages: python, java.* Did you mean 'python'",
            ),
            ({"unit": "class"}, "choose 'file' or 'function'"),
            ({"limit": 0}, "limit is 0"),
            ({"min_lines": 0}, "min_lines is 0"),
            ({"min_lines": 5, "max_lines": 4}, "below min_lines = 5"),
        ],
    )
    def test_contradictory_settings(self, settings, message):
        with pytest.raises(ConfigError, match=message):
            FolderCorpus(".", **settings)

    def test_functions(self, tmp_path):
        path = write(
            tmp_path,
            {
                "pkg/m.py": "class A:\n    def f(self):\n        return 1\n\ndef g():\n    return 2\n",
                "broken.py": "def f(:\n",
                "x.java": "class X {}\n",
            },
        )
        programs, exclusions = read(FolderCorpus(path, unit="function"))
        assert list(programs) == ["pkg/m.py::A.f", "pkg/m.py::g"]
        assert programs["pkg/m.py::A.f"].code == "def f(self):\n    return 1\n"
        assert {program.origin for program in programs.values()} == {"pkg/m.py"}
        assert exclusions.counts == {"not parseable": 1}

    def test_functions_of_several_languages(self, tmp_path):
        files = {"a.py": "def f():\n    return 1\n", "b.rs": "fn f() -> i32 { 1 }\n", "c.ts": "function f(): void {}\n"}
        programs, _ = read(FolderCorpus(write(tmp_path, files), unit="function", languages=["py", "Rust", "ts"]))
        assert {p.id: (p.language, p.code) for p in programs.values()} == {
            f"{name}::f": (language, files[name])
            for name, language in (("a.py", "python"), ("b.rs", "rust"), ("c.ts", "typescript"))
        }


def place(relative: str) -> Fraction:
    """Where a file lies in [0, 1), by the definition."""
    return Fraction(int(hashlib.sha256(relative.encode()).hexdigest()[:16], 16), 2**64)


class TestPortion:
    FILES: ClassVar = {f"{i % 7}/{i:03}.py": f"x = {i}\n" for i in range(400)}

    @pytest.mark.parametrize("bounds", [[0, 0.5, 1], [0, 0.1, 0.25, 0.7, 1], [0, 1 / 3, 2 / 3, 1], [0, 1]])
    def test_portions_partition_the_files(self, tmp_path, bounds):
        path = write(tmp_path, self.FILES)
        portions = [set(read(FolderCorpus(path, portion=portion))[0]) for portion in pairwise(bounds)]
        assert sum(map(len, portions)) == len(self.FILES)
        assert set.union(*portions) == set(self.FILES)

    @pytest.mark.parametrize("portion", [(0.0, 0.5), (0.5, 1.0), (0.2, 0.3)])
    def test_a_file_is_placed_by_the_hash_of_its_relative_path(self, tmp_path, portion):
        programs, exclusions = read(FolderCorpus(write(tmp_path, self.FILES), portion=portion))
        assert list(programs) == [name for name in sorted(self.FILES) if portion[0] <= place(name) < portion[1]]
        assert exclusions.counts == {"outside the portion": len(self.FILES) - len(programs)}
        share = portion[1] - portion[0]
        assert abs(len(programs) / len(self.FILES) - share) < 4 * (share * (1 - share) / len(self.FILES)) ** 0.5

    def test_neither_the_root_nor_other_files_matter(self, tmp_path, monkeypatch):
        few = dict(list(self.FILES.items())[:100])
        one, other = write(tmp_path / "one", self.FILES), write(tmp_path / "deep" / "other", few)
        kept = set(read(FolderCorpus(one, portion=(0.3, 0.8)))[0])
        assert set(read(FolderCorpus(other, portion=(0.3, 0.8)))[0]) == kept & set(few)
        monkeypatch.chdir(other)
        assert set(read(FolderCorpus(".", portion=(0.3, 0.8)))[0]) == kept & set(few)

    @pytest.mark.parametrize("first_bytes", ["00" * 8, "7f" + "ff" * 7, "80" + "00" * 7, "ff" * 8])
    def test_every_hash_is_in_one_half(self, monkeypatch, tmp_path, first_bytes):
        digest = bytes.fromhex(first_bytes).ljust(32, b"\0")
        monkeypatch.setattr(selection.hashlib, "sha256", lambda _: SimpleNamespace(digest=lambda: digest))
        halves = [is_in_portion("a.py", half) for half in ((0.0, 0.5), (0.5, 1.0))]
        assert halves == [first_bytes < "80", first_bytes >= "80"]

    def test_functions_of_a_file_stay_together(self, tmp_path):
        code = "def f():\n    return {0}\n\n\ndef g():\n    return -{0}\n"
        path = write(tmp_path, {f"{i}.py": code.format(i) for i in range(1, 21)})
        halves = [read(FolderCorpus(path, unit="function", portion=half))[0] for half in ((0.0, 0.5), (0.5, 1.0))]
        assert [len(half) for half in halves] == [2 * len({p.origin for p in half.values()}) for half in halves]
        assert sum(map(len, halves)) == 40

    def test_other_reasons_come_first(self, tmp_path):
        names = [name for name in self.FILES if place(name) >= 0.5]
        path = write(tmp_path, {**self.FILES, "notes.txt": "x"})
        _, exclusions = read(FolderCorpus(path, exclude=names[:5], portion=(0.0, 0.5)))
        assert exclusions.counts == {
            "file of no chosen language": 1,
            "matches an exclude pattern": 5,
            "outside the portion": len(names) - 5,
        }

    def test_an_empty_portion_says_so(self, tmp_path):
        path = write(tmp_path, {"a.py": "x\n"})
        below = (0.0, float(place("a.py")) / 2)
        with pytest.raises(SourceError, match=r"1 left out: outside the portion \(a\.py\)\).*exclude and portion\."):
            read(FolderCorpus(path, portion=below))

    def test_the_portion_is_described(self):
        corpora = [FolderCorpus("x", portion=(0.0, 0.5)), StandardLibrary(portion=(0.0, 0.5))]
        assert all("portion [0.0, 0.5] of the files, all" in corpus.describe() for corpus in corpora)
        assert "portion" not in FolderCorpus("x").describe() + StandardLibrary().describe()

    @pytest.mark.parametrize(
        "portion", [(0.5, 0.5), (0.6, 0.5), (-0.1, 0.5), (0.5, 1.1), (float("nan"), 1.0), (0.0, float("nan")), (0.5,)]
    )
    def test_bad_bounds(self, portion):
        for build in (StandardLibrary, partial(FolderCorpus, ".")):
            with pytest.raises(
                ConfigError, match=r"portion is \[.*\]; it must be \[low, high\] with 0 <= low < high <= 1"
            ):
                build(portion=portion)


class TestJsonl:
    def corpus(self, tmp_path: Path, content: str | bytes, **settings: object) -> JsonlCorpus:
        write(tmp_path, {"c.jsonl": content})
        return JsonlCorpus(str(tmp_path / "c.jsonl"), **settings)  # type: ignore[arg-type]

    def test_fields_and_defaults(self, tmp_path):
        content = (
            '\ufeff{"code": "x\\n", "license": "MIT"}\r\n\r\n{"code": "y", "id": "i", "language": "Go", "prompt": "p"}'
        )
        programs, _ = read(self.corpus(tmp_path, content, default_language="java"))
        assert list(programs.values()) == [
            Program("c.jsonl:1", "x\n", "java", "", "c.jsonl"),
            Program("i", "y", "go", "p", "c.jsonl"),
        ]

    def test_the_same_code_after_another_prompt_is_another_program(self, tmp_path):
        content = "".join(f'{{"code": "x", "prompt": "{prompt}"}}\n' for prompt in "aab")
        programs, exclusions = read(self.corpus(tmp_path, content))
        assert [program.prompt for program in programs.values()] == ["a", "b"]
        assert exclusions.counts == {"duplicate": 1}

    def test_unusable_code_is_counted(self, tmp_path):
        content = '{"code": "x"}\n{"code": " "}\n{"code": "\\u0000"}\n'
        _, exclusions = read(self.corpus(tmp_path, content))
        assert exclusions.counts == {"empty record": 1, "binary record": 1}

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ('{"code": "x"}\n{"id": "a"}', r"record 2, field 'code': missing\. Add"),
            ('{"Code": "x"}', r"record 1, field 'Code': unknown field\. Rename it to 'code'"),
            ('{"code": null}', r"field 'code': it is null"),
            ('{"code": 1}', r"field 'code': 1 is an integer, not a string"),
            ('{"code": "x", "language": ["a"]}', r"field 'language': \[\"a\"\] is a list"),
            ('{"code": "x", "id": 7}', r"field 'id': 7 is an integer, not a string\. Write it in quotes"),
            ('{"code": "\\ud800"}', r"field 'code': it holds a lone surrogate"),
            (
                '{"code": "x", "id": "a"}\n\n{"code": "y", "id": "a"}',
                r"record 3, field 'id': 'a' is also .* record 1\.",
            ),
            ('{"code": "x", "code": "y"}', r"field 'code': named twice"),
            ('{"code": "x"', r"record 1, field '\(whole record\)': not JSON \(.* at column 13\)"),
            ('["x"]', r"a list, not an object"),
            ("[" * 100_000, r"not JSON \(nested too deep\)"),
            (b'{"code": "\xe9"}', r"byte 10 is not UTF-8\. Convert"),
        ],
    )
    def test_schema_errors_name_the_record(self, tmp_path, content, message):
        with pytest.raises(SchemaError, match=message):
            read(self.corpus(tmp_path, content))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", r"c\.jsonl is empty\. Write"),
            ("\n \r\n", r"c\.jsonl is empty\. Write"),
            (b"\x89PNG\r\n\x1a\n\0\0", "not UTF-8|binary file"),
            (b"PK\0\0", r"c\.jsonl is a binary file \(it holds NUL bytes\)"),
        ],
    )
    def test_unreadable_files(self, tmp_path, content, message):
        with pytest.raises(ValueError, match=message) as raised:
            read(self.corpus(tmp_path, content))
        assert isinstance(raised.value, SourceError | SchemaError)

    def test_missing_file_and_folder(self, tmp_path):
        with pytest.raises(SourceError, match=r"does not exist\. Check the path"):
            read(JsonlCorpus(str(tmp_path / "no.jsonl")))
        with pytest.raises(SourceError, match="is a folder, not a JSONL file"):
            read(JsonlCorpus(str(tmp_path)))


class TestStandardLibrary:
    def test_functions_of_the_library_alone(self, library_functions):
        programs = {program.id: program for program in library_functions}
        assert len(programs) == len(library_functions) > 5000
        assert "textwrap.py::TextWrapper._split" in programs
        excluded = ("site-packages/", "test/", "idlelib/", "lib2to3/", "turtledemo/", "ensurepip/")
        assert not [id_ for id_ in programs if id_.startswith(excluded) or "/test" in id_ or "/idle_test/" in id_]
        assert not [id_ for id_ in programs if id_.startswith(("/", ".."))]

    def test_sample_is_reproducible(self):
        corpus = StandardLibrary(unit="file", limit=20, seed=3)
        first, second = read(corpus)[0], read(corpus)[0]
        assert len(first) == 20
        assert list(first.values()) == list(second.values())
        assert "20 at random (seed 3)" in corpus.describe()

    def test_portions_share_no_file(self, library_functions):
        settings = {"min_lines": 4, "max_lines": 40}
        halves = [read(StandardLibrary(portion=half, **settings))[0] for half in ((0.0, 0.5), (0.5, 1.0))]
        files = [{program.origin for program in half.values()} for half in halves]
        assert not files[0] & files[1]
        assert {program.id for program in library_functions} <= halves[0].keys() | halves[1].keys()
        assert all(0.35 < len(f) / len(files[0] | files[1]) < 0.65 for f in files)


class TestHash:
    def test_depends_on_every_field_and_the_order(self):
        programs = [Program("a", "x", "python"), Program("b", "y", "python", "p")]
        changed = [
            [replace(programs[0], id="c"), programs[1]],
            [replace(programs[0], code="z"), programs[1]],
            [replace(programs[0], language="java"), programs[1]],
            [replace(programs[0], prompt="q"), programs[1]],
            programs[::-1],
            programs[:1],
            [],
        ]
        hashes = {corpus_sha256(p) for p in (programs, *changed)}
        assert len(hashes) == 1 + len(changed)
        assert corpus_sha256(programs) == corpus_sha256(replace(p, origin="elsewhere") for p in programs)

    def test_text_does_not_cross_boundaries(self):
        assert corpus_sha256([Program("ab", "c", "l")]) != corpus_sha256([Program("a", "c", "bl")])
        assert corpus_sha256([Program("a", "", "l"), Program("b", "", "l")]) != corpus_sha256([Program("a", "bl", "l")])


def test_a_portion_is_read_from_yaml():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Corpus, "corpus")
    node = "corpus:\n  class_path: pttrust_lightning.source.{}\n  init_args: {{{}portion: {}}}\n"
    for class_name, path in (("FolderCorpus", "path: src, "), ("StandardLibrary", "")):
        config = parser.parse_string(node.format(class_name, path, "[0.0, 0.5]"))
        assert "portion [0.0, 0.5] of the files" in parser.instantiate(config).corpus.describe()
        assert parser.parse_string(parser.dump(config)) == config
        for bad in ("[0.0]", "[0.0, 0.5, 1.0]", "[a, b]", "0.5"):
            with pytest.raises(ArgumentError, match="portion"):
                parser.parse_string(node.format(class_name, path, bad))


@pytest.mark.parametrize(
    ("class_name", "arguments"),
    [
        ("FolderCorpus", {"path": "src", "languages": ["python"], "exclude": ["tests"], "limit": 5}),
        ("JsonlCorpus", {"path": "c.jsonl", "default_language": "go", "max_lines": 50}),
        ("StandardLibrary", {"unit": "file", "limit": 5, "seed": 1}),
    ],
)
def test_corpora_are_built_from_yaml(class_name, arguments):
    parser = ArgumentParser()
    parser.add_subclass_arguments(Corpus, "corpus")
    node = {"class_path": f"pttrust_lightning.source.corpora.{class_name}", "init_args": arguments}
    corpus = parser.instantiate(parser.parse_object({"corpus": node})).corpus
    assert type(corpus).__name__ == class_name
    assert corpus.name in corpus.describe() or class_name == "StandardLibrary"
