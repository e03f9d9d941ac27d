from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.embedded_llm.corpus.headers import strip_licence_header


@pytest.mark.parametrize(
    ("language", "text", "stripped"),
    [
        ("python", "# Copyright 2020 A\n# All rights reserved.\n\nimport os\n", "import os\n"),
        ("python", "#!/usr/bin/env python\n# Copyright A\nimport os\n", "#!/usr/bin/env python\nimport os\n"),
        ("python", "# -*- coding: utf-8 -*-\n# License: BSD\nimport os\n", "# -*- coding: utf-8 -*-\nimport os\n"),
        ("python", "# What this does.\n\n# Copyright A\n\nimport os\n", "# What this does.\n\nimport os\n"),
        ("python", '"""Copyright A, MIT license."""\nimport os\n', '"""Copyright A, MIT license."""\nimport os\n'),
        ("python", "# What this does.\nimport os\n", "# What this does.\nimport os\n"),
        ("python", "import os\n# Copyright A\n", "import os\n# Copyright A\n"),
        (
            "go",
            "// Copyright A. All rights reserved.\n\n// Package a does b.\npackage a\n",
            "// Package a does b.\npackage a\n",
        ),
        ("go", "// Copyright A\n\n//go:build linux\n\npackage a\n", "//go:build linux\n\npackage a\n"),
        ("java", "/*\n * Copyright A\n */\n\npackage a;\n", "package a;\n"),
        ("java", "/** What this does. */\nclass A {}\n", "/** What this does. */\nclass A {}\n"),
        ("rust", "// SPDX-License-Identifier: MIT\nuse std::fmt;\n", "use std::fmt;\n"),
        (
            "cpp",
            "// <map> -*- C++ -*-\n\n// Copyright A\n// under the GPL\n\n/** @file map */\n",
            "// <map> -*- C++ -*-\n\n/** @file map */\n",
        ),
        ("javascript", "/*! a v1 | (c) 2020 A */\nvar a;\n", "var a;\n"),
        ("javascript", "/* Copyright A */ var a;\n", "/* Copyright A */ var a;\n"),
        ("javascript", "/* Copyright A, never closed\nvar a;\n", "/* Copyright A, never closed\nvar a;\n"),
    ],
)
def test_headers(language, text, stripped):
    assert strip_licence_header(text, language).strip("\n") == stripped.strip("\n")


@given(st.text(alphabet="#/*! \nabcCopyright", max_size=200), st.sampled_from(["python", "go"]))
def test_stripping_twice_is_stripping_once_and_never_touches_the_code(text, language):
    once = strip_licence_header(text, language)
    assert len(once) <= len(text)
    assert strip_licence_header(once, language).strip("\n") == once.strip("\n")
    code = "import os\nx = 1\n"
    assert strip_licence_header(f"# Copyright\n{code}", "python").endswith(code)
