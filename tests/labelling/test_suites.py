"""What counts as correct, wrong, timed out and crashed, by language."""

from __future__ import annotations

import pytest

from pttrust_lightning.errors import SandboxError, SourceError, ToolchainError
from pttrust_lightning.labelling.problems import Problem
from pttrust_lightning.labelling.sandbox import Bubblewrap, Completed, Limits, Unsafe
from pttrust_lightning.labelling.suites import SUITES, Outcome, judge, run_program

MB = 2**20
LIMITS = Limits(wall_seconds=20, cpu_seconds=4, memory_bytes=512 * MB)
SECRET = "5ec2e7"


@pytest.fixture
def outcome(sandbox, toolchain):
    def run(language: str, program: str, test: str, entry_point: str = "", limits: Limits = LIMITS, **more) -> Outcome:
        toolchain(language)
        problem = Problem("p", language, "", test, entry_point=entry_point, **more)
        return run_program(problem, program, sandbox, limits)

    return run


def verdict(outcome: Outcome) -> tuple[str, str]:
    return outcome.verdict, outcome.detail


JAVA_TEST = """public class Main { public static void main(String[] args) throws Exception {
    if (new Solution().one() != 1) throw new AssertionError(); } }"""
JAVA = "import java.util.*;\nclass Solution {{ int one() throws Exception {{ {} }} }}"
CPP_TEST = "#undef NDEBUG\n#include <cassert>\nint main() { assert(one() == 1); }"
CPP = "#include <cstdlib>\n#include <vector>\n#include <stdexcept>\nint one() {{ {} }}"
JS_TEST = "console.assert(one() === 1)"
JS = "const one = () => {{ {} }}"
PYTHON_TEST = "def check(one):\n    assert one() == 1\n"
UNITTEST = """
import unittest
class Cases(unittest.TestCase):
    def setUp(self):
        self.expected = {}
    def test_first(self):
        self.skipTest("not here")
    def test_one(self):
        self.assertEqual(one(), self.expected)
if __name__ == "__main__":
    unittest.main()
"""
PYTHON = "import os, sys\ndef one():\n    {}\n"


@pytest.mark.parametrize(
    ("language", "body", "expected"),
    [
        ("python", "return 1", ("correct", "passed")),
        ("python", "return 2", ("wrong", "assertion")),
        ("python", "return {}['x']", ("wrong", "exception: KeyError")),
        ("python", "return one()", ("wrong", "exception: RecursionError")),
        ("python", "return (", ("wrong", "does not compile")),
        ("python", "sys.exit(0)", ("wrong", "ended before the tests did")),
        ("python", "exit()", ("wrong", "ended before the tests did")),
        ("python", "os._exit(0)", ("wrong", "ended before the tests did, exit status 0")),
        ("python", "print('passed'); os._exit(0)", ("wrong", "ended before the tests did, exit status 0")),
        ("python", "os.kill(os.getpid(), 11)", ("crashed", "killed by signal 11")),
        ("python", "return len(bytearray(2**30))", ("crashed", "memory limit")),
        ("python", "input(); return 1", ("wrong", "exception: EOFError")),
        ("python", "os.close(1); os.close(2); return 1", ("correct", "passed")),
        ("python", "sys.stderr.close(); return 2", ("wrong", "assertion")),
        ("python", "sys.stdout = None; os._exit = os.write = None; return 1", ("correct", "passed")),
        ("java", "return 1;", ("correct", "passed")),
        ("java", "return 2;", ("wrong", "assertion")),
        ("java", "return List.of().size() / 0;", ("wrong", "exception: ArithmeticException")),
        ("java", "return one();", ("wrong", "exception: StackOverflowError")),
        ("java", "return;", ("wrong", "does not compile")),
        ("java", "System.exit(0); return 1;", ("wrong", "ended before the tests did, exit status 0")),
        ("java", "return new long[1 << 28].length;", ("crashed", "memory limit")),
        ("java", "return System.in.read() + 2;", ("correct", "passed")),
        ("javascript", "return 1", ("correct", "passed")),
        ("javascript", "return 2", ("wrong", "assertion")),
        ("javascript", "return x", ("wrong", "exception: ReferenceError")),
        ("javascript", "return one()", ("wrong", "exception: RangeError")),
        ("javascript", "return (", ("wrong", "does not compile")),
        ("javascript", "process.exit(0)", ("wrong", "ended before the tests did, exit status 0")),
        ("javascript", "throw 'x'", ("wrong", "exception: x")),
        ("javascript", "setImmediate(() => { throw new TypeError() }); return 1", ("wrong", "exception: TypeError")),
        ("javascript", "Promise.reject(new TypeError()); return 1", ("wrong", "exception: TypeError")),
        ("javascript", "return require('fs').readFileSync(0).length + 1", ("correct", "passed")),
        ("cpp", "return 1;", ("correct", "passed")),
        ("cpp", "return 2;", ("wrong", "assertion")),
        ("cpp", 'throw std::runtime_error("x");', ("wrong", "exception")),
        ("cpp", "return x;", ("wrong", "does not compile")),
        ("cpp", "std::exit(0);", ("wrong", "ended before the tests did, exit status 0")),
        ("cpp", "std::abort();", ("crashed", "killed by signal 6")),
        ("cpp", "return *(volatile int*)0;", ("crashed", "killed by signal 11")),
        ("cpp", "return std::vector<long>(1 << 28).size();", ("crashed", "memory limit")),
    ],
)
def test_verdict_on_one_function(outcome, language, body, expected):
    program, test = {
        "python": (PYTHON, PYTHON_TEST),
        "java": (JAVA, JAVA_TEST),
        "javascript": (JS, JS_TEST),
        "cpp": (CPP, CPP_TEST),
    }[language]
    assert verdict(outcome(language, program.format(body), test, "one")) == expected


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("assert one() == 1", ("correct", "passed")),
        ("assert one() == 2", ("wrong", "assertion")),
        # HumanEval's check is called once: by its file, or else for it
        ("def check(f):\n    assert f() == 2\ncheck(one)", ("wrong", "assertion")),
        ("def check(f):\n    assert f() == 2", ("wrong", "assertion")),
        (
            "def check(f):\n    calls.append(f())\n    assert calls == [1]\ncalls = []\ncheck(one)",
            ("correct", "passed"),
        ),
        # pytest's functions are called too
        ("def test_two():\n    assert one() == 2", ("wrong", "assertion")),
        (
            "import pytest\n@pytest.mark.parametrize('a,b', [(1, 1), (2, 1)])\ndef test(a, b):\n    assert a == b",
            ("wrong", "assertion"),
        ),
        (
            "import pytest\n@pytest.mark.parametrize('a', [1, 2])\n@pytest.mark.parametrize('b', [3, 4])\n"
            "def test(a, b):\n    seen.append((a, b))\nseen = []\n"
            "def test_all():\n    assert sorted(seen) == [(1, 3), (1, 4), (2, 3), (2, 4)]",
            ("correct", "passed"),
        ),
        (
            "import pytest\n@pytest.mark.slow\ndef test():\n    pytest.skip('slow')\n    assert False",
            ("correct", "passed"),
        ),
        ("import pytest\ndef test():\n    with pytest.raises(ValueError):\n        one()", ("wrong", "assertion")),
        ("import pytest\nassert one() == pytest.approx(1 + 1e-9)", ("correct", "passed")),
        (UNITTEST.format(1), ("correct", "passed")),
        (UNITTEST.format(2), ("wrong", "assertion")),
        ("import pytest\nassert [one()] == pytest.approx([1.1])", ("wrong", "assertion")),
    ],
)
def test_forms_of_python_tests(outcome, test, expected):
    assert verdict(outcome("python", "def one():\n    return 1\n", test, "one")) == expected


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (" \n", "'p' has no test"),
        ("import math\n'Tests.'\nlimit = 3\ndef helper():\n    assert 0", "tests nothing"),
        ("import unittest\nif __name__ == '__main__':\n    unittest.main()", "tests nothing"),
        ("def check(f:\n", "test of 'p' cannot be run .SyntaxError"),
        ("def check(f):\n    assert f()", "needs the problem's entry_point"),
        ("def test(tmp_path):\n    pass", "fixtures are not supported"),
    ],
)
def test_test_that_cannot_be_run_judges_nobody(outcome, test, message):
    with pytest.raises(SourceError, match=message):
        outcome("python", "one = 1\n", test)


def test_program_that_lacks_the_entry_point_is_wrong(outcome):
    assert verdict(outcome("python", "two = 2\n", PYTHON_TEST, "one")) == ("wrong", "exception: NameError")


def test_script_part_of_a_program_does_not_run(outcome):
    program = "def one():\n    return 1\nif __name__ == '__main__':\n    raise SystemExit(3)\n"
    assert outcome("python", program, PYTHON_TEST, "one").verdict == "correct"


def test_dataclass_and_future_import_work_as_in_a_module(outcome):
    program = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass One:\n    x: int\n"
    )
    assert outcome("python", program, "import pickle\nassert pickle.loads(pickle.dumps(One(1))) == One(1)").verdict == (
        "correct"
    )


def test_chance_is_the_same_in_every_run(outcome):
    program = "import random\nprint(random.random(), hash('x'), list({'a', 'b', 'c'}))"
    assert len({outcome("python", program, "assert 1").output for _ in range(3)}) == 1
    assert len({outcome("javascript", "console.log(Math.random())", ";").output for _ in range(3)}) == 1


def test_packages_of_this_machine_are_not_there(outcome):
    assert verdict(outcome("python", "import numpy", "assert 1")) == ("wrong", "exception: ModuleNotFoundError")


def test_files_of_a_problem_are_beside_the_program(outcome):
    files = {"helper.py": "ONE = 1\n", "data/x.txt": "é"}
    test = "import helper\nassert helper.ONE == 1 and open('data/x.txt', encoding='utf-8').read() == 'é'"
    assert outcome("python", "", test, files=files).verdict == "correct"


@pytest.mark.parametrize("name", ["candidate_test.py", "../x", "/x"])
def test_file_that_would_replace_another_is_refused(outcome, name):
    with pytest.raises(SourceError, match="Rename"):
        outcome("python", "", "assert 1", files={name: ""})


def test_end_of_the_output_is_kept_and_harmless_to_a_terminal(outcome):
    kept = outcome("python", "print('x' * 5000 + '\\x1b[2J' + 'end')", "assert 1").output
    assert kept.endswith("\ufffd[2Jend") and len(kept) == 2000


def test_output_flood_is_a_crash(outcome):
    flood = outcome("python", "print('x' * 10**6)", "assert 1", limits=Limits(output_bytes=1000))
    assert verdict(flood) == ("crashed", "output limit")


@pytest.mark.parametrize(("language", "program"), [("python", "while True: pass"), ("javascript", "for (;;) {}")])
def test_busy_loop_is_a_timeout(outcome, language, program):
    looped = outcome(language, program, ";" if language == "javascript" else "assert 1", limits=Limits(cpu_seconds=1))
    assert verdict(looped) == ("timeout", "CPU limit")


def test_sleeper_is_a_timeout(outcome):
    slept = outcome("python", "import time\ntime.sleep(8)", "assert 1", limits=Limits(wall_seconds=1))
    assert verdict(slept) == ("timeout", "wall limit")


def completed(output: str = "", exit_status=0, signal=None, stopped="") -> Completed:
    return Completed(exit_status, signal, stopped, output.encode(), 0.1)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (completed(f"x\n{SECRET} passed\n"), ("correct", "passed")),
        (completed("passed\n"), ("wrong", "ended before the tests did, exit status 0")),
        (completed(f"x{SECRET} passed\n"), ("wrong", "ended before the tests did, exit status 0")),
        (completed(f"{SECRET} passed\n{SECRET} assertion\n{SECRET} passed\n"), ("wrong", "assertion")),
        (completed(f"{SECRET} passed\n", None, 9), ("crashed", "killed by signal 9")),
        (completed(f"{SECRET} passed\n", None, None, "wall limit"), ("timeout", "wall limit")),
        (completed(f"{SECRET} assertion\n", None, None, "CPU limit"), ("timeout", "CPU limit")),
        (completed("", None, 24), ("timeout", "CPU limit")),
        (completed("", None, None, "memory limit"), ("crashed", "memory limit")),
        (completed(f"{SECRET} memory limit\n"), ("crashed", "memory limit")),
        (completed("", 3), ("wrong", "ended before the tests did, exit status 3")),
    ],
)
def test_judgement(run, expected):
    assert judge(run, SECRET) == expected


def test_unsafe_judges_alike_where_it_is_wanted(toolchain):
    toolchain("python")
    for body, expected in (("return 1", "correct"), ("return 2", "wrong"), ("os._exit(0)", "wrong")):
        problem = Problem("p", "python", "", PYTHON_TEST, entry_point="one")
        assert run_program(problem, PYTHON.format(body), Unsafe(), LIMITS).verdict == expected


def test_language_without_a_suite_is_named(sandbox):
    with pytest.raises(SourceError, match="tests of 'p' are in 'cobol', and only those in python, java"):
        run_program(Problem("p", "cobol", "", "t"), "", sandbox, LIMITS)


class Without(Bubblewrap):
    """A sandbox in which a command is not found, or does something else."""

    def __init__(self, tool: str, instead: str = "exit 1") -> None:
        super().__init__()
        self.tool, self.instead = tool, instead

    def run(self, command, files, limits, stdin=b""):
        if self.tool in command or self.tool in "".join(command):
            command = ["/bin/sh", "-c", self.instead]
        return super().run(command, files, limits, stdin)


def test_missing_tool_is_named_with_the_remedy(sandbox):
    with pytest.raises(ToolchainError, match=r"java tests need 'javac'.*bubblewrap.*apt-get install default-jdk"):
        SUITES["java"].toolchain(Without("javac"), LIMITS)


def test_tool_that_does_not_work_fails_the_run_instead_of_judging(sandbox, toolchain):
    toolchain("python")
    with pytest.raises(ToolchainError, match="a program known to be correct is wrong"):
        SUITES["python"].toolchain(Without("run_python.py", "echo broken"), LIMITS)
    assert issubclass(ToolchainError, SandboxError)


def test_limits_too_small_for_the_tools_fail_the_run(sandbox, toolchain):
    toolchain("javascript")
    with pytest.raises(ToolchainError, match=r"crashed.*Raise the limits"):
        SUITES["javascript"].toolchain(sandbox, Limits(memory_bytes=20 * MB))
