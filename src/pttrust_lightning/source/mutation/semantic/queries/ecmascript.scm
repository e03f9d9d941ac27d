; What JavaScript and TypeScript share.

; Functions, and what is never edited within them
[
  (function_declaration body: (statement_block) @body) (function_expression body: (statement_block) @body)
  (generator_function_declaration body: (statement_block) @body) (generator_function body: (statement_block) @body)
  (method_definition body: (statement_block) @body) (arrow_function body: (_) @body)
] @function
[(statement_block) (for_statement) (for_in_statement) (catch_clause) (switch_body)] @scope
[(statement_block) (switch_case) (switch_default)] @block
[(for_statement body: (statement_block) @loop) (for_in_statement body: (statement_block) @loop)
 (while_statement body: (statement_block) @loop) (do_statement body: (statement_block) @loop)]
[(formal_parameters) (throw_statement) (class_body) (template_substitution) (import_statement) (export_clause)] @opaque

; Names
(identifier) @name
(member_expression property: (property_identifier) @attribute)
[(call_expression function: (identifier) @callee) (new_expression constructor: (identifier) @fixed)]
[(function_declaration name: (identifier) @fixed) (function_expression name: (identifier) @fixed)]
(generator_function_declaration name: (identifier) @fixed)
(arrow_function parameter: (identifier) @parameter)
(variable_declarator name: (identifier) @variable)
(array_pattern (identifier) @variable)
(object_pattern [(shorthand_property_identifier_pattern) @variable (pair_pattern value: (identifier) @variable)])
(rest_pattern (identifier) @variable)
(for_in_statement left: (identifier) @variable)
(catch_clause parameter: (identifier) @variable)
(assignment_expression left: (identifier) @fixed)
(augmented_assignment_expression left: (identifier) @fixed)
(update_expression argument: (identifier) @fixed)
(shorthand_property_identifier) @read
(assignment_expression left: (identifier) right: (identifier)) @alias
(variable_declarator name: (identifier) value: (identifier)) @alias

; Statements
[
  (expression_statement) (lexical_declaration) (variable_declaration) (return_statement) (throw_statement)
  (if_statement) (for_statement) (for_in_statement) (while_statement) (do_statement) (switch_statement)
  (break_statement) (continue_statement)
] @statement
(expression_statement [(assignment_expression) (augmented_assignment_expression) (update_expression)]) @assignment
(expression_statement [(call_expression) (await_expression)]) @action
(return_statement) @return
(break_statement) @break
(continue_statement) @continue
(throw_statement) @throw
(if_statement !alternative) @guard
(method_definition name: (_) @_name body: (statement_block
  (expression_statement (assignment_expression left: (member_expression object: (this)))) @initial_statement)
  (#eq? @_name "constructor"))
(lexical_declaration kind: "let" (variable_declarator name: (identifier) value: (_) @initial_value))
(variable_declaration (variable_declarator name: (identifier) value: (_) @initial_value))

; Conditions
[(if_statement condition: (parenthesized_expression (_) @condition))
 (while_statement condition: (parenthesized_expression (_) @condition))
 (do_statement condition: (parenthesized_expression (_) @condition))]
(ternary_expression condition: (parenthesized_expression (_) @condition))
((ternary_expression condition: (_) @condition) (#not-match? @condition "^\\("))
(binary_expression
  left: (_) @counted operator: ["<" "<=" ">" ">=" "==" "!=" "===" "!=="] @comparison right: (_) @counted)
(binary_expression operator: ["&&" "||"]) @logical
(unary_expression operator: "!" argument: (_)) @not
(binary_expression operator: ["+" "-" "*" "/" "%"]) @arithmetic
(unary_expression operator: "-" argument: (_)) @negative
(unary_expression operator: "void" argument: (number) @fixed)

; Values
(number) @integer
(number) @float
[(true) (false)] @boolean
[(true) (false) (null) (undefined) (number) (string)] @literal
(string) @string
(subscript_expression index: (_) @counted)
(call_expression function: (member_expression property: (property_identifier) @_name) arguments: (arguments (_) @bound)
  (#any-of? @_name "slice" "substring" "substr" "charAt"))
(for_statement initializer: (_ (variable_declarator value: (_) @loop_start)))
(for_statement condition: (binary_expression operator: ["<" "<=" ">" ">="] @loop_comparison right: (_) @loop_bound))

; Calls
[(call_expression arguments: (arguments)) (new_expression arguments: (arguments))] @call
(await_expression (_)) @unwrapped
