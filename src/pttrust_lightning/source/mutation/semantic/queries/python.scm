; Functions, and what is never edited within them
(function_definition body: (block) @body) @function
(lambda) @scope
[(list_comprehension) (set_comprehension) (dictionary_comprehension) (generator_expression)] @scope
(block) @block
[(for_statement body: (block) @loop) (while_statement body: (block) @loop)]
[
  (decorator) (type) (raise_statement) (class_definition superclasses: (argument_list)) (interpolation)
  (import_statement) (import_from_statement) (global_statement) (nonlocal_statement) (delete_statement)
  (case_pattern) (format_specifier)
] @opaque
(function_definition parameters: (parameters) @opaque)
(class_definition body: (block) @opaque)
(assert_statement (_) (_) @opaque)

; Names
(identifier) @name
(attribute attribute: (identifier) @attribute)
(call function: (identifier) @callee)
(keyword_argument name: (identifier) @fixed)
[(function_definition name: (identifier) @fixed) (class_definition name: (identifier) @fixed)]
(parameters [
  (identifier) @parameter
  (typed_parameter (identifier) @parameter)
  (default_parameter name: (identifier) @parameter)
  (typed_default_parameter name: (identifier) @parameter)
  (list_splat_pattern (identifier) @parameter)
  (dictionary_splat_pattern (identifier) @parameter)
  (typed_parameter [(list_splat_pattern (identifier) @parameter) (dictionary_splat_pattern (identifier) @parameter)])
])
(lambda_parameters [(identifier) @variable (default_parameter name: (identifier) @variable)])
(assignment left: (identifier) @variable)
(augmented_assignment left: (identifier) @variable)
(named_expression name: (identifier) @variable)
[(for_statement left: (identifier) @variable) (for_in_clause left: (identifier) @variable)]
[(pattern_list (identifier) @variable) (tuple_pattern (identifier) @variable) (list_pattern (identifier) @variable)]
(list_splat_pattern (identifier) @variable)
(as_pattern_target (identifier) @variable)
(assignment left: (identifier) right: (identifier)) @alias

; Statements
[
  (expression_statement) (return_statement) (raise_statement) (if_statement) (for_statement) (while_statement)
  (with_statement) (assert_statement) (match_statement) (break_statement) (continue_statement)
] @statement
(expression_statement [(assignment) (augmented_assignment)]) @assignment
(expression_statement [(call) (await)]) @action
(return_statement) @return
(break_statement) @break
(continue_statement) @continue
(raise_statement) @throw
(if_statement !alternative) @guard
(expression_statement (assignment left: (identifier)
  right: [(integer) (float) (string) (true) (false) (none) (list) (dictionary)])) @initial_statement
(function_definition name: (identifier) @_name body: (block
  (expression_statement (assignment left: (attribute object: (identifier)))) @initial_statement)
  (#eq? @_name "__init__"))

; Conditions
[(if_statement condition: (_) @condition) (elif_clause condition: (_) @condition)]
(while_statement condition: (_) @condition)
(if_clause (_) @condition)
(conditional_expression (_) . (_) @condition . (_))
(comparison_operator operators: _ @comparison)
(comparison_operator (_) @counted)
(boolean_operator) @logical
(not_operator argument: (_)) @not
(binary_operator operator: ["+" "-" "*" "/" "%" "//"]) @arithmetic
(unary_operator operator: "-" argument: (_)) @negative

; Values
(integer) @integer
(float) @float
[(true) (false)] @boolean
[(true) (false) (none) (integer) (float) (string)] @literal
(string) @string
(subscript subscript: (_) @counted)
(slice (_) @bound)
(slice ":" ":" (_) @step)
(call function: (identifier) @_range arguments: (argument_list (_) @bound) (#eq? @_range "range"))
(for_statement right: (call function: (identifier) @_range arguments: (argument_list (_) @loop_bound))
  (#eq? @_range "range"))
(for_in_clause right: (call function: (identifier) @_range arguments: (argument_list (_) @loop_bound))
  (#eq? @_range "range"))
(call function: (identifier) @_range arguments: (argument_list (_) (_) (_) @step) (#eq? @_range "range"))

; Calls
(call arguments: (argument_list)) @call
(await (_)) @unwrapped
