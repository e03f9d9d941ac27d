"""How a problem's tests are run, by language: which files, which command, which tools.

What a problem's ``test`` is:

- ``python``: statements that run after the program in its namespace; functions ``test*`` as pytest calls them (with
  ``parametrize``, ``approx``, ``raises`` and ``skip``, without fixtures); ``unittest.TestCase`` classes (without class
  fixtures); ``check(candidate)`` as in HumanEval. The standard library is there, other packages are not.
- ``java``: a class ``Main`` whose ``main`` throws; it follows the program in one file, under the program's imports.
- ``javascript``: statements that throw, or whose ``console.assert`` fails, in one CommonJS module with the program.
- ``cpp``: a ``main`` that follows the program and ends by ``assert``, an exception or a status other than 0.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pttrust_lightning.errors import SourceError, ToolchainError
from pttrust_lightning.labelling.problems import Problem, Verdict, is_inside
from pttrust_lightning.labelling.runners import runner_text
from pttrust_lightning.labelling.sandbox import Completed, Limits, Sandbox

OUTPUT_CHARACTERS = 2000
"""How much of the end of a program's output is kept."""

XCPU = 24
"""The number of SIGXCPU on Linux, which a process gets at its limit of CPU time."""

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # it will be shown on a terminal, which obeys them

Layout = Callable[[Problem, str], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Suite:
    """How tests of one language run.

    Attributes:
        language: The language's name in problems.
        tools: Commands that must be in the sandbox.
        command: A shell command; ``$1`` is the problem's entry point, ``$2`` megabytes of memory for the engine's heap.
        layout: The files of a problem and a program's text.
        passing: A program that its own test finds correct, to try the toolchain with.
        failing: One that its own test finds wrong.
        install: How to get the tools, for the message.
    """

    language: str
    tools: tuple[str, ...]
    command: str
    layout: Layout
    passing: Problem
    failing: Problem
    install: str

    def toolchain(self, sandbox: Sandbox, limits: Limits) -> str:
        """Try the tools in the sandbox; returns their versions.

        Raises:
            ToolchainError: A tool is missing, or the verdict on a trivial program is not the known one.
            SandboxError: The sandbox failed.
        """
        for tool in self.tools:
            if sandbox.run(["/bin/sh", "-c", 'command -v "$0"', tool], {}, limits).exit_status != 0:
                raise ToolchainError(
                    f"{self.language} tests need '{tool}', which the sandbox {sandbox.name} does not show. "
                    f"{self.install}; a toolchain outside /usr is shown by naming its folder as readable."
                )
        for example, expected in ((self.passing, "correct"), (self.failing, "wrong")):
            outcome = run_program(example, example.prompt, sandbox, limits)
            if outcome.verdict != expected:
                raise ToolchainError(
                    f"The {self.language} tools do not work in the sandbox {sandbox.name}: a program known to be "
                    f"{expected} is {outcome.verdict} ({outcome.detail}). Raise the limits, or mend the tools. They "
                    f"said: {outcome.output[-500:]}"
                )
        script = " && ".join(f"{tool} --version | head -n 1" for tool in self.tools)
        return sandbox.run(["/bin/sh", "-c", script], {}, limits).output.decode("utf-8", "replace").strip()


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict, without the candidate that it is on; fields as in :class:`TestRun`."""

    verdict: Verdict
    detail: str
    seconds: float
    output: str


def suite_for(problem: Problem) -> Suite:
    """The suite for a problem's language.

    Raises:
        SourceError: Tests in that language cannot be run.
    """
    if problem.language not in SUITES:
        raise SourceError(
            f"{problem.origin or 'A problem'}: tests of '{problem.id}' are in '{problem.language}', and only those in "
            f"{', '.join(SUITES)} can be run. Leave such problems out."
        )
    return SUITES[problem.language]


def suite_files(problem: Problem, program: str) -> dict[str, str]:
    """All files of a run by name: the problem's own, the program, its test and the runner.

    Raises:
        SourceError: One of the problem's own has a name that is taken, or that leaves the folder.
    """
    files = dict(suite_for(problem).layout(problem, program))
    for name, text in problem.files.items():
        if name in files or not is_inside(name):
            raise SourceError(f"{problem.origin or problem.id}: no file can have the name {name!r} here. Rename it.")
        files[name] = text
    return files


def run_program(problem: Problem, program: str, sandbox: Sandbox, limits: Limits) -> Outcome:
    """Run a problem's tests on the text of a whole program.

    Raises:
        SourceError: The tests themselves cannot be run, or the language is not supported.
        SandboxError: The sandbox failed; nothing is said on the program.
    """
    if not problem.test.strip():
        raise SourceError(f"{problem.origin or 'A problem'}: '{problem.id}' has no test. Add one, or leave it out.")
    secret = secrets.token_hex(16)
    heap = str(limits.memory_bytes // 2**21)  # half of all, in megabytes: engines need as much again beside their heap
    command = ["/bin/sh", "-c", suite_for(problem).command, "sh", problem.entry_point, heap]
    completed = sandbox.run(command, suite_files(problem, program), limits, stdin=f"{secret}\n".encode())
    verdict, detail = judge(completed, secret)
    if detail.startswith("unrunnable test"):
        raise SourceError(
            f"{problem.origin or 'A problem'}: the test of '{problem.id}' cannot be run ({detail.partition(': ')[2]}). "
            "Mend it, or leave the problem out."
        )
    output = completed.output.decode("utf-8", "replace")
    shown = "\n".join(line for line in output.split("\n") if secret not in line).strip()
    return Outcome(verdict, detail, completed.seconds, _UNPRINTABLE.sub("\ufffd", shown[-OUTPUT_CHARACTERS:]))


def judge(completed: Completed, secret: str) -> tuple[Verdict, str]:
    """Verdict and detail of a run whose runner reports by lines ``<secret> <outcome>``."""
    if completed.stopped in ("wall limit", "CPU limit"):
        return "timeout", completed.stopped
    if completed.stopped:
        return "crashed", completed.stopped
    if completed.signal == XCPU:
        return "timeout", "CPU limit"
    if completed.signal is not None:
        return "crashed", f"killed by signal {completed.signal}"
    start = f"{secret} "
    lines = completed.output.decode("utf-8", "replace").split("\n")
    outcomes = [line.removeprefix(start) for line in lines if line.startswith(start)]
    if not outcomes:
        return "wrong", f"ended before the tests did, exit status {completed.exit_status}"
    failed = next((outcome for outcome in outcomes if outcome != "passed"), None)  # a forked program reports twice
    if failed == "memory limit":
        return "crashed", failed
    return ("correct", "passed") if failed is None else ("wrong", failed)


def _python(problem: Problem, program: str) -> dict[str, str]:
    return {
        "candidate_program.py": program,
        "candidate_test.py": problem.test,
        "run_python.py": runner_text("run_python.py"),
        "pytest.py": runner_text("pytest_stand_in.py"),
    }


def _one_file(name: str, runner: str) -> Layout:
    return lambda problem, program: {name: f"{program}\n{problem.test}", runner: runner_text(runner)}


def _example(language: str, program: str, test: str) -> Problem:
    return Problem(id=f"{language} example", language=language, prompt=program, test=test)


_SUITES = (
    Suite(
        language="python",
        tools=("python3",),
        # The order of sets of strings is part of a verdict, so it is fixed. -S: the standard library and nothing else.
        command='PYTHONHASHSEED=0 exec python3 -s -S -B run_python.py "$1"',
        layout=_python,
        passing=_example("python", "def one():\n    return 1\n", "assert one() == 1\n"),
        failing=_example("python", "def one():\n    return 2\n", "assert one() == 1\n"),
        install="Install Python 3.10 or later (Debian: apt-get install python3)",
    ),
    Suite(
        language="java",
        tools=("java", "javac"),
        command='exec java -Xmx"$2"m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData RunJava.java',
        layout=_one_file("Main.java", "RunJava.java"),
        passing=_example(
            "java",
            "class One { static int one() { return 1; } }",
            "class Main { public static void main(String[] a) { if (One.one() != 1) throw new AssertionError(); } }",
        ),
        failing=_example(
            "java",
            "class One { static int one() { return 2; } }",
            "class Main { public static void main(String[] a) { if (One.one() != 1) throw new AssertionError(); } }",
        ),
        install="Install a JDK, 11 or later (Debian: apt-get install default-jdk-headless)",
    ),
    Suite(
        language="javascript",
        tools=("node",),
        command='exec node --random-seed=1 --max-old-space-size="$2" run_javascript.js',
        layout=_one_file("candidate.js", "run_javascript.js"),
        passing=_example("javascript", "const one = () => 1;", "console.assert(one() === 1);"),
        failing=_example("javascript", "const one = () => 2;", "console.assert(one() === 1);"),
        install="Install Node.js, 16 or later (Debian: apt-get install nodejs)",
    ),
    Suite(
        language="cpp",
        tools=("g++",),
        command=(
            "g++ -std=c++17 -O1 -w -x c++ candidate.cpp run_cpp.cpp -Wl,--wrap=main -o candidate </dev/null"
            ' || { read -r secret; printf "\\n%s does not compile\\n" "$secret"; exit 0; }; exec ./candidate'
        ),
        layout=_one_file("candidate.cpp", "run_cpp.cpp"),
        passing=_example("cpp", "int one() { return 1; }", "#include <cassert>\nint main() { assert(one() == 1); }"),
        failing=_example("cpp", "int one() { return 2; }", "#include <cassert>\nint main() { assert(one() == 1); }"),
        install="Install GCC (Debian: apt-get install g++)",
    ),
)

SUITES: dict[str, Suite] = {suite.language: suite for suite in _SUITES}
"""The languages whose tests can be run."""
