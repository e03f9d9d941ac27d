"""Words that operators know, beside the syntax: names of calls, and signs of null checks."""

from __future__ import annotations

import re

_WORD = re.compile(rb"\w+")


def words(text: str) -> frozenset[bytes]:
    """The words of a text, as a program's bytes would hold them."""
    return frozenset(text.encode().split())


def last_word(text: bytes) -> bytes:
    """The last identifier in a text, empty where there is none."""
    found = _WORD.findall(text)
    return bytes(found[-1]) if found else b""


SELF = words("self cls mcs mcls this _")
"""Names that nobody takes for another variable."""

MESSAGE_CALLS = words(
    "print println printf fprintf eprintln puts fputs perror warn debug info warning exception log trace"
    " Errorf Fatalf Logf"
)
"""Calls that only tell, by the last part of their name."""

MESSAGE_OBJECTS = tuple(words("console. System.out. System.err. fmt.Print log. logger. LOG. logging."))
"""Beginnings of calls that only tell."""

RELEASES = words(
    "close Close aclose fclose release Release unlock Unlock RUnlock free dispose Dispose destroy shutdown"
    " Shutdown flush Flush fflush cleanup disconnect drop Done"
)
"""Calls that give back what a program holds, by the last part of their name."""

UNSWAPPABLE = words(
    "min max Min Max gcd lcm hypot isclose union intersection symmetric_difference isinstance issubclass equals Equal"
    " swap Swap"
)
"""Calls whose arguments may change places without effect, or only by an error that nobody makes."""

_ECMASCRIPT = (
    "push unshift", "pop shift", "every some", "startsWith endsWith", "trimStart trimEnd trim", "indexOf lastIndexOf",
    "find filter", "toLowerCase toUpperCase", "floor ceil round", "min max", "keys values", "slice splice",
)  # fmt: skip
_C = (
    "strchr strrchr",
    "toupper tolower",
    "isupper islower",
    "isdigit isalpha isalnum",
    "floor ceil round",
    "fmin fmax",
)

CONFUSED_APIS: dict[str, tuple[str, ...]] = {
    "python": (
        "min max", "any all", "append extend", "lower upper", "islower isupper", "isdigit isalpha isalnum",
        "startswith endswith", "removeprefix removesuffix", "lstrip rstrip strip", "find rfind", "index rindex",
        "split rsplit", "floor ceil", "keys values", "bisect_left bisect_right", "heappush heappop",
    ),
    "java": (
        "min max", "floor ceil", "startsWith endsWith", "indexOf lastIndexOf", "toLowerCase toUpperCase",
        "getFirst getLast", "addFirst addLast", "removeFirst removeLast", "pollFirst pollLast", "hasNext hasPrevious",
        "next previous", "getKey getValue", "keySet values", "isBefore isAfter", "anyMatch allMatch noneMatch",
        "isDigit isLetter isLetterOrDigit", "isUpperCase isLowerCase",
    ),
    "javascript": _ECMASCRIPT,
    "typescript": _ECMASCRIPT,
    "c": _C,
    "cpp": (
        *_C, "min max", "push_back push_front", "pop_back pop_front", "front back", "begin end", "rbegin rend",
        "find rfind", "lower_bound upper_bound", "find_first_of find_last_of",
    ),
    "go": (
        "HasPrefix HasSuffix", "TrimPrefix TrimSuffix", "TrimLeft TrimRight", "ToLower ToUpper", "Index LastIndex",
        "Min Max", "Floor Ceil", "Before After", "Lock RLock", "Unlock RUnlock",
    ),
    "rust": (
        "min max", "any all", "first last", "push pop", "starts_with ends_with", "trim_start trim_end trim",
        "strip_prefix strip_suffix", "to_lowercase to_uppercase", "find rfind", "is_some is_none", "is_ok is_err",
        "push_back push_front", "pop_back pop_front", "floor ceil", "keys values", "saturating_add saturating_sub",
    ),
}  # fmt: skip
"""Names that are taken for one another, by language; none is in two groups."""

CONFUSED: dict[str, dict[bytes, frozenset[bytes]]] = {
    language: {name: words(group) - {name} for group in groups for name in words(group)}
    for language, groups in CONFUSED_APIS.items()
}
"""Each of these names with the others of its group."""

_NULL_TEST = re.compile(rb"\b(None|null|nullptr|nil|NULL|undefined)\b|\bis_(none|some|ok|err)\(")


def is_null_test(text: bytes) -> bool:
    """Whether an expression asks if there is a value, or an error."""
    return _NULL_TEST.search(text) is not None
