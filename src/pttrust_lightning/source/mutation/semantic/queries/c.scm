; C alone
[(if_statement condition: (parenthesized_expression (_) @condition))
 (while_statement condition: (parenthesized_expression (_) @condition))]
(subscript_expression index: (_) @counted)
