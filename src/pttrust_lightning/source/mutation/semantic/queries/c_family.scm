; What C and C++ share.

; Functions, and what is never edited within them
(function_definition body: (compound_statement) @body) @function
[(compound_statement) (for_statement)] @scope
[(compound_statement) (case_statement)] @block
[(for_statement body: (compound_statement) @loop) (while_statement body: (compound_statement) @loop)
 (do_statement body: (compound_statement) @loop)]
[
  (parameter_list) (preproc_def) (preproc_function_def) (preproc_call) (struct_specifier) (union_specifier)
  (enum_specifier) (sizeof_expression) (offsetof_expression) (gnu_asm_expression)
] @opaque
(case_statement value: (_) @opaque)
[(preproc_if condition: (_) @opaque) (preproc_elif condition: (_) @opaque)]

; Names
(identifier) @name
(field_expression field: (field_identifier) @attribute)
(call_expression function: (identifier) @callee)
(parameter_declaration declarator: [
  (identifier) @parameter
  (pointer_declarator declarator: (identifier) @parameter)
  (pointer_declarator declarator: (pointer_declarator declarator: (identifier) @parameter))
  (array_declarator declarator: (identifier) @parameter)
])
(declaration declarator: [
  (identifier) @variable
  (pointer_declarator declarator: (identifier) @variable)
  (array_declarator declarator: (identifier) @variable)
  (init_declarator declarator: (identifier) @variable)
  (init_declarator declarator: (pointer_declarator declarator: (identifier) @variable))
  (init_declarator declarator: (array_declarator declarator: (identifier) @variable))
])
(assignment_expression left: (identifier) @fixed)
(update_expression argument: (identifier) @fixed)
(assignment_expression left: (identifier) operator: "=" right: (identifier)) @alias
(init_declarator
  declarator: [(identifier) (pointer_declarator declarator: (identifier))] value: (identifier)) @alias

; Statements
[
  (expression_statement) (declaration) (return_statement) (if_statement) (for_statement) (while_statement)
  (do_statement) (switch_statement) (break_statement) (continue_statement) (goto_statement)
] @statement
(expression_statement [(assignment_expression) (update_expression)]) @assignment
(expression_statement (call_expression)) @action
(return_statement) @return
(break_statement) @break
(continue_statement) @continue
(goto_statement) @throw
(if_statement !alternative) @guard
((declaration type: (_) @_type declarator: (init_declarator
  declarator: [(identifier) (pointer_declarator declarator: (identifier))] "=" value: (_) @initial_value)) (#not-eq? @_type "auto"))

; Conditions
(conditional_expression condition: (parenthesized_expression (_) @condition))
((conditional_expression condition: (_) @condition) (#not-match? @condition "^\\("))
(do_statement condition: (parenthesized_expression (_) @condition))
(binary_expression left: (_) @counted operator: ["<" "<=" ">" ">=" "==" "!="] @comparison right: (_) @counted)
(binary_expression operator: ["&&" "||"]) @logical
(unary_expression operator: "!" argument: (_)) @not
(binary_expression operator: ["+" "-" "*" "/" "%"]) @arithmetic
(unary_expression operator: "-" argument: (_)) @negative

; Values
(number_literal) @integer
(number_literal) @float
[(true) (false)] @boolean
[(true) (false) (null) (number_literal) (string_literal)] @literal
(string_literal) @string
(for_statement initializer: [
  (declaration declarator: (init_declarator value: (_) @loop_start))
  (assignment_expression operator: "=" right: (_) @loop_start)
])
(for_statement condition: (binary_expression operator: ["<" "<=" ">" ">="] @loop_comparison right: (_) @loop_bound))

; Calls
(call_expression arguments: (argument_list)) @call
