import numpy as np
import pytest

from pttrust_lightning.source.surface import KEYWORD_CLASSES, SURFACE_FEATURES, keyword_class, surface_features

CLASSES = {
    "comment": ["# note", "// note", "/* note */", " * note", '"""Docstring.', "-- note", "#note", "# if x:"],
    "import": ["import os", "from a import b", "#include <stdio.h>", "using System;", "use std::io;", "package main"],
    "definition": [
        "def f(x):",
        "async def f(x):",
        "class A:",
        "@property",
        "public class Main {",
        "function f(a) {",
        "export default function f() {",
        "func (s *T) F() int {",
        "pub fn f(x: i32) -> i32 {",
        "pub(crate) struct S {",
        "interface I {",
    ],
    "signature": [
        "public static int gcd(int a, int b) {",
        "int main(void)",
        "private List<Integer> go(Map<String, Integer> m) throws Exception {",
    ],
    "return": ["return x", "return;", "yield item", "return foo(x)"],
    "branch": ["if (a) {", "elif x:", "else:", "} else if (b) {", "case 1:", "switch (x) {", "match x:"],
    "loop": ["for x in y:", "for (int i = 0; i < n; i++) {", "while (true)", "do {", "} while (x);"],
    "exception": ["try:", "} catch (E e) {", "raise ValueError(x)", "throw new E();", "with open(p) as f:", "assert x"],
    "jump": ["break", "continue;", "pass"],
    "closer": ["}", ");", "});", "]", "end", "{", "],"],
    "assignment": [
        "x = 1",
        "self.x = f(y)",
        "x += 1",
        "int[] a = new int[n];",
        "a, b = b, a",
        "x := 3",
        "let x = 3;",
        "i++;",
        "x: int = 3",
        "Map<String, Integer> m = new HashMap<>();",
        "x <<= 1",
        "x //= 2",
    ],
    "call": ["print(x)", "self.stack.append(x)", "foo();", "await go(x)", 'println!("{}", x)', "xs.sort(key=len)"],
    "other": ["x", '"abc",', "lst[0]", "a == b", "a <= b", "a != b", "x => y", "not x", "List<Integer> xs;"],
}


@pytest.mark.parametrize(("expected", "text"), [(name, text) for name, texts in CLASSES.items() for text in texts])
def test_keyword_classes(expected, text):
    assert keyword_class("    " + text + " ") == expected


def test_every_class_is_tried():
    assert set(CLASSES) == set(KEYWORD_CLASSES)


def test_words_that_only_begin_like_keywords_are_not_keywords():
    assert keyword_class("format(x)") == "call"
    assert keyword_class("iffy = 2") == "assignment"
    assert keyword_class("returned()") == "call"


def test_long_lines_take_no_exponential_time():
    # a regular expression that backtracks exponentially would not come back from these
    for text in ("a " * 2000, "(" * 3000, "a.b" * 2000 + "!", "public " * 1000, "x, " * 2000 + "(", "} " * 1000):
        assert keyword_class(text) in KEYWORD_CLASSES


def column(features, name):
    return features[:, SURFACE_FEATURES.index(name)].tolist()


def test_features_by_hand():
    code = "def f(a, b):\r\n\r\n\tx = a[0] + 1.5  \r\n        return x\r\n"
    features = surface_features(code, [0, 2, 3])
    assert features.shape == (3, len(SURFACE_FEATURES))
    assert column(features, "length") == [12, 15, 16]
    assert column(features, "indentation") == [0, 4, 8]
    assert column(features, "line_number") == [0, 2, 3]
    assert column(features, "relative_position") == pytest.approx([0, 2 / 3, 1])
    assert column(features, "n_lines") == [3, 3, 3]
    assert column(features, "brackets") == [2, 2, 0]
    assert column(features, "operators") == [0, 2, 0]
    assert column(features, "numbers") == [0, 2, 0]
    assert column(features, "is_definition") == [1, 0, 0]
    assert column(features, "is_assignment") == [0, 1, 0]
    assert column(features, "is_return") == [0, 0, 1]
    assert features[:, -len(KEYWORD_CLASSES) :].sum(axis=1).tolist() == [1, 1, 1]


def test_a_missing_final_newline_changes_nothing():
    with_newline = surface_features("a\nb\n", [0, 1])
    without = surface_features("a\nb", [0, 1])
    np.testing.assert_array_equal(with_newline, without)


def test_lines_are_split_on_newlines_alone():
    features = surface_features("a\x0cb = 1\u2028\nreturn x\n", [0, 1])
    assert column(features, "is_return") == [0, 1]


def test_one_line_has_a_position():
    assert column(surface_features("x = 1", [0]), "relative_position") == [0]
