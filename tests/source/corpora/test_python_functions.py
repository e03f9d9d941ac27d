from __future__ import annotations

import ast
import textwrap

import pytest

from pttrust_lightning.source.corpora.python_functions import functions, parse_python
from pttrust_lightning.types import Exclusions, Program


def cut(code: str) -> tuple[dict[str, str], Exclusions]:
    exclusions = Exclusions()
    program = Program("m.py", code, "python", origin="m.py")
    return {found.id: found.code for found in functions(program, exclusions)}, exclusions


def test_functions_methods_and_what_belongs_to_them():
    found, exclusions = cut(
        textwrap.dedent(
            '''\
            import os

            @decorator
            @other(1)
            def f(x):
                def nested():
                    return 1
                return nested

            class A:
                class B:
                    @property
                    def g(self):
                        """Doc.

                        More.
                        """
                        return (1 +
                    2)  # less indented than the body

                async def h(self):
                    pass

            if os.name == "nt":
                def k(): return 1
            else:
                def k(): return 2

            try:
                import x
            except ImportError:
                def x(): pass
            '''
        )
    )
    assert list(found) == ["m.py::f", "m.py::A.B.g", "m.py::A.h", "m.py::k", "m.py::k@27", "m.py::x"]
    assert found["m.py::f"].startswith("@decorator\n@other(1)\ndef f(x):\n    def nested():\n")
    assert found["m.py::A.B.g"] == (
        '@property\ndef g(self):\n    """Doc.\n\n    More.\n    """\n'
        "    return (1 +\n2)  # less indented than the body\n"
    )
    assert found["m.py::k@27"] == "def k(): return 2\n"
    assert not exclusions.counts


@pytest.mark.parametrize(
    "string",
    ['"""a\n        b"""', "'''\n        x\n'''", 'f"""{self}\n        b"""', "'a\\\n        b'", 'rb"""\n        """'],
)
def test_methods_whose_strings_dedenting_would_change_are_left_out(string):
    code = f"class A:\n    def f(self):\n        return {string}\n\n    def g(self):\n        return 1\n"
    found, exclusions = cut(code)
    assert list(found) == ["m.py::A.g"]
    assert exclusions.counts == {"function that dedenting would change": 1}
    assert exclusions.examples["function that dedenting would change"] == ["m.py::A.f"]


def test_multiline_strings_of_top_level_functions_stay():
    code = 'def f():\n    return """a\n    b"""\n'
    assert cut(code)[0] == {"m.py::f": code}


def test_line_ends_and_missing_final_newline_stay():
    assert cut("class A:\r\n\tdef f(self):\r\n\t\treturn 1")[0] == {"m.py::A.f": "def f(self):\r\n\treturn 1"}


@pytest.mark.parametrize("code", ["def f(:\n", "x = 1\0", "(" * 5000, "x = 1\ry = 2\n", "\ufeffx = 1"])
def test_not_parseable(code):
    assert parse_python(code) is None
    assert cut(code)[1].counts == {"not parseable": 1}


def test_invalid_escapes_warn_nobody(recwarn):
    assert isinstance(parse_python(r"x = '\d'"), ast.Module)
    assert not recwarn.list


def test_line_numbers_agree_with_the_parser_after_form_feeds():
    code = "x = '\u2028'\n\x0c\ndef f():\n    return '\x85'\n"
    assert cut(code)[0] == {"m.py::f": "def f():\n    return '\x85'\n"}
