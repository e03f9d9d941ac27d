; JavaScript alone: parameters without types
(formal_parameters [
  (identifier) @parameter
  (assignment_pattern left: (identifier) @parameter)
  (rest_pattern (identifier) @parameter)
  (object_pattern (shorthand_property_identifier_pattern) @parameter)
])
