from __future__ import annotations

import io
import keyword
import random
import re
import tokenize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pttrust_lightning.source.languages import LANGUAGES, fingerprint, normalised_tokens, parse, parse_tolerant
from pttrust_lightning.source.languages.tokens import MIN_TOKENS

PROPERTY = settings(deadline=None, derandomize=True, max_examples=40)

# A word with a capital is a name.
PROGRAMS = {
    "python": """\
def Fab(Xs):
    Tot = f"a{Xs!r}" + "b"
    for It in Xs:
        Tot += It * 2.5
    return Tot
""",
    "java": """\
class Cla {
  int Fab(Typ Xs) {
    String Tot = "a\\n" + 1;
    return Xs.Len() > 0 ? Tot : Xs;
  }
}
""",
    "javascript": """\
export const Fab = async (Xs, { Key }) => {
  const Tot = `a${Xs}b`;
  return Xs?.Len(Tot) ?? <Ele/>;
};
""",
    "typescript": """\
function Fab<Typ>(Xs: Typ[]): number {
  let Tot: Oth = 'a';
  return Xs.Len - 1;
}
""",
    "c": """\
#define Mac 1
static Typ *Fab(int Xs)
{
  char *Tot = "a";
  return Xs->Len + Mac;
}
""",
    "cpp": """\
namespace Nam {
template <class Typ> int Fab(Typ& Xs) {
  auto Tot = R"(a)";
  return Xs.Len() + 1'000;
}
}
""",
    "go": """\
package Pac

func (Rec *Typ) Fab(Xs int) int {
\tTot := `a`
\treturn Rec.Len(Tot) + 'c'
}
""",
    "rust": """\
impl Typ {
    fn Fab<'Lif>(Xs: &'Lif Oth) -> u8 {
        let Tot = "a";
        Xs.Len(Tot) + 1u8
    }
}
""",
}
LITERALS = {'"a': '"zz', "`a": "`zz", "'a'": "''", "(a)": "(\n(zz)", "2.5": "7", "1'000": "2", "1u8": "3", "'c'": "'d'"}
COMMENTS = {"python": ["# c", "#"], "rust": ["// c", "/* a /* b */ c */", "/* a\n b */"]}
C_COMMENTS = ["// c", "/* c */", "/* a\n\n b */"]
NAMES = re.compile(r"\b[A-Z][a-z]+\b")


def renamed(code: str, language: str, rng: random.Random) -> str:
    """The program with other names, all different, and with layout and comments of its own."""
    names = sorted(set(NAMES.findall(code)))
    fresh = rng.sample([f"{letter}{number}_" for letter in "abcxyzQR" for number in range(9)], len(names))
    code = NAMES.sub(lambda match: dict(zip(names, fresh, strict=True))[match.group()], code)
    lines = []
    for line in code.split("\n"):
        for _ in range(rng.randrange(3)):
            lines.append(rng.choice(["", "   ", *COMMENTS.get(language, C_COMMENTS)]))
        lines.append(line if language in ("python", "c") else line.lstrip() if rng.random() < 0.5 else "\t" + line)
    return rng.choice(["\n", "\r\n"]).join(lines)


def test_the_examples_parse_in_every_language():
    assert set(PROGRAMS) == set(LANGUAGES)
    for language, code in PROGRAMS.items():
        assert parse(code, language) is not None, language
        assert NAMES.search(code)


@pytest.mark.parametrize("language", LANGUAGES)
@PROPERTY
@given(seed=st.integers(0, 10**6))
def test_names_layout_and_comments_do_not_matter(language, seed):
    code = PROGRAMS[language]
    other = renamed(code, language, random.Random(seed))
    assert normalised_tokens(other, language) == normalised_tokens(code, language)
    assert fingerprint(code * 5, language) == fingerprint(other * 5, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_literals_do_not_matter_and_all_else_does(language):
    code = PROGRAMS[language]
    tokens = normalised_tokens(code, language)
    for literal, other in LITERALS.items():
        assert normalised_tokens(code.replace(literal, other), language) == tokens
    for before, after in (("return", "break"), ("(", "((1)+"), ("=", "!="), ("Xs", "Tot"), ("Fab", "Fab = Fab")):
        if before in code:
            assert normalised_tokens(code.replace(before, after, 1), language) != tokens, (before, after)


@pytest.mark.parametrize(
    ("language", "code", "tokens"),
    [
        ("python", "if a:\n    b\nc", "if <name 0> : <indent> <name 1> <dedent> <name 2>"),
        ("python", "if a:\n    b\n    c", "if <name 0> : <indent> <name 1> <name 2> <dedent>"),
        (
            "python",
            'def f():\n    """Doc."""\n    x = """a\nb"""',
            "def <name 0> ( ) : <indent> <name 1> = <string> <dedent>",
        ),
        ("python", "f'{a}{b:{c}}'", "<string> { <name 0> } { <name 1> : { <name 2> } }"),
        ("java", "a.b(a, 'c', 0x1F);", "<name 0> . <name 1> ( <name 0> , <string> , <number> ) ;"),
        ("javascript", "x = /a+/g", "<name 0> = <string>"),
        ("javascript", "`a${b}`", "<string> ${ <name 0> }"),
        ("javascript", "<p>a\n  b {c}</p>", "< <name 0> > a b { <name 1> } </ <name 0> >"),
        ("c", "#include <a.h>\n#define F(x) \\\n  (x + 1)\n", "#include <a.h> #define <name 0> ( <name 1> ) (x + 1)"),
        ("go", "_, x := f()\n", "<name 0> , <name 1> := <name 2> ( )"),
        ("rust", "loop { break 'a; }", "loop { break ' <name 0> ; }"),
        ("kotlin", "val  x =\n1 // c", "val x = 1 / / c"),
        ("python", "", ""),
    ],
)
def test_tokens(language, code, tokens):
    assert normalised_tokens(code, language) == tuple(t.replace("\0", " ") for t in joined(tokens))


def joined(tokens: str) -> list[str]:
    """``<name 0>`` is one token, and so are a macro's text and text of JSX."""
    return re.findall(r"<name \d+>|<[a-z.]+>|\(x \+ 1\)|a b(?= \{)|\S+", tokens)


def test_short_programs_keep_their_names_and_literals():
    short, long = "def f(a):\n    return a + 1\n", "def f(a):\n" + "    a = g(a, 1)\n" * 10
    assert len(normalised_tokens(short, "python")) < MIN_TOKENS <= len(normalised_tokens(long, "python"))
    assert fingerprint(short, "python") == fingerprint("def f( a ):  # c\n  return a+1", "python")
    assert fingerprint(short, "python") != fingerprint(short.replace("1", "2"), "python")
    assert fingerprint(short, "python") != fingerprint(short.replace("a", "b"), "python")
    assert fingerprint(long, "python") == fingerprint(long.replace("1", "2").replace("a", "b"), "python")
    assert fingerprint(long, "python") != fingerprint(long, "ruby")


UNLIKE = re.compile(r"\"\"\"|'''|\b[rR]?[fF][rR]?[\"']|:[^\n]*\b(return|pass|raise|yield)\b|print|\n *[\"']")


def reference(code: str) -> tuple[str, ...]:
    """By Python's tokenizer, without docstrings; statements end nowhere, blocks do."""
    tokens, names = [], {}
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER):
            continue
        if token.type in (tokenize.INDENT, tokenize.DEDENT):
            tokens.append(tokenize.tok_name[token.type])
        elif token.type == tokenize.NAME and not keyword.iskeyword(token.string):
            tokens.append(str(names.setdefault(token.string, len(names))))
        elif token.type in (tokenize.STRING, tokenize.NUMBER):
            tokens.append(tokenize.tok_name[token.type])
        else:
            tokens.append(token.string)
    return tuple(tokens)


def test_the_same_python_functions_are_copies_as_by_its_own_tokenizer(library_functions):
    """Of those without docstrings, f-strings and blocks on one line, which the two tokenizers see in two ways."""
    codes = [program.code for program in library_functions[:3000] if not UNLIKE.search(program.code)]
    ours = [normalised_tokens(code, "python") for code in codes]
    theirs = [reference(code) for code in codes]
    assert len(codes) > 500
    assert len(set(ours)) == len(set(theirs)) == len(set(zip(ours, theirs, strict=True))) < len(codes)


def test_broken_text_has_a_tree_and_is_read_by_the_grammar_that_it_breaks_least():
    assert parse("def f(:", "python") is None
    assert parse_tolerant("def f(:", "python").root_node.has_error
    assert parse_tolerant("x", "kotlin") is None
    jsx = "const a = <div>{/* c */}<p>x</p></div>; )"
    assert parse(jsx, "typescript") is None
    assert "jsx_element" in str(parse_tolerant(jsx, "typescript").root_node)
    assert "jsx" not in str(parse_tolerant("const a = <T>x; )", "typescript").root_node)
