; Functions, and what is never edited within them
[
  (function_declaration body: (block) @body) (method_declaration body: (block) @body) (func_literal body: (block) @body)
] @function
[(block) (for_statement) (if_statement) (expression_switch_statement) (type_switch_statement)] @scope
[(expression_case) (type_case) (communication_case) (default_case)] @scope
(statement_list) @block
(for_statement body: (block) @loop)
[(parameter_list) (type_declaration) (const_declaration) (import_declaration) (struct_type) (interface_type)] @opaque
(composite_literal type: (_) @opaque)
(expression_case value: (_) @opaque)
((call_expression function: (identifier) @_name) @opaque (#eq? @_name "panic"))

; Names
(identifier) @name
(selector_expression field: (field_identifier) @attribute)
(call_expression function: (identifier) @callee)
(keyed_element key: (literal_element (identifier) @fixed))
(function_declaration name: (identifier) @fixed)
(parameter_declaration name: (identifier) @parameter)
(variadic_parameter_declaration name: (identifier) @parameter)
(short_var_declaration left: (expression_list (identifier) @variable))
(var_spec name: (identifier) @variable)
(range_clause left: (expression_list (identifier) @variable))
(type_switch_statement alias: (expression_list (identifier) @variable))
(assignment_statement left: (expression_list (identifier) @fixed))
[(inc_statement (identifier) @fixed) (dec_statement (identifier) @fixed)]
(short_var_declaration left: (expression_list . (identifier) .) right: (expression_list . (identifier) .)) @alias
(assignment_statement
  left: (expression_list . (identifier) .) operator: "=" right: (expression_list . (identifier) .)) @alias

; Statements
[
  (expression_statement) (short_var_declaration) (var_declaration) (assignment_statement) (inc_statement)
  (dec_statement) (return_statement) (if_statement) (for_statement) (expression_switch_statement)
  (type_switch_statement) (defer_statement) (go_statement) (send_statement) (break_statement) (continue_statement)
] @statement
(statement_list [(assignment_statement) (inc_statement) (dec_statement)] @assignment)
[(expression_statement (call_expression)) (defer_statement (call_expression)) (send_statement)] @action
(return_statement) @return
(break_statement) @break
(continue_statement) @continue
(if_statement !alternative !initializer) @guard
(var_declaration (var_spec type: (_) value: (expression_list) @initial_value))

; Conditions
(if_statement condition: (_) @condition)
(for_statement . (_) @condition . body: (block))
(binary_expression left: (_) @counted operator: ["<" "<=" ">" ">=" "==" "!="] @comparison right: (_) @counted)
(binary_expression operator: ["&&" "||"]) @logical
(unary_expression operator: "!" operand: (_)) @not
(binary_expression operator: ["+" "-" "*" "/" "%"]) @arithmetic
(unary_expression operator: "-" operand: (_)) @negative

; Values
(int_literal) @integer
(float_literal) @float
[(true) (false)] @boolean
[(true) (false) (nil) (int_literal) (float_literal) (interpreted_string_literal)] @literal
(interpreted_string_literal) @string
(index_expression index: (_) @counted)
[(slice_expression start: (_) @bound) (slice_expression end: (_) @bound)]
(for_clause initializer: (short_var_declaration right: (expression_list (_) @loop_start)))
(for_clause condition: (binary_expression operator: ["<" "<=" ">" ">="] @loop_comparison right: (_) @loop_bound))

; Calls
(call_expression arguments: (argument_list)) @call
