from __future__ import annotations

import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pttrust_lightning.errors import SourceError
from pttrust_lightning.source.corpora import FolderCorpus, JsonlCorpus
from pttrust_lightning.source.corpora.selection import CorpusDigest, corpus_sha256, select_groups
from pttrust_lightning.types import Exclusions, Program, ProgramGroup

PROGRAMS = st.lists(
    st.tuples(st.sampled_from(["", "a", "a\nb", "a\n\nb\nc"]), st.sampled_from(["python", "java"]))
).map(lambda items: [Program(f"p{i}", code, language) for i, (code, language) in enumerate(items)])


def select(programs, **options):
    exclusions = Exclusions()
    groups = select_groups(lambda _: map(ProgramGroup, programs), exclusions, source="here", **options)
    return [group.original for group in groups], exclusions


@given(
    programs=PROGRAMS,
    limit=st.none() | st.integers(1, 6),
    seed=st.integers(0, 3),
    bounds=st.sampled_from([(1, None), (2, 3), (1, 1)]),
)
def test_it_is_what_a_list_in_memory_would_give(programs, limit, seed, bounds):
    low, high = bounds
    usable, seen = [], set()
    for program in programs:
        n = len([line for line in program.code.split("\n") if line.strip()])
        if n >= low and (high is None or n <= high) and (program.language, program.code) not in seen:
            seen.add((program.language, program.code))
            usable.append(program)
    if not usable:
        with pytest.raises(SourceError, match="here gives no program"):
            select(programs, limit=limit, seed=seed, min_lines=low, max_lines=high)
        return
    expected = usable
    if limit is not None and limit < len(usable):
        drawn = set(random.Random(seed).sample(range(len(usable)), limit))
        expected = [program for i, program in enumerate(usable) if i in drawn]
    found, exclusions = select(programs, limit=limit, seed=seed, min_lines=low, max_lines=high)
    assert found == expected
    assert len(found) + exclusions.counts.total() == len(programs)


def test_programs_are_read_one_at_a_time():
    read = []

    def programs(_exclusions):
        for i in range(100):
            read.append(i)
            yield ProgramGroup(Program(f"p{i}", f"x = {i}\n", "python"))

    selected = select_groups(programs, Exclusions(), source="here")
    next(selected), next(selected)
    assert len(read) == 2


@given(programs=PROGRAMS)
def test_the_digest_of_a_stream_is_that_of_the_list(programs):
    digest = CorpusDigest()
    for program in programs:
        digest.add(program)
    assert digest.hexdigest() == corpus_sha256(programs)


def test_a_folders_fingerprint_changes_with_files_and_settings(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    first = FolderCorpus(str(tmp_path)).fingerprint()
    assert first == FolderCorpus(str(tmp_path)).fingerprint()
    assert first != FolderCorpus(str(tmp_path), limit=3).fingerprint()
    (tmp_path / "note.txt").write_text("no source")
    assert first == FolderCorpus(str(tmp_path)).fingerprint()
    os.utime(tmp_path / "a.py", (1, 1))
    touched = FolderCorpus(str(tmp_path)).fingerprint()
    assert touched != first
    (tmp_path / "b.py").write_text("y = 1\n")
    assert FolderCorpus(str(tmp_path)).fingerprint() not in (first, touched)


def test_a_records_file_has_a_fingerprint_and_a_missing_one_has_none(tmp_path):
    path = tmp_path / "a.jsonl"
    assert JsonlCorpus(str(path)).fingerprint() is None
    path.write_text('{"code": "x = 1"}\n')
    first = JsonlCorpus(str(path)).fingerprint()
    path.write_text('{"code": "x = 12"}\n')
    assert JsonlCorpus(str(path)).fingerprint() != first
