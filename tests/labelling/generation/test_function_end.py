from __future__ import annotations

import json

import pytest

from pttrust_lightning.labelling.generation.function_end import function_end

PYTHON = 'def f(x):\n    """Don\'t stop: (the "end" is far.\n    """\n'
JAVA = "class S {\n    // it's { here\n    int f(int x) {\n"
JS = "// don't\nconst f = (x) => {\n"


@pytest.mark.parametrize(
    ("prompt", "completion", "language", "kept"),
    [
        (PYTHON, "    return x\n\n\ndef g():\n", "python", "    return x\n\n\n"),
        (PYTHON, "    return x\n# a test\nf(1)\n", "python", "    return x\n"),
        (
            PYTHON,
            "    y = '''\nno end\n'''\n    return (\nx\n)\nf(1)",
            "python",
            "    y = '''\nno end\n'''\n    return (\nx\n)\n",
        ),
        (
            PYTHON,
            "    y = 'it\\'s ('\n    return [  # (\n1]\n'''done'''",
            "python",
            "    y = 'it\\'s ('\n    return [  # (\n1]\n",
        ),
        (PYTHON, "def g():\n    pass\n", "python", ""),
        (PYTHON, "\n\n    return x\r\n\r\nclass C", "python", "\n\n    return x\r\n\r\n"),
        ("def f(x): return", " x\nf(1)\n", "python", " x\n"),
        ("def f(x): return (", "x\n)\nf(1)\n", "python", "x\n)\n"),
        (
            "# Write f.\n",
            "import re\ndef f(x):\n    return x\nf(1)\n",
            "python",
            "import re\ndef f(x):\n    return x\n",
        ),
        ("# Write f.\n", "from a import (\n    b,\n)\ndef f(x):\n    return x\nf(1)", "python", None),
        (JAVA, "        char c = '}'; // }\n        return \"}\".length() + x;\n    }\n}\nclass T {", "java", "}\n}"),
        (JAVA, "        /* } */ if (x > 0) { x--; }\n        return x;\n    }\n}\n", "java", "}\n}"),
        (JS, "  const s = `${x} }` + '}' + \"'\";\n  return s;\n}\n\nf(1)", "javascript", "s;\n}"),
        ("const f = wrap(function () {\n", "  return 1;\n});\nf()", "javascript", "1;\n});"),
        ("fn f<'a>(x: &'a str) -> &'a str {\n", "    let c = '{'; x\n}\nfn main() {", "rust", "x\n}"),
        ("// Write f.\n", "int f(int x) {\n  return x;\n}\nint main() {", "cpp", "x;\n}"),
    ],
)
def test_where_a_function_ends(prompt, completion, language, kept):
    end = function_end(prompt, completion, language)
    assert end is not None
    if kept is None:
        kept = completion.removesuffix("f(1)")
    assert completion[:end].endswith(kept)
    assert len(kept) == end or language != "python"


@pytest.mark.parametrize(
    ("prompt", "completion", "language"),
    [
        (PYTHON, "", "python"),
        (PYTHON, "    return x", "python"),
        (PYTHON, "    return x\n", "python"),
        (PYTHON, "    return (x\n", "python"),
        (PYTHON, "    y = '''\ndef g():\n    pass\n", "python"),
        (PYTHON, "    return f(\nx", "python"),
        (JAVA, "        return x;\n    }\n", "java"),
        (JAVA, "        return x;\n    }\n}", "java"),  # a ; may follow
        (JAVA, '        String s = "}}', "java"),
        (JS, "  return { x: 1 };\n", "javascript"),
        (JS, "  return 1; // }\n", "javascript"),
    ],
)
def test_where_it_goes_on(prompt, completion, language):
    assert function_end(prompt, completion, language) is None


@pytest.mark.parametrize("language", ["python", "java", "javascript"])
def test_a_real_solution_is_kept_whole_and_what_follows_is_cut(shared_data, language):
    file = {"javascript": "js"}.get(language, language)
    follows = "assert candidate(1)\n" if language == "python" else "int more() {\n}\n"
    records = [json.loads(line) for line in (shared_data / "humanevalpack" / f"{file}.jsonl").open(encoding="utf-8")]
    assert len(records) == 164
    wrong = []
    for record in records:
        for solution in (record["canonical_solution"], record["buggy_solution"]):
            end = function_end(record["prompt"], solution.rstrip() + "\n\n" + follows, language)
            if end is None or solution[:end].rstrip() != solution.rstrip():
                wrong.append(record["task_id"])
    assert not wrong
