from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest
from mutant_checks import SAMPLES, check_bug, check_code, sample

from pttrust_lightning.source.languages import LANGUAGES, SUFFIXES, language_of, parse
from pttrust_lightning.source.mutation.implant import candidate_mutants, implant_bugs
from pttrust_lightning.source.mutation.mutants import make_mutants
from pttrust_lightning.source.mutation.operators import SEMANTIC_OPERATORS
from pttrust_lightning.source.mutation.outside_lines import OutsideLines
from pttrust_lightning.types import Program

each_sample = pytest.mark.parametrize("file", SAMPLES, ids=[file.name for file in SAMPLES])


def test_there_is_a_sample_of_each_language():
    assert sorted(map(str, map(language_of, SAMPLES))) == sorted(LANGUAGES)


@each_sample
def test_every_candidate_and_a_thousand_draws(file):
    program = sample(file)
    bugs = list(candidate_mutants(program))
    assert len(bugs) > 200
    for bug in bugs:
        check_bug(program, bug)
    assert {bug.mutation.operator for bug in bugs} == set(SEMANTIC_OPERATORS)
    assert len({(bug.program.code, bug.mutation.operator) for bug in bugs}) == len(bugs)
    drawn = [bug for seed in range(10) for bug in implant_bugs(program, seed, count=100)]
    assert len(drawn) == 1000 and set(drawn) <= set(bugs)


@each_sample
def test_comments_and_what_is_never_edited_stay(file):
    program = sample(file)
    kept = ("ade for the mutation tests", "ever more than fits", "bad ", "nothing found")
    lines = [line for line in program.code.split("\n") if any(words in line for words in kept)]
    assert len(lines) >= 3
    for bug in candidate_mutants(program):
        found = bug.program.code.split("\n")
        gone = [line for line in lines if line not in found]
        assert not gone or bug.mutation.after == "", (bug.mutation, gone)


@each_sample
def test_semantic_mutants_with_several_edits_parse(file):
    program = sample(file)
    outside = OutsideLines.of([program])
    n_edits = 0
    for seed in range(5):
        (group,) = make_mutants([program], outside, SEMANTIC_OPERATORS, (0.15, 0.5, 1.0), seed)
        assert len(group.mutants) == 3
        for mutant in group.mutants:
            check_code(program, mutant.program.code)
            n_edits += len(mutant.mutations)
            for pair in mutant.pairs:
                assert program.code.split("\n")[pair.original_line].strip()
                assert mutant.program.code.split("\n")[pair.mutant_line].strip()
    assert n_edits > 15 * 15


def test_draws_depend_on_seed_and_program_alone():
    program = sample(SAMPLES[0])
    first = implant_bugs(program, 3, 20)
    assert implant_bugs(program, 3, 20) == first
    assert implant_bugs(program, 3, 5) == first[:5]
    assert implant_bugs(program, 4, 20) != first


def test_weights_decide_how_often_an_operator_is_drawn():
    weights = {"wrong_constant": 3.0, "wrong_variable": 1.0}
    drawn: Counter[str] = Counter()
    program = sample(next(file for file in SAMPLES if file.suffix == ".py"))
    for seed in range(200):
        (bug,) = implant_bugs(program, seed, 1, weights)
        drawn[bug.mutation.operator] += 1
    assert abs(drawn["wrong_constant"] - 150) < 31  # a standard deviation of 6
    assert implant_bugs(program, 0, 9, weights) == implant_bugs(program, 0, 9, dict(reversed(weights.items())))


def test_functions_of_the_standard_library(library_functions):
    operators: Counter[str] = Counter()
    mutated = 0
    rng = random.Random(0)
    for program in rng.sample(library_functions, 400):
        bugs = implant_bugs(program, seed=0, count=3)
        mutated += bool(bugs)
        assert len({bug.program.code for bug in bugs}) == len({bug.program.id for bug in bugs}) == len(bugs)
        for bug in bugs:
            check_bug(program, bug)
            operators[bug.mutation.operator] += 1
        if rng.random() < 0.02:
            for bug in candidate_mutants(program):
                check_bug(program, bug)
    assert mutated > 350
    assert set(operators) == set(SEMANTIC_OPERATORS)
    assert sum(operators.values()) > 1000


def test_a_real_file():
    file = Path(random.__file__)
    program = Program(file.name, file.read_text(encoding="utf-8"), "python")
    bugs = implant_bugs(program, seed=0, count=20)
    assert len(bugs) == 20
    for bug in bugs:
        check_bug(program, bug)


@pytest.mark.parametrize("code", ["x = = 1", "", "# only\n", "def f(:\n    return a < b\n"])
def test_nothing_to_edit(code):
    assert list(candidate_mutants(Program("p", code, "python"))) == []
    assert list(candidate_mutants(Program("p", "def f(a):\n    return a < 1\n", "cobol"))) == []


USUAL_PLACES = {
    "java": "/usr/share/java /usr/lib/jvm",
    "javascript": "/usr/lib/node_modules /usr/share/nodejs /usr/share/javascript",
    "typescript": "/usr/lib/node_modules /usr/share/nodejs",
    "c": "/usr/include /usr/src",
    "cpp": "/usr/include",
    "go": "/usr/share/go /usr/lib/go /usr/share/doc/git/contrib",
    "rust": "/usr/src/rustc /usr/lib/rustlib",
    "python": "/usr/lib/python3",
}


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_thousand_mutants_of_real_files(language):
    """PTTRUST_SOURCES_<LANGUAGE> names a folder of real files, in place of where Debian and npm leave some."""
    variable = f"PTTRUST_SOURCES_{language.upper()}"
    folders = os.environ.get(variable, USUAL_PLACES[language]).split()
    files = sorted(
        file
        for folder in folders
        for suffix in SUFFIXES[language]
        for file in Path(folder).rglob(f"*{suffix}")
        if file.is_file() and 500 < file.stat().st_size < 40_000 and not file.name.endswith(".d.ts")
    )
    random.Random(0).shuffle(files)
    made: list[str] = []
    for file in files:
        code = file.read_bytes().decode("utf-8", "ignore")
        if parse(code, language) is None:
            continue
        program = Program(file.name, code, language)
        for bug in implant_bugs(program, seed=0, count=20):
            check_bug(program, bug)
            made.append(bug.mutation.operator)
        if len(made) >= 1000:
            break
    if len(made) < 1000 and variable not in os.environ:
        pytest.skip(f"{len(made)} mutants, all right, are all that {' '.join(folders)} gives; name more in {variable}")
    print(language, len(made), dict(Counter(made)))
    assert len(made) >= 1000 and set(made) == set(SEMANTIC_OPERATORS)


def test_the_checks_can_fail():
    program = Program("p", "def f(a):  # why\n    return a < 1\n", "python")
    with pytest.raises(AssertionError):
        check_code(program, program.code.replace("why", "because").replace(" < ", "<"))
    with pytest.raises(AssertionError, match="does not parse"):
        check_code(program, program.code.replace("<", ""))
    (bug, *_) = candidate_mutants(program)
    with pytest.raises(AssertionError):
        check_bug(program, bug._replace(wrong_lines=(0,)))
