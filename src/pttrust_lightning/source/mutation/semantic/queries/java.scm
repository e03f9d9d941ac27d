; Functions, and what is never edited within them
(method_declaration body: (block) @body) @function
(constructor_declaration body: (constructor_body) @body) @function
[(lambda_expression) (catch_clause) (try_with_resources_statement)] @scope
[(block) (for_statement) (enhanced_for_statement) (switch_block)] @scope
[(block) (constructor_body) (switch_block_statement_group)] @block
[(for_statement body: (block) @loop) (enhanced_for_statement body: (block) @loop) (while_statement body: (block) @loop)
 (do_statement body: (block) @loop)]
[(modifiers) (formal_parameters) (throw_statement) (class_body) (switch_label) (type_arguments)] @opaque
(assert_statement (_) (_) @opaque)

; Names
(identifier) @name
[(field_access field: (identifier) @attribute) (method_invocation object: (_) name: (identifier) @attribute)]
(method_invocation !object name: (identifier) @callee)
(method_reference (_) "::" (identifier) @fixed)
[(labeled_statement (identifier) @fixed) (break_statement (identifier) @fixed) (continue_statement (identifier) @fixed)]
(class_declaration name: (identifier) @fixed)
(formal_parameter name: (identifier) @parameter)
(spread_parameter (variable_declarator name: (identifier) @parameter))
(lambda_expression parameters: (identifier) @variable)
(inferred_parameters (identifier) @variable)
(local_variable_declaration declarator: (variable_declarator name: (identifier) @variable))
(enhanced_for_statement name: (identifier) @variable)
(resource name: (identifier) @variable)
(catch_formal_parameter name: (identifier) @variable)
(instanceof_expression name: (identifier) @variable)
(assignment_expression left: (identifier) @fixed)
(update_expression (identifier) @fixed)
(assignment_expression left: (identifier) operator: "=" right: (identifier)) @alias
(local_variable_declaration declarator: (variable_declarator name: (identifier) value: (identifier)) @alias)

; Statements
[
  (expression_statement) (local_variable_declaration) (return_statement) (throw_statement) (if_statement)
  (for_statement) (enhanced_for_statement) (while_statement) (do_statement) (switch_expression) (assert_statement)
  (break_statement) (continue_statement)
] @statement
(expression_statement [(assignment_expression) (update_expression)]) @assignment
(expression_statement (method_invocation)) @action
(return_statement) @return
(break_statement) @break
(continue_statement) @continue
(throw_statement) @throw
(if_statement !alternative) @guard
(constructor_body (expression_statement
  (assignment_expression left: (field_access object: (this)) operator: "=")) @initial_statement)
(local_variable_declaration declarator: (variable_declarator value:
  [(decimal_integer_literal) (decimal_floating_point_literal) (true) (false) (null_literal) (string_literal)] @initial_value))

; Conditions
[(if_statement condition: (parenthesized_expression (_) @condition))
 (while_statement condition: (parenthesized_expression (_) @condition))
 (do_statement condition: (parenthesized_expression (_) @condition))]
(ternary_expression condition: (parenthesized_expression (_) @condition))
((ternary_expression condition: (_) @condition) (#not-match? @condition "^\\("))
(binary_expression left: (_) @counted operator: ["<" "<=" ">" ">=" "==" "!="] @comparison right: (_) @counted)
(binary_expression operator: ["&&" "||"]) @logical
(unary_expression operator: "!" operand: (_)) @not
(binary_expression operator: ["+" "-" "*" "/" "%"]) @arithmetic
(unary_expression operator: "-" operand: (_)) @negative

; Values
(decimal_integer_literal) @integer
(decimal_floating_point_literal) @float
[(true) (false)] @boolean
[(true) (false) (null_literal) (decimal_integer_literal) (decimal_floating_point_literal) (string_literal)] @literal
(string_literal) @string
(array_access index: (_) @counted)
(method_invocation name: (identifier) @_name arguments: (argument_list (_) @bound) (#any-of? @_name "substring" "subList"))
(for_statement init: (local_variable_declaration declarator: (variable_declarator value: (_) @loop_start)))
(for_statement condition: (binary_expression operator: ["<" "<=" ">" ">="] @loop_comparison right: (_) @loop_bound))

; Calls
[(method_invocation arguments: (argument_list)) (object_creation_expression arguments: (argument_list))] @call
