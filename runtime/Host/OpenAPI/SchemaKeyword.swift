/// What a keyword of JSON Schema (draft 2020-12) takes. Keywords that are not here may have any value.
enum SchemaKeyword {
    case schema
    case schemas
    case schemasByName
    case type
    case reference
    case names
    case namesByName
    case count
    case number
    case positive
    case flag
    case text
    case values
    /// Keywords by which schemas are found elsewhere than by their place.
    case unsupported(String)
    /// Of no meaning inside another document.
    case dropped

    /// The keyword of that name, or `nil` for one that may have any value.
    init?(_ name: String) {
        switch name {
        case "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then",
            "unevaluatedItems", "unevaluatedProperties":
            self = .schema
        case "allOf", "anyOf", "oneOf", "prefixItems": self = .schemas
        case "$defs", "definitions", "dependentSchemas", "patternProperties", "properties": self = .schemasByName
        case "type": self = .type
        case "$ref": self = .reference
        case "required": self = .names
        case "dependentRequired": self = .namesByName
        case "maxContains", "maxItems", "maxLength", "maxProperties", "minContains", "minItems", "minLength",
            "minProperties":
            self = .count
        case "exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum": self = .number
        case "multipleOf": self = .positive
        case "deprecated", "readOnly", "uniqueItems", "writeOnly": self = .flag
        case "$comment", "contentEncoding", "contentMediaType", "description", "format", "pattern", "title":
            self = .text
        case "enum", "examples": self = .values
        case "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef", "$vocabulary":
            self = .unsupported("is not supported here; use $ref with a JSON pointer, as in \"#/$defs/name\"")
        case "$id", "$schema": self = .dropped
        default: return nil
        }
    }

    /// The names of types.
    static let types = ["array", "boolean", "integer", "null", "number", "object", "string"]
}
