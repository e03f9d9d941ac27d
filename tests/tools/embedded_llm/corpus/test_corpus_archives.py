from __future__ import annotations

import hashlib
import platform
from dataclasses import replace

import pytest
from tools.embedded_llm.corpus import archives
from tools.embedded_llm.corpus.archives import (
    is_in_share,
    language_of,
    read_source,
    verified_sha256,
)
from tools.embedded_llm.corpus.errors import ArchiveError, ArchiveMismatchError
from tools.embedded_llm.corpus.sources import Source


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.py", "python"),
        ("A.JAVA", "java"),
        ("a.mjs", "javascript"),
        ("a.tcc", "cpp"),
        ("usr/include/c++/12/vector", "cpp"),
        ("usr/share/doc/vector", None),
        ("README.md", None),
    ],
)
def test_language_by_name(path, language):
    assert language_of(path) == language


class TestReading:
    def test_a_wheel(self, downloads):
        source = downloads.wheel("a", {"a/x.py": "x = 1\n", "a/x.js": "var x;\n", "a/data.txt": "x"})
        files = list(read_source(source, downloads.root))
        assert [(f.id, f.language, f.data, f.size) for f in files] == [
            ("pypi/a-1.0/a/x.py", "python", b"x = 1\n", 6),
            ("pypi/a-1.0/a/x.js", "javascript", None, 7),
            ("pypi/a-1.0/a/data.txt", None, None, 1),
        ]

    def test_a_tarball_without_its_outer_folder(self, downloads):
        source = downloads.tarball("@a/b".replace("/", "-"), {"lib/x.js": "var x;\n"})
        (file,) = read_source(replace(source, name="@a/b"), downloads.root)
        assert (file.id, file.data) == ("npm/@a/b-1.0/lib/x.js", b"var x;\n")

    def test_a_debian_package(self, downloads):
        source = downloads.deb("gosrc", {"usr/share/go/a.go": "package a\n", "usr/share/go/a.s": "TEXT"}, "go")
        files = {f.id: f.data for f in read_source(source, downloads.root)}
        assert files == {
            "debian/gosrc-1.0/usr/share/go/a.go": b"package a\n",
            "debian/gosrc-1.0/usr/share/go/a.s": None,
        }

    def test_an_archive_in_a_debian_package(self, downloads, zip_bytes):
        inner = zip_bytes({"java.base/java/lang/A.java": "class A {}\n"})
        source = downloads.deb("jdk", {"usr/lib/src.zip": inner}, "java")
        (file,) = read_source(source, downloads.root)
        assert file.id == "debian/jdk-1.0/usr/lib/src.zip/java.base/java/lang/A.java"
        assert file.data == b"class A {}\n"

    def test_the_standard_library_by_glob_and_number(self, tmp_path):
        source = Source("stdlib", "python", "", "PSF-2.0", "python", include=("json/*.py",), limit=2)
        files = list(read_source(source, tmp_path))
        prefix = f"stdlib/python-{platform.python_version()}/json/"
        assert [f.id for f in files] == [f"{prefix}__init__.py", f"{prefix}decoder.py"]
        assert verified_sha256(source, tmp_path) == ""

    def test_files_beyond_reason_are_not_read(self, downloads, monkeypatch):
        monkeypatch.setattr(archives, "MAX_READ_BYTES", 10)
        source = downloads.wheel("a", {"a/x.py": "x = 1 + 1\n", "a/y.py": "x = 1 + 10\n"})
        assert [f.data is None for f in read_source(source, downloads.root)] == [False, True]


class TestHeldOut:
    def test_whole_sources(self, downloads):
        source = downloads.wheel("a", {"a/x.py": "x", "b/y.py": "y"}, held_out=True)
        assert all(f.held_out for f in read_source(source, downloads.root))

    def test_shares_of_folders(self, downloads):
        files = {f"p{i}/{name}.py": "x" for i in range(200) for name in "ab"}
        source = downloads.wheel("a", files, held_out_share=0.25)
        by_folder: dict[str, set[bool]] = {}
        for file in read_source(source, downloads.root):
            by_folder.setdefault(file.id.split("/")[2], set()).add(file.held_out)
        assert all(len(values) == 1 for values in by_folder.values())
        assert 25 < sum(values == {True} for values in by_folder.values()) < 75

    def test_bounds_of_a_share(self):
        assert not is_in_share("a", 0) and is_in_share("a", 1)


class TestDamage:
    def test_a_missing_archive(self, tmp_path):
        source = Source("pypi", "a", "1.0", "MIT", "python", file="a-1.0-py3-none-any.whl")
        with pytest.raises(ArchiveError, match=r"a-1\.0-py3-none-any\.whl.*missing.*corpus fetch"):
            list(read_source(source, tmp_path))

    @pytest.mark.parametrize("kind", ["wheel", "tarball"])
    def test_a_damaged_archive(self, downloads, kind):
        source = getattr(downloads, kind)("a", {"x.py": "x"})
        path = downloads.root / source.ecosystem / source.file
        path.write_bytes(path.read_bytes()[:20])
        with pytest.raises(ArchiveError, match="cannot be read"):
            list(read_source(source, downloads.root))

    def test_a_damaged_debian_package(self, downloads):
        source = downloads.deb("a", {"x.go": "x"}, "go")
        path = downloads.root / "debian" / source.file
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(ArchiveError, match=r"a_1\.0_all\.deb.*fetch it again"):
            list(read_source(source, downloads.root))

    def test_another_archive_than_the_listed_one(self, downloads):
        source = downloads.wheel("a", {"x.py": "x"})
        found = hashlib.sha256((downloads.root / "pypi" / source.file).read_bytes()).hexdigest()
        assert verified_sha256(replace(source, sha256=found), downloads.root) == found
        with pytest.raises(ArchiveMismatchError, match=found) as error:
            verified_sha256(replace(source, sha256="0" * 64), downloads.root)
        assert "fetch it again" in str(error.value)
