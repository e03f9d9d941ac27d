from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pttrust_lightning.source import StandardLibrary
from pttrust_lightning.source.labelled import DebugBench
from pttrust_lightning.source.languages import LANGUAGES, LINE_KINDS, could_be_wrong, line_kinds
from pttrust_lightning.source.lines import is_blank, split_lines
from pttrust_lightning.types import Exclusions

PROPERTY = settings(deadline=None, derandomize=True, max_examples=60)

# One letter a line: b(lank), c(omment), p(unctuation), code is x.
CASES = {
    "python": [
        ('#!/usr/bin/env python\n"""Doc.\n\n# no comment, but a docstring\n"""\n', "ccbcc"),
        ('def f(\n    x,  # c\n):\n    """Doc."""\n    return {\n        1: 2,\n    }  # c\n', "xxpcxxp"),
        ('x = """\n# text\n\n)"""\n', "xxbx"),
        ("f'{x}'\n'never read'\n", "xc"),
        ("class A:\n    a = 1\n    'of a'\n", "xxc"),
        ("    return x\n    # c\n", "xc"),  # a body without its signature
        ("def f(:\n  # c\n)\n  '''\n", "xcpx"),
        ("...\n\\\n\x0c\n", "xxb"),
    ],
    "java": [
        ("/** Doc.\n *\n * more */\n@Override\nint f() { // c\n  }\n}\n", "cccxxpp"),
        ('/* c */ ;\nString s = """\n  // text\n  }\n  """;\n', "pxxxx"),
        ("/*\r\n\r\n*/\r\nint x;\r\n", "cbcx"),
        ("// ü\u2028x\nint ü;\n", "cx"),
    ],
    "javascript": [
        ("#!/usr/bin/env node\n'use strict';\n// c\nf(() => {\n});\n", "cxcxp"),
        ("const a = (\n  <div>\n    {/* c */}\n    text }\n  </div>\n);\n", "xxcxxp"),
        ("const a = <b\n  x={1}\n/>;\n", "xxp"),
        ("const s = `\n// text\n${\n  x // c\n}`;\n", "xxxxx"),
        ("const r = /[/]*/;\nreturn [\n]\n", "xxp"),
    ],
    "typescript": [
        ("type A = {\n  // c\n  a: B<\n    C\n  >;\n};\n", "xcxxpp"),
        ("const a = <T,>(x: T) => <p>\n  {/* c */}\n</p>;\n", "xcx"),
        ("abstract class A {\n  @dec() // c\n}\n", "xxp"),
    ],
    "c": [
        ("/* c\n   c */\n#define F(x) \\\n  (x)\n#if 0\n#endif\n", "ccxxxx"),
        ('int f(void)\n{\n  char *s = "\\\n}";\n  return a > b;\n};\n', "xpxxxp"),
        ("// c \\\n  still a comment\nint x;\n", "ccx"),
    ],
    "cpp": [
        ('auto s = R"(\n// text\n)";\ntemplate <\n  class T\n>\nint f();\n', "xxxxxpx"),
        ("namespace a {\n}  // namespace a\n", "xp"),
        (" public:\n  int x;\n};\n", "xxp"),
    ],
    "go": [
        ('// c\npackage a\n\nimport (\n\t"b"\n)\n', "cxbxxp"),
        ("var s = `\n// text\n\n`\nfunc f() {\n\t/* c */ }\n", "xxbxxp"),
    ],
    "rust": [
        ("//! inner\n/// doc\n#[inline]\nfn f() {}\n", "ccxx"),
        ('/* a /* b\n*/ c\n*/\nlet s = r#"\n// text\n"#;\n', "cccxxx"),
        ("match x {\n    _ => {}\n}\n", "xxp"),
    ],
    "kotlin": [("// nothing is known of comments\n\n});\nval x = 1\n", "xbpx")],
}
LETTERS = {"blank": "b", "comment": "c", "punctuation": "p", "code": "x"}


@pytest.mark.parametrize(("language", "code", "kinds"), [(n, *case) for n, cases in CASES.items() for case in cases])
def test_kinds(language, code, kinds):
    found = "".join(LETTERS[kind] for kind in line_kinds(code, language))
    assert found == kinds, "\n".join(f"{k} {line.text}" for k, line in zip(found, split_lines(code), strict=True))


SIGNS = 'x if ( ) { } [ " \' """ ` ${ // /* */ # <!-- <a> </a> r#" \\ ; , : = 1 é \0'
SPACES = ("\n", "\r\n", "\r", " ", "\t", "\u2028", "\x0c", "\xa0")
PIECES = st.sampled_from([*SIGNS.split(" "), *SPACES, "\U0001d4b3"])


@PROPERTY
@given(st.lists(PIECES, max_size=30).map("".join), st.sampled_from([*LANGUAGES, "kotlin"]))
def test_every_line_of_any_text_has_one_kind_and_blank_is_white_space(code, language):
    kinds, lines = line_kinds(code, language), split_lines(code)
    assert len(kinds) == len(lines)
    assert set(kinds) <= set(LINE_KINDS)
    assert [kind == "blank" for kind in kinds] == [is_blank(line.text) for line in lines]


def reference_kinds(code: str) -> list[str]:
    """By Python's own tokenizer and parser."""
    lines = code.split("\n")[: code.count("\n") + (not code.endswith("\n"))]
    statements = {
        number
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for number in range(node.lineno, node.end_lineno + 1)
    }
    comments, signs, rest = set(), set(), set()
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        covered = range(token.start[0], token.end[0] + 1)
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.start[0] in statements):
            comments |= set(covered)
        elif token.type == tokenize.OP and token.string in "()[]{};,:":
            signs |= set(covered)
        elif token.type not in (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
            rest |= set(covered)
    kinds = []
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            kinds.append("blank")
        elif number in rest or number not in comments | signs:
            kinds.append("code")
        else:
            kinds.append("punctuation" if number in signs else "comment")
    return kinds


def test_python_agrees_with_its_own_tokenizer():
    programs = list(StandardLibrary(unit="file", limit=40, max_lines=1500).programs(Exclusions()))
    assert len(programs) == 40
    for program in programs:
        code = program.code.replace("\r\n", "\n")
        assert line_kinds(code, "python") == reference_kinds(code), program.id


def test_real_java_and_cpp(shared_data: Path):
    """Lines that begin with ``//`` are comments in nearly all programs, and no others are where there is no ``*``."""
    snippets = DebugBench(str(shared_data / "debugbench"), languages=["java", "cpp"]).snippets(Exclusions())
    checked = 0
    for snippet in snippets:
        if "/*" in snippet.code or '"' in snippet.code:
            continue
        for line, kind in zip(split_lines(snippet.code), line_kinds(snippet.code, snippet.language), strict=True):
            text = line.text.strip()
            checked += kind == "comment"
            assert (kind == "comment") == text.startswith("//"), (snippet.id, line)
            if kind in ("punctuation", "code"):
                assert (kind == "code") == bool(text.split("//")[0].strip("()[]{};,: "))
    assert checked > 100


# One letter a line: y(es, it could be wrong), n(o).
POSSIBLE = {
    "python": (
        'if x:\n    """Doc."""\n\n    y = 1  # 1\nelse:  # 2\n    # c\n    pass\n    else_ = 2\n',
        "ynnynnyy",
    ),
    "python ": ('for x in y:\n  break\nelse :\n  s = """\n  else:\n  """\nx = 1 if y else 2\n', "yynyyyy"),
    "java": ("if (a) {\n// c\n} else {\n}\nelse if (b) {\n} else { // d\n  else_();\n});\n", "ynnyynyy"),
    "go": ("if a {\n} else if b {\n} else {\n\tc()\n}\n", "yynyy"),
    "rust": ("let x = if a {\n1\n} else {\n2\n};\n", "yynyy"),
}


@pytest.mark.parametrize("name", POSSIBLE)
def test_which_lines_could_be_wrong(name):
    code, letters = POSSIBLE[name]
    assert "".join("y" if possible else "n" for possible in could_be_wrong(code, name.strip())) == letters


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@PROPERTY
@given(code=st.text(alphabet="else:{} \n#/*'\"x=", max_size=40))
def test_there_is_an_answer_for_every_line(language, code):
    possible, kinds = could_be_wrong(code, language), line_kinds(code, language)
    assert len(possible) == len(kinds)
    assert not any(p for p, kind in zip(possible, kinds, strict=True) if kind in ("blank", "comment"))
