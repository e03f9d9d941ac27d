from __future__ import annotations

import pytest
from mutant_checks import check_bug

from pttrust_lightning.source.mutation.implant import candidate_mutants
from pttrust_lightning.types import Program

AROUND = {
    "java": "class A {\n    int f(int a, int b, int[] xs, String s) {\n        BODY\n    }\n}\n",
    "javascript": "async function f(a, b, xs) {\n    BODY\n}\n",
    "typescript": "async function f(a: number, b: number, xs: number[], s?: string) {\n    BODY\n}\n",
    "c": "int f(int a, int b, int *xs, char *s)\n{\n    BODY\n}\n",
    "cpp": "int f(int a, int b, const V& xs, S* s) {\n    BODY\n}\n",
    "go": "package p\n\nfunc f(a, b int, xs []int, s *S) (int, error) {\n\tBODY\n}\n",
    "rust": "async fn f(a: usize, b: usize, xs: &[usize], s: Option<S>) -> usize {\n    BODY\n}\n",
}


@pytest.mark.parametrize(
    ("language", "operator", "line", "changed"),
    [
        pytest.param(
            "java", "wrong_comparison", "return a < b ? 1 : 2;", ["return a <= b ? 1 : 2;", "return a > b ? 1 : 2;"]
        ),
        pytest.param(
            "java",
            "off_by_one",
            "return xs[a + 1] + s.substring(1, b).length();",
            [
                "return xs[a + 1] + s.substring(0, b).length();",
                "return xs[a + 1] + s.substring(1, b + 1).length();",
                "return xs[a + 1] + s.substring(1, b - 1).length();",
                "return xs[a + 1] + s.substring(2, b).length();",
                "return xs[a + 2] + s.substring(1, b).length();",
                "return xs[a] + s.substring(1, b).length();",
            ],
        ),
        pytest.param(
            "java",
            "wrong_variable",
            "int c = a; return c + b;",
            [
                "int c = a; return b + b;",
                "int c = a; return c + a;",
                "int c = a; return c + c;",
                "int c = b; return c + b;",
            ],
        ),
        pytest.param(
            "java",
            "wrong_attribute",
            's.size(); s.clear(); return s.startsWith("x") ? 1 : 0;',
            [
                's.clear(); s.clear(); return s.startsWith("x") ? 1 : 0;',
                's.size(); s.clear(); return s.endsWith("x") ? 1 : 0;',
                's.size(); s.size(); return s.startsWith("x") ? 1 : 0;',
            ],
        ),
        pytest.param(
            "java",
            "negated_condition",
            "if (s.isEmpty() && a == 1) { return 1; } while (!s.ok()) { a++; }",
            [
                "if (!(s.isEmpty() && a == 1)) { return 1; } while (!s.ok()) { a++; }",
                "if (s.isEmpty() && a == 1) { return 1; } while (s.ok()) { a++; }",
            ],
        ),
        pytest.param(
            "java",
            "missing_condition",
            "return a > 0 && b > 0 ? 1 : 2;",
            ["return a > 0 ? 1 : 2;", "return b > 0 ? 1 : 2;"],
        ),
        pytest.param(
            "java",
            "wrong_constant",
            "boolean t = true; return a * 3 + (int) 0.5;",
            [
                "boolean t = false; return a * 3 + (int) 0.5;",
                "boolean t = true; return a * 2 + (int) 0.5;",
                "boolean t = true; return a * 3 + (int) 0.25;",
                "boolean t = true; return a * 3 + (int) 1.0;",
                "boolean t = true; return a * 3 + (int) 1.5;",
                "boolean t = true; return a * 4 + (int) 0.5;",
                "boolean t = true; return a * 6 + (int) 0.5;",
            ],
        ),
        pytest.param(
            "java",
            "swapped_arguments",
            "return g(a, b) + Math.max(a, b) + g(a, xs);",
            ["return g(b, a) + Math.max(a, b) + g(a, xs);"],
        ),
        pytest.param(
            "java",
            "wrong_precedence",
            "return (a + b) * a - b + a;",
            ["return (a + b) * (a - b) + a;", "return (a + b) * a - (b + a);", "return a + b * a - b + a;"],
        ),
        pytest.param("java", "missing_initialisation", "int c = 0, d = a;", ["int c, d = a;"]),
        pytest.param(
            "java",
            "wrong_return",
            "while (a > 0) { if (b == 1) { break; } } return 0;",
            ["while (a > 0) { if (b == 1) { return 0; } } return 0;"],
        ),
        pytest.param(
            "java",
            "wrong_loop_bound",
            "for (int i = 0; i < a; i++) { }",
            [
                "for (int i = 0; i < a + 1; i++) { }",
                "for (int i = 0; i < a - 1; i++) { }",
                "for (int i = 0; i <= a; i++) { }",
                "for (int i = 1; i < a; i++) { }",
            ],
        ),
        pytest.param("java", "dropped_call", "if (s != null && s.ok()) { return 1; }", ["if (s.ok()) { return 1; }"]),
        pytest.param("javascript", "wrong_comparison", "return a === b;", ["return a !== b;"]),
        pytest.param(
            "javascript",
            "off_by_one",
            "return xs[xs.length - 1] + xs.slice(1, a);",
            [
                "return xs[xs.length - 1] + xs.slice(0, a);",
                "return xs[xs.length - 1] + xs.slice(1, a + 1);",
                "return xs[xs.length - 1] + xs.slice(1, a - 1);",
                "return xs[xs.length - 1] + xs.slice(2, a);",
                "return xs[xs.length - 2] + xs.slice(1, a);",
                "return xs[xs.length] + xs.slice(1, a);",
            ],
        ),
        pytest.param(
            "javascript",
            "wrong_variable",
            "const g = (c) => c + a; let d = 1; return d;",
            [
                "const g = (c) => a + a; let d = 1; return d;",
                "const g = (c) => b + a; let d = 1; return d;",
                "const g = (c) => c + a; let d = 1; return a;",
                "const g = (c) => c + a; let d = 1; return b;",
                "const g = (c) => c + a; let d = 1; return g;",
                "const g = (c) => c + a; let d = 1; return xs;",
                "const g = (c) => c + b; let d = 1; return d;",
                "const g = (c) => c + xs; let d = 1; return d;",
                "const g = (c) => xs + a; let d = 1; return d;",
            ],
        ),
        pytest.param(
            "javascript",
            "wrong_attribute",
            "a.x = a.y; a.push(1); return a.z;",
            [
                "a.x = a.x; a.push(1); return a.z;",
                "a.x = a.y; a.push(1); return a.x;",
                "a.x = a.y; a.push(1); return a.y;",
                "a.x = a.y; a.unshift(1); return a.z;",
                "a.x = a.z; a.push(1); return a.z;",
            ],
        ),
        pytest.param(
            "javascript",
            "negated_condition",
            "return a ? 1 : (b || xs) ? 2 : 3;",
            ["return !a ? 1 : (b || xs) ? 2 : 3;", "return a ? 1 : (!(b || xs)) ? 2 : 3;"],
        ),
        pytest.param(
            "javascript",
            "missing_condition",
            "return a && b || xs;",
            ["return a && b;", "return a || xs;", "return b || xs;", "return xs;"],
        ),
        pytest.param(
            "javascript",
            "wrong_constant",
            "return void 0 === a ? true : 3;",
            [
                "return void 0 === a ? false : 3;",
                "return void 0 === a ? true : 2;",
                "return void 0 === a ? true : 4;",
                "return void 0 === a ? true : 6;",
            ],
        ),
        pytest.param(
            "javascript",
            "swapped_arguments",
            "return g(a, ...b) + new G(a, b) + console.log(a, b);",
            ["return g(a, ...b) + new G(b, a) + console.log(a, b);"],
        ),
        pytest.param(
            "javascript",
            "wrong_precedence",
            "return !(a && b) || a - (b - 1);",
            ["return !(a && b) || a - b - 1;", "return !a && b || a - (b - 1);"],
        ),
        pytest.param(
            "javascript",
            "missing_initialisation",
            "let c = a; const d = 1; var e = [];",
            ["let c = a; const d = 1; var e;", "let c; const d = 1; var e = [];"],
        ),
        pytest.param(
            "javascript", "wrong_return", "for (const x of xs) { continue; }", ["for (const x of xs) { return; }"]
        ),
        pytest.param(
            "javascript",
            "wrong_loop_bound",
            "for (let i = 1; i <= xs.length; i += 2) { }",
            [
                "for (let i = 0; i <= xs.length; i += 2) { }",
                "for (let i = 1; i < xs.length; i += 2) { }",
                "for (let i = 1; i <= xs.length + 1; i += 2) { }",
                "for (let i = 1; i <= xs.length - 1; i += 2) { }",
                "for (let i = 2; i <= xs.length; i += 2) { }",
            ],
        ),
        pytest.param(
            "javascript",
            "dropped_call",
            "await a.close(); return await b;",
            ["a.close(); return await b;", "await a.close(); return b;"],
        ),
        pytest.param(
            "typescript",
            "wrong_variable",
            "const c: string = s; return a + c.length;",
            ["const c: string = s; return b + c.length;"],
        ),
        pytest.param(
            "typescript", "missing_initialisation", "let c: number = 0; return c;", ["let c: number; return c;"]
        ),
        pytest.param("typescript", "dropped_call", "return (await g(a!)) as number;", ["return (g(a!)) as number;"]),
        pytest.param("typescript", "wrong_comparison", "return a !== b;", ["return a === b;"]),
        pytest.param("c", "wrong_comparison", "return a <= b;", ["return a < b;", "return a >= b;"]),
        pytest.param(
            "c",
            "off_by_one",
            "return xs[a - 1] + xs[0];",
            ["return xs[a - 1] + xs[1];", "return xs[a - 2] + xs[0];", "return xs[a] + xs[0];"],
        ),
        pytest.param("c", "wrong_variable", "char *t = s; return a + t[0];", ["char *t = s; return b + t[0];"]),
        pytest.param(
            "c",
            "wrong_attribute",
            "p->x = p->y; return p->z + toupper(a);",
            [
                "p->x = p->x; return p->z + toupper(a);",
                "p->x = p->y; return p->x + toupper(a);",
                "p->x = p->y; return p->y + toupper(a);",
                "p->x = p->y; return p->z + tolower(a);",
                "p->x = p->z; return p->z + toupper(a);",
            ],
        ),
        pytest.param(
            "c",
            "negated_condition",
            "if (!a) return 1; do { b--; } while (b && s);",
            ["if (!a) return 1; do { b--; } while (!(b && s));", "if (a) return 1; do { b--; } while (b && s);"],
        ),
        pytest.param("c", "missing_condition", "return a && b;", ["return a;", "return b;"]),
        pytest.param(
            "c",
            "wrong_constant",
            "double d = 1.5; return 10;",
            [
                "double d = 0.75; return 10;",
                "double d = 1.5; return 11;",
                "double d = 1.5; return 20;",
                "double d = 1.5; return 9;",
                "double d = 2.5; return 10;",
                "double d = 3.0; return 10;",
            ],
        ),
        pytest.param(
            "c", "swapped_arguments", "return g(a, b) + g(a, s) + sizeof(a);", ["return g(b, a) + g(a, s) + sizeof(a);"]
        ),
        pytest.param("c", "wrong_precedence", "return a - b - 1;", ["return a - (b - 1);"]),
        pytest.param(
            "c",
            "missing_initialisation",
            "int c = 0, *p = &a, z[2] = {1, 2};",
            ["int c = 0, *p, z[2] = {1, 2};", "int c, *p = &a, z[2] = {1, 2};"],
        ),
        pytest.param("c", "wrong_return", "while (a) { break; } return 0;", ["while (a) { return 0; } return 0;"]),
        pytest.param(
            "c",
            "wrong_loop_bound",
            "for (a = 0; a < b; a++) { }",
            [
                "for (a = 0; a < b + 1; a++) { }",
                "for (a = 0; a < b - 1; a++) { }",
                "for (a = 0; a <= b; a++) { }",
                "for (a = 1; a < b; a++) { }",
            ],
        ),
        pytest.param("c", "dropped_call", "return s != NULL && a;", ["return a;"]),
        pytest.param(
            "cpp",
            "wrong_variable",
            "for (auto x : xs) { a += x; } return b;",
            ["for (auto x : xs) { a += x; } return a;"],
        ),
        pytest.param(
            "cpp",
            "wrong_attribute",
            "xs.push_back(xs.front());",
            ["xs.push_back(xs.back());", "xs.push_front(xs.front());"],
        ),
        pytest.param(
            "cpp",
            "negated_condition",
            "if (auto it = xs.find(a); it != xs.end()) { } if (a && b) { }",
            [
                "if (auto it = xs.find(a); it != xs.end()) { } if (!(a && b)) { }",
                "if (auto it = xs.find(a); it == xs.end()) { } if (a && b) { }",
            ],
        ),
        pytest.param("cpp", "off_by_one", "return xs[a + 1];", ["return xs[a + 2];", "return xs[a];"]),
        pytest.param(
            "cpp", "missing_initialisation", "auto c = 1; int d = 2; int& e = a;", ["auto c = 1; int d; int& e = a;"]
        ),
        pytest.param(
            "cpp",
            "dropped_call",
            "return s == nullptr || a; co_await g();",
            ["return a; co_await g();", "return s == nullptr || a; g();"],
        ),
        pytest.param(
            "cpp", "swapped_arguments", "return ns::g(a, b) + std::max(a, b);", ["return ns::g(b, a) + std::max(a, b);"]
        ),
        pytest.param("go", "wrong_comparison", "return a != b", ["return a == b"]),
        pytest.param(
            "go",
            "off_by_one",
            "return xs[1:b]",
            ["return xs[0:b]", "return xs[1:b + 1]", "return xs[1:b - 1]", "return xs[2:b]"],
        ),
        pytest.param(
            "go",
            "wrong_variable",
            "c := a; d := b; return c + d",
            [
                "c := a; d := a; return c + d",
                "c := a; d := b; return c + c",
                "c := a; d := b; return d + d",
                "c := b; d := b; return c + d",
            ],
        ),
        pytest.param(
            "go",
            "wrong_attribute",
            "return strings.HasPrefix(s.x, s.y)",
            [
                "return strings.HasPrefix(s.x, s.x)",
                "return strings.HasPrefix(s.y, s.y)",
                "return strings.HasSuffix(s.x, s.y)",
            ],
        ),
        pytest.param(
            "go",
            "negated_condition",
            "for a < b { }; if !s.Ok() && a == 1 { }",
            ["for a < b { }; if !(!s.Ok() && a == 1) { }", "for a >= b { }; if !s.Ok() && a == 1 { }"],
        ),
        pytest.param("go", "missing_condition", "return a > 0 || b > 0", ["return a > 0", "return b > 0"]),
        pytest.param("go", "wrong_constant", 'return 10, "x"', ['return 11, "x"', 'return 20, "x"', 'return 9, "x"']),
        pytest.param(
            "go", "swapped_arguments", "g(a, b, xs...); fmt.Println(a, b)", ["g(b, a, xs...); fmt.Println(a, b)"]
        ),
        pytest.param("go", "wrong_precedence", "return a*b + 1", ["return a*(b + 1)"]),
        pytest.param("go", "missing_initialisation", "var c int = a; d := 1", ["var c int; d := 1"]),
        pytest.param("go", "wrong_return", "for { if a > 0 { continue } }", ["for { if a > 0 { return } }"]),
        pytest.param(
            "go",
            "wrong_loop_bound",
            "for i := 0; i < len(xs)-1; i++ { }",
            [
                "for i := 0; i < len(xs)-2; i++ { }",
                "for i := 0; i < len(xs); i++ { }",
                "for i := 0; i <= len(xs)-1; i++ { }",
                "for i := 1; i < len(xs)-1; i++ { }",
            ],
        ),
        pytest.param("go", "dropped_call", "if a == 1 && s != nil { }", ["if a == 1 { }"]),
        pytest.param("rust", "wrong_comparison", "a == b", ["a != b"]),
        pytest.param(
            "rust",
            "off_by_one",
            "xs[1..b][a - 1]",
            [
                "xs[0..b][a - 1]",
                "xs[1..b + 1][a - 1]",
                "xs[1..b - 1][a - 1]",
                "xs[1..b][a - 2]",
                "xs[1..b][a]",
                "xs[2..b][a - 1]",
            ],
        ),
        pytest.param(
            "rust",
            "wrong_variable",
            "let c = 1; let d = 2; c + d + a",
            ["let c = 1; let d = 2; c + c + a", "let c = 1; let d = 2; c + d + b", "let c = 1; let d = 2; d + d + a"],
        ),
        pytest.param(
            "rust",
            "wrong_attribute",
            "s.x.starts_with(s.y)",
            ["s.x.ends_with(s.y)", "s.x.starts_with(s.x)", "s.y.starts_with(s.y)"],
        ),
        pytest.param(
            "rust",
            "negated_condition",
            "if s.is_some() { 1 } else if let Some(q) = s { 2 } else { 3 }",
            ["if !s.is_some() { 1 } else if let Some(q) = s { 2 } else { 3 }"],
        ),
        pytest.param("rust", "missing_condition", "a > 0 && b > 0", ["a > 0", "b > 0"]),
        pytest.param(
            "rust",
            "wrong_constant",
            "let t = true; t.0 + 3",
            ["let t = false; t.0 + 3", "let t = true; t.0 + 2", "let t = true; t.0 + 4", "let t = true; t.0 + 6"],
        ),
        pytest.param("rust", "swapped_arguments", "g(a, b) + Err(a, b)", ["g(b, a) + Err(a, b)"]),
        pytest.param("rust", "wrong_precedence", "a * (b + 1)", ["a * b + 1"]),
        pytest.param("rust", "missing_initialisation", "let mut c = 0; let d = 1; c", ["let mut c; let d = 1; c"]),
        pytest.param(
            "rust",
            "wrong_return",
            "loop { if a == 1 { break; } return 0; }",
            ["loop { if a == 1 { return 0; } return 0; }"],
        ),
        pytest.param(
            "rust",
            "wrong_loop_bound",
            "for i in 0..a { }",
            ["for i in 0..=a { }", "for i in 0..a + 1 { }", "for i in 0..a - 1 { }", "for i in 1..a { }"],
        ),
        pytest.param("rust", "dropped_call", "g(a)?.h().await", ["g(a).h().await", "g(a)?.h()"]),
        pytest.param(
            "java",
            "wrong_attribute",
            "return this.x + o.f(a) + o.g(b) + o.h();",
            ["return this.x + o.f(a) + o.f(b) + o.h();", "return this.x + o.g(a) + o.g(b) + o.h();"],
        ),
        pytest.param("java", "missing_condition", "if (a < 0) throw new E(); return a;", []),
        pytest.param(
            "java",
            "wrong_variable",
            "for (int i = 0; i < a; i++) { xs[i] = 1; }",
            [
                "for (int i = 0; a < a; i++) { xs[i] = 1; }",
                "for (int i = 0; b < a; i++) { xs[i] = 1; }",
                "for (int i = 0; i < a; i++) { xs[a] = 1; }",
                "for (int i = 0; i < a; i++) { xs[b] = 1; }",
                "for (int i = 0; i < b; i++) { xs[i] = 1; }",
            ],
        ),
        pytest.param("c", "wrong_return", "for (;;) { if (a) continue; g(a); } return a;", []),
        pytest.param("cpp", "wrong_variable", "const auto& c = a; return c;", ["const auto& c = b; return c;"]),
        pytest.param(
            "rust", "wrong_variable", "let mut c = a; c + b", ["let mut c = a; c + a", "let mut c = b; c + b"]
        ),
        pytest.param("javascript", "wrong_loop_bound", "for (const x of xs) { }", []),
        pytest.param(
            "c", "off_by_one", "if (a + 1 > b) return 0;", ["if (a + 2 > b) return 0;", "if (a > b) return 0;"]
        ),
        pytest.param("go", "wrong_attribute", "s.x = s.y", ["s.x = s.x"]),
    ],
)
def test_lines_by_hand(language, operator, line, changed):
    program = Program("p", AROUND[language].replace("BODY", line), language)
    bugs = list(candidate_mutants(program, [operator]))
    for bug in bugs:
        check_bug(program, bug)
    assert sorted(bug.program.code.split("\n")[bug.wrong_lines[0]].strip() for bug in bugs) == changed
