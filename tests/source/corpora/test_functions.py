from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pttrust_lightning.source import FolderCorpus
from pttrust_lightning.source.corpora.functions import functions
from pttrust_lightning.source.languages import LANGUAGES
from pttrust_lightning.source.languages.lexemes import lexemes
from pttrust_lightning.source.languages.tokens import tokens_of
from pttrust_lightning.types import Exclusions, Program


def cut(code: str, language: str) -> tuple[dict[str, str], dict[str, int]]:
    exclusions = Exclusions()
    programs = list(functions(Program("m", code, language, origin="m"), exclusions))
    assert all(p.language == language and p.origin == "m" and p.id.startswith("m::") for p in programs)
    found = {p.id.removeprefix("m::"): p.code for p in programs}
    assert len(found) == len(programs)
    return found, dict(exclusions.counts)


def dedent(code: str) -> str:
    return textwrap.dedent(code).lstrip("\n")


def test_java():
    code = dedent("""
        package a;

        // of the class
        class C<T> {
            int x; // of x
            /** Doc.
             *  more */
            @Override
            // c
            public int f(int y) {
                return new Object() {
                    int nested() { return 1; }
                }.nested();
            }
            // far

            C() { x = 1; }
            abstract int g();
            interface I { default void h() {} }
            int f() { return 2; }
        }
        enum E { A; void k() {} }
        record R(int a) { R { } }
    """)
    found, left_out = cut(code, "java")
    assert list(found) == ["C.f", "C.C", "C.I.h", "C.f@20", "E.k", "R.R"]
    assert found["C.f"] == dedent("""
        /** Doc.
         *  more */
        @Override
        // c
        public int f(int y) {
            return new Object() {
                int nested() { return 1; }
            }.nested();
        }
    """)
    assert found["C.C"] == "C() { x = 1; }\n"
    assert found["C.I.h"] == "default void h() {}\n"
    assert not left_out


def test_javascript():
    code = dedent("""
        const a = 1; // of a
        export const f = async (x) => {
          return x;
        };
        function* g() {}
        const b = 1, h = function () { return b; };
        export default function k() {}
        (function () {
          // of inner
          function inner() { function deeper() {} }
          exports.a.b = function (x) { return x; };
        })();
        class A extends B {
          get x() { return 1; }
          @dec static async #p() {}
          q = () => { return 2; };
        }
        const api = {
          m(x) {
            return x;
          }, n: function () {}, o: 3,
        };
        call(() => 1);
    """)
    found, left_out = cut(code, "javascript")
    assert list(found) == ["f", "g", "h", "k", "inner", "exports.a.b", "A.x", "A.#p", "A.q", "api.m", "api.n"]
    assert found["f"] == "export const f = async (x) => {\n  return x;\n};\n"
    assert found["h"] == "h = function () { return b; }\n"
    assert found["k"] == "export default function k() {}\n"
    assert found["inner"] == "// of inner\nfunction inner() { function deeper() {} }\n"
    assert found["exports.a.b"] == "exports.a.b = function (x) { return x; };\n"
    assert found["A.#p"] == "@dec static async #p() {}\n"
    assert found["api.m"] == "m(x) {\n  return x;\n}\n"
    assert not left_out


def test_typescript():
    code = dedent("""
        function f(a: string): void;
        function f(a: any): void {}
        export abstract class A<T> {
          @one()
          @two
          m<U>(x: T): U {
            return <U>x;
          }
          abstract n(): void;
        }
        namespace N { export function g() {} }
    """)
    found, left_out = cut(code, "typescript")
    assert found == {
        "f": "function f(a: any): void {}\n",
        "A.m": "@one()\n@two\nm<U>(x: T): U {\n  return <U>x;\n}\n",
        "N.g": "export function g() {}\n",
    }
    assert not left_out


def test_c():
    code = dedent("""
        #include <a.h>

        /* doc */
        static int *f(int a)
        {
        \treturn 0;
        }
        int g(void);
        #if X
        int (*h(void))(int) {}
        #endif
    """)
    found, left_out = cut(code, "c")
    assert found == {
        "f": "/* doc */\nstatic int *f(int a)\n{\n\treturn 0;\n}\n",
        "h": "int (*h(void))(int) {}\n",
    }
    assert not left_out


def test_cpp():
    code = dedent("""
        namespace n {
        // doc
        template <class T>
        T& f(T& x) { return x; }
        class A {
         public:
          A() : x(1) {}
          ~A() {}
          operator bool() const { return [] { return true; }(); }
          A& operator=(const A& o) { return *this; }
          A(int) = default;
          template <class U> void g() {
            x = 1;
          }
        };
        }
        int n::A::h() { return 1; }
    """)
    found, left_out = cut(code, "cpp")
    assert list(found) == ["n.f", "n.A.A", "n.A.~A", "n.A.operator bool", "n.A.operator=", "n.A.g", "n::A::h"]
    assert found["n.f"] == "// doc\ntemplate <class T>\nT& f(T& x) { return x; }\n"
    assert found["n.A.g"] == "template <class U> void g() {\n  x = 1;\n}\n"
    assert not left_out


def test_go():
    code = dedent("""
        package a

        // Doc.
        func (s *Stack[T]) Push(x T) {
        \ts.a = 1
        }
        func F() {}
        func G()
        var h = func() {}
    """)
    found, left_out = cut(code, "go")
    assert found == {"Stack.Push": "// Doc.\nfunc (s *Stack[T]) Push(x T) {\n\ts.a = 1\n}\n", "F": "func F() {}\n"}
    assert not left_out


def test_rust():
    code = dedent("""
        use a;

        mod m {
            /// Doc.
            #[inline]
            pub fn f() -> i32 { 1 }
            impl<T> Display for A<T> { fn g(&self) {
                1
            } }
            trait T { fn a(&self); fn b(&self) {} }
        }
    """)
    found, left_out = cut(code, "rust")
    assert found == {
        "m.f": "/// Doc.\n#[inline]\npub fn f() -> i32 { 1 }\n",
        "m.A<T>.g": "fn g(&self) {\n    1\n}\n",
        "m.T.b": "fn b(&self) {}\n",
    }
    assert not left_out


def test_python_keeps_its_own_rules():
    assert cut("class A:\n    def f(self):\n        return 1\n", "python")[0] == {"A.f": "def f(self):\n    return 1\n"}


def test_line_ends_and_a_missing_final_newline_stay():
    code = "class A {\r\n\tint f() {\r\n\t\treturn 1;\r\n\t}\r\n}\r\nclass B { int g() { return 1; } }"
    found, _ = cut(code, "java")
    assert found == {"A.f": "int f() {\r\n\treturn 1;\r\n}\r\n", "B.g": "int g() { return 1; }"}


@pytest.mark.parametrize(
    ("language", "string"),
    [
        ("java", '"""\n        a"""'),
        ("javascript", "`a\n    b${x}`"),
        ("cpp", 'R"(\n  )"'),
        ("rust", '"a\n    b"'),
        ("c", '"a\\\n    b"'),
    ],
)
def test_functions_whose_strings_dedenting_would_change_are_left_out(language, string):
    head = {"rust": "fn f()", "javascript": "function f()"}.get(language, "int f()")
    outer = {"java": "class A {{{}}}", "rust": "impl A {{{}}}", "c": "#if X\n{}\n#endif"}.get(language, "{{{}}}")
    code = outer.format(f"\n  {head} {{ x = {string}; }}\n  {head} {{ x = 1; }}\n") + "\n"
    found, left_out = cut(code, language)
    assert list(found.values()) == [f"{head} {{ x = 1; }}\n"]
    assert left_out == {"function that dedenting would change": 1}
    # At the margin nothing moves, and a string's own lines at the margin do not move either.
    kept = code.replace(f"\n  {head}", f"\n{head}")
    assert len(cut(kept, language)[0]) == 2
    kept = code.replace(string, re.sub(r"\n +", "\n", string))
    assert len(cut(kept, language)[0]) == 2


def test_what_does_not_parse_is_counted():
    assert cut("int f() {", "java") == ({}, {"function that does not parse": 1})
    assert cut("class {", "java") == ({}, {"not parseable": 1})
    assert cut(")(", "go") == ({}, {"not parseable": 1})
    assert cut("fn f() {}", "kotlin") == ({}, {"not parseable": 1})
    found, left_out = cut("int f() { return 1; }\nint g() { return 1 +; }\n", "c")
    assert found == {"f": "int f() { return 1; }\n"}
    assert left_out == {"function that does not parse": 1}
    found, left_out = cut("int f() { return 1; }\n)\n", "c")
    assert list(found) == ["f"]
    assert left_out == {"file that does not parse outside its functions (these were read)": 1}
    assert cut("int x;\n", "c") == ({}, {})


def exact(code: str, language: str) -> list[str]:
    return list(tokens_of(code, lexemes(code, language), normalised=False))


BODIES = {
    "java": ("class A {\nBODY\n}", "int NAME(int a) {\nBODY\n}", ["return a;", "// c", "/* a\n b */", "{ ; }"]),
    "javascript": ("class A {\nBODY\n}", "NAME(a) {\nBODY\n}", ["return a", "`a`;", "// c", "f(() => {});", "`a\n b`"]),
    "cpp": ("struct A {\nBODY\n};", "int NAME(int a) {\nBODY\n}", ["a = 1;", "// c", 'R"(\n  )";', "#if X\n#endif"]),
    "rust": ("impl A {\nBODY\n}", "fn NAME(a: u8) {\nBODY\n}", ["let b = 1;", "/// c", '"a\n  b";', "/* /* */ */"]),
}


@settings(deadline=None, derandomize=True, max_examples=60)
@given(data=st.data())
def test_a_cut_function_has_the_very_tokens_it_had(data):
    language = data.draw(st.sampled_from(list(BODIES)))
    outer, form, statements = BODIES[language]
    own = data.draw(st.lists(st.lists(st.sampled_from(["", *statements]), max_size=4), min_size=1, max_size=4))
    texts = [form.replace("NAME", f"f{i}").replace("BODY", "\n".join(lines)) for i, lines in enumerate(own)]
    placed = [textwrap.indent(text, data.draw(st.sampled_from(["", "  ", "\t"]))) for text in texts]
    found, left_out = cut(outer.replace("BODY", "\n".join(placed)), language)
    assert len(found) + left_out.get("function that dedenting would change", 0) == len(texts)
    for name, code in found.items():
        number = int(name.removeprefix("A.f"))
        assert code.startswith(texts[number].split("\n")[0])
        assert exact(code, language) == exact(placed[number], language)


@pytest.mark.parametrize("folder", ["java_programs", "correct_java_programs"])
def test_real_java(shared_data: Path, folder):
    corpus = FolderCorpus(str(shared_data / "quixbugs" / folder), languages=["java"], unit="function")
    exclusions = Exclusions()
    programs = list(corpus.programs(exclusions))
    assert len(programs) > 40
    assert set(exclusions.counts) <= {"duplicate", "file of no chosen language"}
    for program in programs:
        file = (shared_data / "quixbugs" / folder / program.origin).read_text(encoding="utf-8")
        assert " ".join(exact(program.code, "java")) in " ".join(exact(file, "java"))


def test_every_language_is_cut():
    functions_of = {
        **dict.fromkeys(("c", "cpp"), "int f() {}\n"),
        "python": "def f(): pass\n",
        "java": "class A { int f() {} }\n",
        "go": "package a\nfunc f() {}\n",
        "rust": "fn f() {}\n",
        **dict.fromkeys(("javascript", "typescript"), "function f() {}\n"),
    }
    assert set(functions_of) == set(LANGUAGES)
    for language, code in functions_of.items():
        assert [name.rsplit(".", 1)[-1] for name in cut(code, language)[0]] == ["f"]
