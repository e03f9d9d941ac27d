; C++ alone
[(lambda_expression) (for_range_loop) (catch_clause) (if_statement)] @scope
(for_range_loop body: (compound_statement) @loop)
[
  (throw_statement) (field_initializer_list) (template_argument_list) (template_parameter_list) (class_specifier)
  (decltype) (static_assert_declaration)
] @opaque
(throw_statement) @statement
(throw_statement) @throw
[(if_statement condition: (condition_clause value: (_) @condition))
 (while_statement condition: (condition_clause value: (_) @condition))]
(subscript_expression indices: (subscript_argument_list (_) @counted))
(qualified_identifier [(identifier) @fixed (namespace_identifier)])
(template_function name: (identifier) @fixed)
(template_method name: (field_identifier) @attribute)
(parameter_declaration declarator: (reference_declarator (identifier) @parameter))
(optional_parameter_declaration declarator: (identifier) @parameter)
(declaration declarator: [
  (reference_declarator (identifier) @variable)
  (init_declarator declarator: (reference_declarator (identifier) @variable))
  (init_declarator declarator: (structured_binding_declarator (identifier) @variable))
])
(init_declarator declarator: (reference_declarator (identifier)) value: (identifier)) @alias
(for_range_loop declarator: [
  (identifier) @variable
  (reference_declarator (identifier) @variable)
  (structured_binding_declarator (identifier) @variable)
])
(expression_statement (delete_expression)) @action
(new_expression arguments: (argument_list)) @call
(co_await_expression argument: (_)) @unwrapped
