"""Semantic operators on syntax trees, by one engine for all languages.

A language is a tree-sitter query (``queries/*.scm``) that gives its syntax common names, such as ``@condition``; the
operators (``conditions``, ``values``, ``names``, ``statements``) know only these names. ``facts`` runs the query,
``edits`` proposes, ``validity`` judges.

| operator | what it does | where it has nothing to propose |
|---|---|---|
| ``wrong_comparison`` | another boundary or direction: ``<`` for ``<=`` | |
| ``off_by_one`` | an index, bound, compared or added number that is one too high or too low | |
| ``wrong_variable`` | another variable in scope, of the same declared type where types are declared | |
| ``wrong_attribute`` | another attribute of the same object, or an API that is easily confused with it | |
| ``negated_condition`` | the opposite test | |
| ``missing_condition`` | one operand of a logical operation is not there, or a guard clause | |
| ``wrong_constant`` | another truth value or number, or string out of those that the function compares with | |
| ``swapped_arguments`` | two neighbouring arguments in the wrong order | |
| ``wrong_precedence`` | parentheses that are missing, or that group otherwise | |
| ``missing_initialisation`` | a variable or field without its first value | |
| ``wrong_return`` | a missing ``return``, or an early one: ``return`` for ``break`` or ``continue`` | |
| ``wrong_loop_bound`` | a loop that starts or ends one too early or too late | loops over collections |
| ``dropped_statement`` | a statement of up to three lines is not there | |
| ``dropped_call`` | a missing ``await``, ``close`` or ``unlock``, null or error check | ``await``: C, Go, Java |

Only the bodies of functions are edited: never signatures, decorators, annotations, docstrings, comments, interpolated
strings, patterns, ``raise`` and ``throw`` statements, assertion messages, macros or logging calls, where an edit would
not be a bug that a reader should find. Edits that change nothing are not proposed where the text shows it; tests alone
could tell the rest.
"""
