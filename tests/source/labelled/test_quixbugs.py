from __future__ import annotations

from pathlib import Path

import pytest

from pttrust_lightning.errors import ConfigError, SourceError
from pttrust_lightning.source.corpora import BugFixes
from pttrust_lightning.source.labelled.quixbugs import QuixBugs
from pttrust_lightning.source.lines import split_lines
from pttrust_lightning.types import Exclusions, LabelledSnippet

# Each label was compared by hand with the published pair of programs. All but three Java programs have one wrong line.
PYTHON = {
    "bitcount": "n ^= n - 1",
    "breadth_first_search": "while True:",
    "bucketsort": "for i, count in enumerate(arr):",
    "depth_first_search": "return any(",  # `nodesvisited.add(node)` is missing before it
    "detect_cycle": "if hare.successor is None:",
    "find_first_in_sorted": "while lo <= hi:",
    "find_in_sorted": "return binsearch(mid, end)",
    "flatten": "yield flatten(x)",
    "gcd": "return gcd(a % b, b)",
    "get_factors": "return []",
    "hanoi": "steps.append((start, helper))",
    "is_valid_parenthesization": "return True",
    "kheapsort": "for x in arr:",
    "knapsack": "if weight < j:",
    "kth": "return kth(above, k)",
    "lcs_length": "dp[i, j] = dp[i - 1, j] + 1",
    "levenshtein": "return 1 + levenshtein(source[1:], target[1:])",
    "lis": "longest = length + 1",
    "longest_common_subsequence": "return a[0] + longest_common_subsequence(a[1:], b)",
    "max_sublist_sum": "max_ending_here = max_ending_here + x",
    "mergesort": "if len(arr) == 0:",
    "minimum_spanning_tree": "group_by_node[node].update(group_by_node[u])",
    "next_palindrome": "return [1] + (len(digit_list)) * [0] + [1]",
    "next_permutation": "if perm[j] < perm[i]:",
    "pascal": "for c in range(0, r):",
    "possible_change": "if total < 0:",
    "powerset": "return [[first] + subset for subset in rest_subsets]",
    "quicksort": "greater = quicksort([x for x in arr[1:] if x > pivot])",
    "reverse_linked_list": "node = nextnode",  # `prevnode = node` is missing before it
    "rpn_eval": "op(token, a, b)",
    "shortest_path_length": "get(unvisited_nodes, nextnode) + length_by_edge[node, nextnode]",
    "shortest_path_lengths": "length_by_path[i, k] + length_by_path[j, k]",
    "shortest_paths": "weight_by_edge[u, v] = min(",
    "shunting_yard": "while opstack:",  # `opstack.append(token)` is missing before it
    "sieve": "if any(n % p > 0 for p in primes):",
    "sqrt": "while abs(x - approx) > epsilon:",
    "subsequences": "return []",
    "to_base": "result = result + alphabet[i]",
    "topological_ordering": (
        "if set(ordered_nodes).issuperset(nextnode.outgoing_nodes) and nextnode not in ordered_nodes:"
    ),
    "wrap": "return lines",  # `lines.append(text)` is missing before it
}
JAVA = {
    "bitcount": "n = (n ^ (n - 1));",
    "breadth_first_search": "while (true) {|}",  # `return false;` is missing before the brace
    "bucketsort": "for (Integer count : arr) { // arr is counts in fixed version",
    "depth_first_search": "for (Node successornodes : node.getSuccessors()) {",
    "detect_cycle": "if (hare.getSuccessor() == null)",
    "find_first_in_sorted": "while (lo <= hi) {",
    "find_in_sorted": "return binsearch(arr, x, mid, end);",
    "flatten": "result.add(flatten(x));|return flatten(arr);",
    "gcd": "return gcd(a % b, b);",
    "get_factors": "return new ArrayList<Integer>();",
    "hanoi": "steps.add(new Pair<Integer,Integer>(start, helper));",
    "is_valid_parenthesization": "return true;",
    "kheapsort": "for (Integer x : arr) {",
    "knapsack": "else if (weight < j) {",
    "kth": "return kth(above, k);",
    "lcs_length": "if (dp.containsKey(i-1)) {|int insert_value = dp.get(i-1).get(j) + 1;",
    "levenshtein": "return 1 + levenshtein(source.substring(1), target.substring(1));",
    "lis": "longest = length + 1;",
    "longest_common_subsequence": "return a.charAt(0) + longest_common_subsequence(a.substring(1), b);",
    "max_sublist_sum": "max_ending_here = max_ending_here + x;",
    "mergesort": "if (arr.size() == 0) { // <= 1 in correct version",
    "minimum_spanning_tree": "groupByNode = update(groupByNode, node, vertex_u);",
    "next_palindrome": "otherwise.addAll(Collections.nCopies(digit_list.length, 0));",
    "next_permutation": "if (perm.get(j) < perm.get(i)) {",
    "pascal": "for (int c=0; c<r; c++) {",
    "possible_change": "if (total < 0) {",
    "powerset": "to_add.add(first);|to_add.addAll(subset);|output.add(to_add);|return output;",
    "quicksort": "} else if (x > pivot) {",
    "reverse_linked_list": "node = nextnode;",
    "rpn_eval": "c = bin_op.apply(a,b);",
    "shortest_path_length": "unvisitedNodes.get(nextnode) + length_by_edge.get(Arrays.asList(node, nextnode))));",
    "shortest_path_lengths": "length_by_path.get(Arrays.asList(j,k))));",
    "shunting_yard": "}",  # `opstack.push(token);` is missing before it
    "sieve": "if (any(list_comp(n, primes))) {",
    "sqrt": "while (Math.abs(x-approx) > epsilon) {",
    "subsequences": "return new ArrayList();",
    "to_base": "result = result + String.valueOf(alphabet.charAt(i));",
    "topological_ordering": (
        "if (orderedNodes.containsAll(nextNode.getSuccessors()) && !orderedNodes.contains(nextNode)) {"
    ),
    "wrap": "return lines;",
}


def read(source: QuixBugs) -> tuple[dict[str, LabelledSnippet], Exclusions]:
    exclusions = Exclusions()
    return {snippet.id: snippet for snippet in source.snippets(exclusions)}, exclusions


def write(root: Path, files: dict[str, str | bytes]) -> str:
    for name, content in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(root)


def test_every_published_label(shared_data):
    found, exclusions = read(QuixBugs(str(shared_data / "quixbugs")))
    marked = {}
    for id_, snippet in found.items():
        lines = split_lines(snippet.code)
        marked[id_] = "|".join(lines[number].text.strip() for number in snippet.wrong_lines)
    wanted = {f"python/{name}": line for name, line in PYTHON.items()}
    assert marked == wanted | {f"java/{name}": line for name, line in JAVA.items()}
    assert exclusions.counts == {"test or helper": 12, "versions that differ in more than the bug": 1}
    assert exclusions.examples["versions that differ in more than the bug"] == ["java/shortest_paths"]
    assert {found["python/gcd"].problem_id, found["java/gcd"].problem_id} == {"gcd"}


def test_published_fixes_as_stage_1_pairs(shared_data):
    groups = {g.original.id: g for g in BugFixes(QuixBugs(str(shared_data / "quixbugs"))).groups(Exclusions())}
    (mutant,) = groups["java/gcd"].mutants
    assert [(m.before.strip(), m.after.strip()) for m in mutant.mutations] == [
        ("return gcd(b, a%b);", "return gcd(a % b, b);")
    ]
    assert mutant.pairs == ((18, 18),)
    assert groups["java/gcd"].original.code.startswith("package java_programs;\n")
    assert all(group.mutants[0].pairs for group in groups.values())


def test_the_package_is_no_bug_and_code_is_kept(tmp_path):
    path = write(
        tmp_path,
        {
            "java_programs/F.java": "package java_programs;\r\nclass F { int f = 1; }\r\n",
            "java_programs/Node.java": "x",
            "correct_java_programs/F.java": (
                "package correct_java_programs;\nimport java_programs.Node;\nclass F { int f = 2; } // right\n"
            ),
        },
    )
    found, exclusions = read(QuixBugs(path, include_correct=True))
    assert found["java/f"].code == "package java_programs;\r\nclass F { int f = 1; }\r\n"
    assert found["java/f"].wrong_lines == (1,)
    assert found["java/f#correct"].code == "package java_programs;\n\nclass F { int f = 2; } // right\n"
    assert exclusions.counts == {"test or helper": 1}


@pytest.mark.parametrize(
    ("files", "languages", "message"),
    [
        ({"other/x.py": "x"}, None, "holds no folder python_programs or java_programs. Name a checkout"),
        ({"python_programs/x.py": "x"}, None, "correct_python_programs does not exist"),
        ({"python_programs/x.py": "x", "correct_python_programs/y.py": "y"}, None, r"x\.py cannot be read \(No such"),
        ({"python_programs/x.py": b"\xe9", "correct_python_programs/x.py": "x"}, None, r"x\.py is not UTF-8 text"),
        (
            {"python_programs/x.py": "x", "correct_python_programs/x.py": "x"},
            None,
            "gives no snippet .*does not differ",
        ),
        ({"python_programs/x.py": "", "correct_python_programs/x.py": "x"}, None, "without a line of code"),
        ({"python_programs/x.py": "x"}, ["java"], "java_programs does not exist"),
    ],
)
def test_what_cannot_be_read(tmp_path, files, languages, message):
    with pytest.raises(SourceError, match=message):
        read(QuixBugs(write(tmp_path, files), languages))


def test_unknown_language():
    with pytest.raises(ConfigError, match=r"QuixBugs has no 'c'\. Choose from python, java"):
        QuixBugs("x", ["c"])
