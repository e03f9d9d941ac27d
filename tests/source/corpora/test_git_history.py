from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pttrust_lightning.errors import ConfigError, SourceError
from pttrust_lightning.source.corpora import GitHistory, git_objects
from pttrust_lightning.types import Exclusions, LinePair, ProgramGroup

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

PAIR = "def f(x):\n    return x\n\n\nclass C:\n    def g(self):\n        return {}\n"


def git(repository: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {f"GIT_{who}_DATE": "2024-01-01T00:00:00Z" for who in ("AUTHOR", "COMMITTER")}
    command = ["git", "-c", "commit.gpgSign=false", "-C", str(repository), *arguments]
    result = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment | identity | dates | {"LC_ALL": "C"}
    )
    return result.stdout.strip()


def commit(repository: Path, message: str, files: dict[str, str | bytes | None]) -> str:
    for name, content in files.items():
        file = repository / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    git(repository, "add", "-A")
    git(repository, "commit", "-m", message)
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def read(corpus: GitHistory) -> tuple[list[ProgramGroup], Exclusions]:
    exclusions = Exclusions()
    return list(corpus.groups(exclusions)), exclusions


def test_fixes_with_before_and_after(repository):
    commit(repository, "start", {"a.py": PAIR.format(1), "b é.java": "class B {}\n", "c.txt": "x\n"})
    commit(repository, "Add a feature", {"a.py": PAIR.format(2)})
    last = commit(
        repository, "Fixes #3\n\nlong story", {"a.py": PAIR.format(3), "b é.java": "class A {}\n", "c.txt": "y\n"}
    )
    (a, b), exclusions = read(GitHistory(str(repository)))
    assert (a.original.id, a.original.origin, a.original.language) == (f"{last[:12]}:a.py", "a.py", "python")
    assert (a.original.code, a.mutants[0].program.code) == (PAIR.format(3), PAIR.format(2))
    assert a.mutants[0].pairs == (LinePair(6, 6),)
    assert (b.original.id, b.original.code) == (f"{last[:12]}:b é.java", "class A {}\n")
    assert exclusions.counts == {
        "first commit": 1,
        "commit whose message does not match": 1,
        "file of no chosen language": 1,
    }
    everything, _ = read(GitHistory(str(repository), message=""))
    assert [group.original.origin for group in everything] == ["a.py", "b é.java", "a.py"]
    (fix,) = GitHistory(str(repository), languages=["java"]).fixes(Exclusions())
    assert (fix.problem_id, fix.buggy, fix.correct) == ("b é.java", "class B {}\n", "class A {}\n")
    (older,) = read(GitHistory(str(repository), revision="HEAD~1", message="FEATURE"))[0]
    assert older.original.code == PAIR.format(2)


def test_functions_that_a_fix_changed(repository):
    commit(repository, "start", {"a.py": PAIR.format(1), "b.py": "x = 1\n", "c.js": "x\n", "d.py": "def f(:\n"})
    last = commit(
        repository, "bugfix", {"a.py": PAIR.format(2), "b.py": "x = 2\n", "c.js": "y\n", "d.py": "def f(x):\n  x\n"}
    )
    (group,), exclusions = read(GitHistory(str(repository), unit="function"))
    assert group.original.id == f"{last[:12]}:a.py::C.g"
    assert group.original.code == "def g(self):\n    return 2\n"
    assert exclusions.counts == {
        "first commit": 1,
        "change outside of functions": 2,
        "not Python (unit 'function')": 1,
        "not parseable": 1,
    }


def test_what_is_left_out_is_counted(repository):
    many = "".join(f"x{n} = {{0}}\n" for n in range(12))
    files = ["long.py", "binary.py", "latin.py", "comment.py", "gone.py", "link.py", "mode.py"]
    commit(repository, "start", dict.fromkeys(files, many.format(1)) | {"latin.py": b"\xe9 = 1", "binary.py": "\0"})
    (repository / "mode.py").chmod(0o755)
    (repository / "link.py").unlink()
    (repository / "link.py").symlink_to("long.py")
    commit(
        repository,
        "fix it all",
        {
            "long.py": many.format(2),
            "binary.py": "\0\0",
            "latin.py": b"\xe9 = 2",
            "comment.py": "# new\n" + many.format(1),
            "gone.py": None,
            "new.py": "x = 1\n",
        },
    )
    git(repository, "checkout", "-q", "-b", "side", "HEAD~1")
    commit(repository, "fix one line", {"long.py": many.format(1).replace("x3 = 1", "x3 = 3")})
    git(repository, "merge", "-q", "-s", "ours", "-m", "fix by merging", "main")
    (group,), exclusions = read(GitHistory(str(repository)))
    assert group.mutants[0].pairs == (LinePair(3, 3),)
    assert exclusions.counts == {
        "merge commit": 1,
        "first commit": 1,
        "more than 10 changed lines": 1,
        "binary file": 1,
        "not UTF-8 text": 1,
        "buggy code does not differ from the correct code": 1,
    }
    assert len(read(GitHistory(str(repository), max_changed_lines=12))[0]) == 2


def test_the_same_fix_on_two_branches_and_large_files(repository, monkeypatch):
    commit(repository, "start", {"a.py": "x = 1\n", "b.py": "y = 1\n" * 50})
    fixed = commit(repository, "fix", {"a.py": "x = 2\n", "b.py": "y = 2\n" * 50})
    git(repository, "checkout", "-q", "-b", "side", "HEAD~1")
    commit(repository, "other", {"c.py": "z = 1\n"})
    git(repository, "cherry-pick", fixed)
    git(repository, "merge", "-q", "-m", "merge", "main")
    monkeypatch.setattr("pttrust_lightning.source.corpora.git_history.MAX_FILE_BYTES", 100)
    groups, exclusions = read(GitHistory(str(repository)))
    assert [group.original.origin for group in groups] == ["a.py"]
    assert exclusions.counts["duplicate"] == 1
    assert exclusions.counts["file larger than 100 bytes"] == 2


def test_the_fingerprint_follows_the_history_and_the_settings(repository):
    commit(repository, "start", {"a.py": "x = 1\n"})
    first = GitHistory(str(repository)).fingerprint()
    assert first is not None and first == GitHistory(str(repository)).fingerprint()
    assert first != GitHistory(str(repository), max_changed_lines=3).fingerprint()
    (repository / "a.py").write_text("not committed")
    assert first == GitHistory(str(repository)).fingerprint()
    commit(repository, "more", {"a.py": "x = 2\n"})
    assert first != GitHistory(str(repository)).fingerprint()
    assert GitHistory(str(repository / "nowhere")).fingerprint() is None


def test_what_is_no_repository(repository, tmp_path, monkeypatch):
    with pytest.raises(SourceError, match=r"has no commit 'HEAD'\. Name a branch"):
        read(GitHistory(str(repository)))
    commit(repository, "start", {"sub/a.py": "x = 1\n"})
    with pytest.raises(SourceError, match=r"sub cannot be read as a git repository \(fatal: not a git"):
        read(GitHistory(str(repository / "sub")))
    with pytest.raises(SourceError, match="nowhere is no folder"):
        read(GitHistory(str(tmp_path / "nowhere")))
    with pytest.raises(SourceError, match="'--help' is no revision"):
        read(GitHistory(str(repository), revision="--help"))
    with pytest.raises(SourceError, match=r"gives no program \(1 left out: first commit"):
        read(GitHistory(str(repository)))
    git(repository, "clone", "-q", "--bare", str(repository), str(tmp_path / "bare.git"))
    with pytest.raises(SourceError, match="1 left out: first commit"):
        read(GitHistory(str(tmp_path / "bare.git")))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match=r"needs the git command\. Install git"):
        read(GitHistory(str(repository)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"message": "("}, "message is no regular expression"),
        ({"message": None}, r"message is no regular expression .* leave it empty"),
        ({"languages": ["pyhton"]}, "Unknown language 'pyhton'"),
        ({"unit": "class"}, "choose 'file' or 'function'"),
        ({"max_changed_lines": 0}, "max_changed_lines is 0"),
        ({"limit": 0}, "limit is 0"),
    ],
)
def test_contradictory_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        GitHistory(".", **settings)


def test_nothing_that_the_repository_names_is_run(repository, tmp_path):
    """Every program that git can be told to start here would leave a file behind."""
    commit(repository, "start", {"a.py": "x = 1\n", ".gitattributes": "*.py diff=evil filter=evil\n"})
    commit(repository, "fix", {"a.py": "x = 2\n"})
    trace = tmp_path / "was_run"
    evil = tmp_path / "evil.sh"
    evil.write_text(f"#!/bin/sh\ntouch {trace}\ncat\n")
    evil.chmod(0o755)
    for name in (
        *("core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "diff.external", "diff.evil.textconv"),
        *("diff.evil.command", "filter.evil.smudge", "filter.evil.clean", "gpg.program", "pager.log"),
        *("remote.origin.uploadpack", "credential.helper"),
    ):
        git(repository, "config", name, str(evil))
    for name, value in (
        *(("log.showSignature", "true"), ("core.hooksPath", str(tmp_path)), ("remote.origin.url", str(repository))),
        *(
            ("extensions.partialClone", "origin"),
            ("remote.origin.promisor", "true"),
            ("core.repositoryformatversion", "1"),
        ),
    ):
        git(repository, "config", name, value)
    trace.unlink(missing_ok=True)
    (group,), _ = read(GitHistory(str(repository)))
    assert group.original.code == "x = 2\n"
    blob = git(repository, "rev-parse", "HEAD:a.py")
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    trace.unlink(missing_ok=True)
    with pytest.raises(SourceError, match=r"lacks the object .* Name a complete clone"):
        read(GitHistory(str(repository)))
    assert not trace.exists()


def test_the_reader_ends_with_its_context(repository):
    commit(repository, "start", {"a.py": "x = 1\n"})
    with git_objects.GitRepository(str(repository)) as reader:
        assert [c.message for c in reader.commits(reader.resolve("main"))] == ["start\n"]
        process = reader._reader
        assert process is not None and process.poll() is None
    assert process.poll() is not None
