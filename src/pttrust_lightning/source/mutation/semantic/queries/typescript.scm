; TypeScript alone: types, and parameters with them
[(type_annotation) (type_arguments) (type_parameters) (interface_body) (enum_body) (decorator)] @opaque
[(type_alias_declaration) (ambient_declaration)] @opaque
[
  (required_parameter pattern: [(identifier) @parameter (rest_pattern (identifier) @parameter)])
  (optional_parameter pattern: (identifier) @parameter)
]
(required_parameter pattern: (object_pattern (shorthand_property_identifier_pattern) @parameter))
