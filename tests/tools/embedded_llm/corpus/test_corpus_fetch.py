from __future__ import annotations

import hashlib
import sys
from dataclasses import replace

import pytest
from tools.embedded_llm.corpus import fetch as module
from tools.embedded_llm.corpus.errors import ArchiveError, ArchiveMismatchError
from tools.embedded_llm.corpus.fetch import (
    SUBSTITUTES,
    debian_command,
    fetch,
    npm_command,
    plan,
    pypi_command,
    run_command,
    wheel_options,
    with_substitutes,
)
from tools.embedded_llm.corpus.sources import Source

CONTENT = b"an archive"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WHEEL = Source("pypi", "a", "1.0", "MIT", "python", mb=1.4, file="a-1.0-py3-none-any.whl", sha256=SHA256)
TARBALL = Source("npm", "@a/b", "2.0", "MIT", "javascript", mb=0.3, file="a-b-2.0.tgz", sha256=SHA256)
DEB = Source("debian", "gosrc", "1:1.0-1", "MIT", "go", mb=20.0, file="gosrc_1%3a1.0-1_all.deb", sha256=SHA256)
LIBRARY = Source("stdlib", "python", "", "PSF-2.0", "python")


class Client:
    """Stands in for pip, npm and apt-get: writes the archive that a command asks for."""

    def __init__(self, contents: dict[str, bytes] | None = None, fails: tuple[str, ...] = ()) -> None:
        self.contents = contents or {}
        self.fails = fails
        self.commands: list[list[str]] = []

    def __call__(self, command, folder):
        self.commands.append(command)
        wanted = command[-1]
        if wanted in self.fails:
            raise ArchiveError(f"{command[0]} ended with 1: no such version. Check the network and the version.")
        names = {"a==1.0": WHEEL.file, "@a/b@2.0": TARBALL.file, "gosrc=1:1.0-1": DEB.file}
        name = names.get(wanted, "gosrc_1%3a1.0-2_all.deb")
        (folder / name).write_bytes(self.contents.get(wanted, CONTENT))


def silent(line: str) -> None:
    pass


def test_commands():
    assert pypi_command(WHEEL)[-4:] == ["--only-binary=:all:", "--dest", ".", "a==1.0"]
    assert "--no-deps" in pypi_command(WHEEL) and pypi_command(WHEEL)[0] == sys.executable
    assert npm_command(TARBALL) == ["npm", "pack", "--silent", "@a/b@2.0"]
    assert debian_command(DEB, DEB.version)[-1] == "gosrc=1:1.0-1"


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("a-1.0-py3-none-any.whl", ""),
        ("a-1.0-py2.py3-none-any.whl", ""),
        (
            "a-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "--platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 "
            "--implementation cp --python-version 3.11 --abi cp311",
        ),
        (
            "a-1.0-cp39-abi3-manylinux2014_x86_64.whl",
            "--platform manylinux2014_x86_64 --implementation cp --python-version 3.9 --abi abi3",
        ),
        ("a-1.0-py3-none-manylinux2014_x86_64.whl", "--platform manylinux2014_x86_64 --abi none"),
    ],
)
def test_the_same_wheel_on_every_machine(file, options):
    assert wheel_options(file) == options.split()


class TestFetch:
    def test_what_is_missing_is_downloaded_and_then_nothing(self, tmp_path):
        lines: list[str] = []
        client = Client()
        assert fetch([WHEEL, TARBALL, DEB, LIBRARY], tmp_path, client, lines.append) == []
        assert lines[0] == "3 archives to download, about 22 MB; 0 are there."
        for source in (WHEEL, TARBALL, DEB):
            assert (tmp_path / source.ecosystem / source.file).read_bytes() == CONTENT
        assert len(list(tmp_path.rglob("*"))) == 6  # three folders, three archives, no remains
        client.commands.clear()
        assert fetch([WHEEL, TARBALL, DEB, LIBRARY], tmp_path, client, lines.append) == []
        assert client.commands == [] and lines[-1] == "0 archives to download, about 0 MB; 3 are there."

    def test_a_failure_does_not_stop_the_rest(self, tmp_path):
        failures = fetch([WHEEL, TARBALL], tmp_path, Client(fails=("a==1.0",)), silent)
        assert len(failures) == 1 and failures[0].startswith("pypi/a-1.0: ") and "no such version" in failures[0]
        assert (tmp_path / "npm" / TARBALL.file).is_file()

    def test_another_archive_than_the_listed_one_is_not_kept(self, tmp_path):
        (failure,) = fetch([WHEEL], tmp_path, Client({"a==1.0": b"tampered"}), silent)
        assert "its sha256 is" in failure and SHA256 in failure
        assert list((tmp_path / "pypi").iterdir()) == []

    def test_an_interrupted_download_is_started_again(self, tmp_path):
        def interrupted(command, folder):
            (folder / WHEEL.file).write_bytes(b"an arch")
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fetch([WHEEL], tmp_path, interrupted, silent)
        partial = tmp_path / "pypi" / ".partial-a"
        partial.mkdir()  # as a killed process leaves it
        (partial / WHEEL.file).write_bytes(b"an arch")
        assert plan([WHEEL], tmp_path).missing == [WHEEL]
        assert fetch([WHEEL], tmp_path, Client(), silent) == []
        assert (tmp_path / "pypi" / WHEEL.file).read_bytes() == CONTENT

    def test_another_file_name_is_refused(self, tmp_path):
        other = replace(WHEEL, file="a-1.0-py2-none-any.whl")
        (failure,) = fetch([other], tmp_path, Client(), silent)
        assert "the client gave a-1.0-py3-none-any.whl rather than a-1.0-py2-none-any.whl" in failure

    def test_a_damaged_archive_that_is_there_is_named(self, tmp_path):
        (tmp_path / "pypi").mkdir()
        (tmp_path / "pypi" / WHEEL.file).write_bytes(b"damaged")
        with pytest.raises(ArchiveMismatchError, match=r"pypi/a-1\.0-py3-none-any\.whl"):
            fetch([WHEEL], tmp_path, Client(), silent)


class TestSubstitutes:
    def test_debian_gives_the_version_that_it_has_and_this_is_recorded(self, tmp_path):
        client = Client({"gosrc": b"newer"}, fails=("gosrc=1:1.0-1",))
        assert fetch([DEB], tmp_path, client, silent) == []
        (found,) = with_substitutes([DEB], tmp_path)
        assert (found.version, found.file) == ("1:1.0-2", "gosrc_1%3a1.0-2_all.deb")
        assert found.sha256 == hashlib.sha256(b"newer").hexdigest()
        assert plan([DEB], tmp_path).missing == []

    def test_none_without_need(self, tmp_path):
        assert with_substitutes([WHEEL, DEB], tmp_path) == [WHEEL, DEB]

    def test_a_damaged_record_is_named(self, tmp_path):
        (tmp_path / SUBSTITUTES).write_text("{]")
        with pytest.raises(ArchiveError, match=r"substitutes\.json"):
            with_substitutes([DEB], tmp_path)


class TestRunCommand:
    def test_it_runs_in_the_folder(self, tmp_path):
        run_command([sys.executable, "-c", "open('x', 'w')"], tmp_path)
        assert (tmp_path / "x").exists()

    def test_the_last_line_of_a_failure(self, tmp_path):
        with pytest.raises(ArchiveError, match=r"ended with 3: told so\. Check the network"):
            run_command(
                [sys.executable, "-c", "import sys; print('x\\ntold so', file=sys.stderr); sys.exit(3)"], tmp_path
            )

    def test_a_missing_client(self, tmp_path):
        with pytest.raises(ArchiveError, match="no-such-client is not installed"):
            run_command(["no-such-client"], tmp_path)

    def test_a_client_that_hangs(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)
        with pytest.raises(ArchiveError, match="took longer"):
            run_command([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path)
