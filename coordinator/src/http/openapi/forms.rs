//! The forms of requests and answers, told to people: what JSON Schema says, in a few words.

use super::page::{escaped, marked};
use serde_json::{Map, Value};
use std::fmt::{self, Write as _};

/// Every form that has a name, with its fields.
pub(super) fn tell(out: &mut String, schemas: &Map<String, Value>) -> fmt::Result {
    for (name, schema) in schemas {
        write!(out, "<section class=\"told\" id=\"form-{name}\"><code>{name}</code>")?;
        if let Some(text) = schema.get("description").and_then(Value::as_str) {
            write!(out, " <span class=\"muted\">{}</span>", marked(text))?;
        }
        match schema.get("properties").and_then(Value::as_object) {
            Some(fields) => table(out, schema, fields)?,
            None => write!(out, "<p>{}</p>", kind(schema))?,
        }
        out.write_str("</section>")?;
    }
    Ok(())
}

fn table(out: &mut String, schema: &Value, fields: &Map<String, Value>) -> fmt::Result {
    let required = schema.get("required").and_then(Value::as_array);
    out.write_str("<table><tr><th>Field</th><th>form</th><th></th></tr>")?;
    for (name, field) in fields {
        let is_required = required.is_some_and(|names| names.iter().any(|required| required == name));
        let needed = if is_required { "" } else { " <span class=\"muted\">(may be left out)</span>" };
        let text = field.get("description").and_then(Value::as_str).unwrap_or_default();
        let name = escaped(name);
        write!(out, "<tr><td><code>{name}</code></td><td>{}</td><td>{}{needed}</td></tr>", kind(field), marked(text))?;
    }
    out.write_str("</table>")
}

/// A form in a few words of HTML: a link where it has a name.
pub(super) fn kind(schema: &Value) -> String {
    let text = |name: &str| schema.get(name).map(|value| escaped(&plain(value)).into_owned());
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
        return format!("<a href=\"#form-{name}\">{name}</a>");
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.iter().map(|value| escaped(&plain(value)).into_owned()).collect::<Vec<_>>().join(", ");
    }
    if let Some(only) = text("const") {
        return only;
    }
    if let Some(choices) = schema.get("anyOf").or(schema.get("oneOf")).and_then(Value::as_array) {
        let told = choices.iter().filter(|choice| choice["type"] != "null").map(kind);
        return told.collect::<Vec<_>>().join(", ");
    }
    if let Some(items) = schema.get("items") {
        return format!("list of {}", kind(items));
    }
    let name = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().find(|name| **name != "null").map(plain).unwrap_or_default(),
        Some(name) => plain(name),
        None => "anything".to_owned(),
    };
    match (text("minimum"), text("maximum"), text("pattern"), text("format")) {
        (Some(from), Some(to), ..) => format!("{name}, {from} to {to}"),
        (Some(from), None, ..) => format!("{name} from {from}"),
        (None, Some(to), ..) => format!("{name} to {to}"),
        (.., Some(pattern), _) => format!("{name}, <code>{pattern}</code>"),
        (.., Some(format)) if name == "string" => format!("{name}, {format}"),
        _ => name,
    }
}

/// A text as it is, anything else as JSON.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forms_are_told_in_a_few_words() {
        for (schema, told) in [
            (json!({ "$ref": "#/components/schemas/Run" }), "<a href=\"#form-Run\">Run</a>"),
            (json!({ "type": ["integer", "null"], "minimum": 1, "maximum": 16 }), "integer, 1 to 16"),
            (json!({ "anyOf": [{ "$ref": "#/x/Drain" }, { "type": "null" }] }), "<a href=\"#form-Drain\">Drain</a>"),
            (json!({ "oneOf": [{ "const": "up" }, { "const": "down" }] }), "up, down"),
            (json!({ "type": "array", "items": { "type": "string" } }), "list of string"),
            (json!({ "type": "string", "pattern": "^<$" }), "string, <code>^&lt;$</code>"),
            (json!({}), "anything"),
        ] {
            assert_eq!(kind(&schema), told);
        }
    }
}
