; Functions, and what is never edited within them
(function_item body: (block) @body) @function
[(block) (closure_expression) (for_expression) (match_arm) (if_expression) (while_expression)] @scope
(block) @block
[(for_expression body: (block) @loop) (while_expression body: (block) @loop) (loop_expression body: (block) @loop)]
[
  (parameters) (attribute_item) (macro_invocation) (macro_definition) (type_arguments) (struct_item) (enum_item)
  (const_item) (static_item) (use_declaration) (array_type)
] @opaque
(match_pattern (_) @opaque !condition)
(closure_parameters) @opaque
(let_condition pattern: (_) @opaque)
((call_expression function: (identifier) @_name) @opaque (#eq? @_name "Err"))

; Names
(identifier) @name
(field_expression field: (field_identifier) @attribute)
(call_expression function: (identifier) @callee)
(scoped_identifier [path: (identifier) @fixed name: (identifier) @fixed])
(tuple_struct_pattern type: (identifier) @fixed)
(function_item name: (identifier) @fixed)
(parameter pattern: [(identifier) @parameter (tuple_pattern (identifier) @parameter)])
(closure_parameters [(identifier) @variable (parameter pattern: (identifier) @variable)])
(let_declaration pattern: [(identifier) @variable (tuple_pattern (identifier) @variable)])
[(for_expression pattern: (identifier) @variable) (for_expression pattern: (tuple_pattern (identifier) @variable))]
(tuple_struct_pattern type: (_) (identifier) @variable)
(assignment_expression left: (identifier) @fixed)
(compound_assignment_expr left: (identifier) @fixed)
(shorthand_field_initializer (identifier) @read)
(let_declaration pattern: (identifier) value: (identifier)) @alias
(assignment_expression left: (identifier) right: (identifier)) @alias

; Statements
[(expression_statement) (let_declaration)] @statement
(block (_) @statement .)
(expression_statement [(assignment_expression) (compound_assignment_expr)]) @assignment
(expression_statement [(call_expression) (await_expression) (try_expression)]) @action
(expression_statement (return_expression)) @return
(break_expression) @break
(continue_expression) @continue
(expression_statement (break_expression)) @jump
(expression_statement (continue_expression)) @jump
(expression_statement (if_expression !alternative)) @guard
(let_declaration (mutable_specifier) pattern: (identifier)
  value: [(integer_literal) (float_literal) (boolean_literal) (string_literal)] @initial_value)

; Conditions
[(if_expression condition: (_) @condition) (while_expression condition: (_) @condition)]
(match_pattern condition: (_) @condition)
(binary_expression left: (_) @counted operator: ["<" "<=" ">" ">=" "==" "!="] @comparison right: (_) @counted)
(binary_expression operator: ["&&" "||"]) @logical
(unary_expression "!" (_)) @not
(binary_expression operator: ["+" "-" "*" "/" "%"]) @arithmetic
(unary_expression "-" (_)) @negative

; Values
(integer_literal) @integer
(float_literal) @float
(boolean_literal) @boolean
[(boolean_literal) (integer_literal) (float_literal) (string_literal)] @literal
(string_literal) @string
(field_expression field: (integer_literal) @fixed)
(index_expression (_) (_) @counted)
(index_expression (_) (range_expression (_) @bound))
(for_expression value: (range_expression (_) @loop_bound))
(for_expression value: (range_expression [".." "..="] @loop_comparison))

; Calls
(call_expression arguments: (arguments)) @call
[(await_expression (_)) (try_expression (_))] @unwrapped
