//! The description as OpenAPI 3.1 has it.

use super::words::{Answer, Body, Form, Operation, Parameter, Theme};
use microtome_proto::{Code, Problem, token::may_be_for_all};
use schemars::{
    SchemaGenerator,
    generate::{Contract, SchemaSettings},
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, iter};

/// The version of OpenAPI.
const OPENAPI: &str = "3.1.0";
const ABOUT: &str = "\
Microtome keeps whole-slide images on storage nodes and works on them in place. Every coordinator and every node may be \
asked all of this: it answers, or leads (307) to a server that does. Answers that are not of JSON or pixels are problems \
(RFC 9457) with a stable `code`; /docs/problems lists them with cause and way out. Parameters of the query that are not \
described are passed over.";

/// Makes schemas of types: those of requests are read, those of answers written, and differ in what may be left out.
struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let generator = |contract: Contract| {
            let settings = SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
                settings.contract = contract;
            });
            settings.into_generator()
        };
        Self { read: generator(Contract::Deserialize), written: generator(Contract::Serialize) }
    }

    fn read(&mut self, form: &Form) -> Value {
        of(&mut self.read, form)
    }

    fn written(&mut self, form: &Form) -> Value {
        of(&mut self.written, form)
    }

    fn into_all(mut self) -> Map<String, Value> {
        let mut all = self.read.take_definitions(true);
        all.extend(self.written.take_definitions(true));
        all
    }
}

fn of(generator: &mut SchemaGenerator, form: &Form) -> Value {
    match form {
        Form::Of(schema) => schema(generator).to_value(),
        Form::Given(schema) => schema.clone(),
    }
}

/// The whole document. Where tokens are not checked it asks for none.
pub(super) fn document(themes: &[Theme], checks_tokens: bool) -> Value {
    let mut schemas = Schemas::new();
    let mut responses = Map::new();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for theme in themes {
        for operation in &theme.operations {
            let described = described(theme, operation, checks_tokens, &mut schemas, &mut responses);
            paths.entry(operation.path).or_default().insert(operation.method.to_owned(), described);
        }
    }
    let tags: Vec<_> = themes.iter().map(|theme| json!({ "name": theme.name, "description": theme.text })).collect();
    let security = if checks_tokens { ways() } else { Vec::new() };
    let mut document = json!({
        "openapi": OPENAPI,
        "info": {
            "title": "Microtome",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The server that this comes from." }],
        "tags": tags,
        "security": security,
        "paths": paths,
        "components": {
            "schemas": schemas.into_all(),
            "responses": responses,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token of 'microtome login', 'microtome token', or your identity provider.",
                },
                "query": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "token",
                    "description": "The same in the address, for pictures and links, whose asker can set no header.",
                },
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "microtome_token",
                    "description": "The same as a cookie, for GET and HEAD alone.",
                },
            },
        },
    });
    bound(&mut document);
    document
}

/// How a request may say who asks: one of these.
fn ways() -> Vec<Value> {
    vec![json!({ "bearer": [] }), json!({ "query": [] }), json!({ "cookie": [] })]
}

/// Says where the numbers of a format end: to JSON Schema a format is a word.
fn bound(value: &mut Value) {
    let fields = match value {
        Value::Object(fields) => fields,
        Value::Array(items) => return items.iter_mut().for_each(bound),
        _ => return,
    };
    let largest = match fields.get("format").and_then(Value::as_str) {
        Some("uint32") => Some(u64::from(u32::MAX)),
        Some("uint64") => Some(u64::MAX),
        _ => None,
    };
    if let Some(largest) = largest {
        fields.entry("maximum").or_insert(largest.into());
    }
    fields.values_mut().for_each(bound);
}

fn described(
    theme: &Theme,
    operation: &Operation,
    checks_tokens: bool,
    schemas: &mut Schemas,
    shared: &mut Map<String, Value>,
) -> Value {
    let mut described = Map::from_iter([
        ("operationId".to_owned(), json!(operation.id)),
        ("summary".to_owned(), json!(operation.summary)),
        ("tags".to_owned(), json!([theme.name])),
    ]);
    let mut add = |name: &str, value: Value| described.insert(name.to_owned(), value);
    if !operation.text.is_empty() {
        add("description", json!(operation.text));
    }
    if operation.is_open {
        add("security", json!([]));
    } else if checks_tokens && is_for_all(operation) {
        // No way is one of them.
        add("security", iter::once(json!({})).chain(ways()).collect());
    }
    let parameters: Vec<_> = operation.parameters.iter().map(|given| parameter(given, schemas)).collect();
    if !parameters.is_empty() {
        add("parameters", parameters.into());
    }
    if let Some(given) = &operation.body {
        add("requestBody", body(given, schemas));
    }
    let mut answers = Map::new();
    for given in &operation.answers {
        answers.insert(given.status.to_string(), answer(given, schemas));
    }
    for (status, codes) in by_status(&operation.codes, checks_tokens) {
        let name = codes.iter().map(|code| format!("{code:?}")).collect::<String>();
        // HEAD tells the status and the headers alone.
        let name = if operation.method == "head" { format!("Head{name}") } else { name };
        if !shared.contains_key(&name) {
            shared.insert(name.clone(), problem(status, &codes, operation.method == "head", schemas));
        }
        answers.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{name}") }));
    }
    add("responses", answers.into());
    described.into()
}

/// Whether some need no token for it: for what lies in a space that shows it to everybody.
fn is_for_all(operation: &Operation) -> bool {
    operation.method.to_uppercase().parse().is_ok_and(|method| may_be_for_all(&method, operation.path))
}

/// An operation's codes by their statuses. Where tokens are not checked nobody lacks one.
pub(super) fn by_status(codes: &[Code], checks_tokens: bool) -> BTreeMap<u16, Vec<Code>> {
    let mut all: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in Code::ALL.iter().filter(|code| codes.contains(code)) {
        if checks_tokens || code.status() != 401 {
            all.entry(code.status()).or_default().push(*code);
        }
    }
    all
}

fn parameter(given: &Parameter, schemas: &mut Schemas) -> Value {
    let mut told = json!({
        "name": given.name,
        "in": given.place.name(),
        "description": given.text,
        "required": given.is_required,
        "schema": schemas.read(&given.form),
    });
    if let Some(example) = &given.example {
        told["example"] = example.clone();
    }
    told
}

fn body(given: &Body, schemas: &mut Schemas) -> Value {
    let mut content = json!({ "schema": schemas.read(&given.form) });
    if let Some(example) = &given.example {
        content["example"] = example.clone();
    }
    json!({ "required": given.is_required, "content": { given.media_type: content } })
}

fn answer(given: &Answer, schemas: &mut Schemas) -> Value {
    let mut told = json!({ "description": given.text });
    let form = content(schemas.written(&given.form));
    if !given.media_types.is_empty() {
        let media_types = given.media_types.iter().map(|media_type| ((*media_type).to_owned(), form.clone()));
        told["content"] = Map::from_iter(media_types).into();
    }
    if !given.headers.is_empty() {
        let headers = given.headers.iter().map(|header| {
            let told = json!({ "description": header.text, "required": header.is_required, "schema": header.form });
            (header.name.to_owned(), told)
        });
        told["headers"] = Map::from_iter(headers).into();
    }
    if !given.links.is_empty() {
        let links = given.links.iter().map(|link| {
            let parameters = link.parameters.iter().map(|(name, from)| ((*name).to_owned(), json!(from)));
            let told = json!({ "operationId": link.operation, "parameters": Map::from_iter(parameters) });
            (link.name.to_owned(), told)
        });
        told["links"] = Map::from_iter(links).into();
    }
    told
}

/// What a media type has: of plain bytes there is no schema.
fn content(schema: Value) -> Value {
    if schema == json!({}) { schema } else { json!({ "schema": schema }) }
}

/// What all problems of a status have in common, and which codes they have.
fn problem(status: u16, codes: &[Code], has_no_body: bool, schemas: &mut Schemas) -> Value {
    let each: Vec<_> = codes.iter().map(|code| format!("`{code}`: {}.", code.title())).collect();
    let mut told = json!({ "description": each.join(" ") });
    if !has_no_body {
        let form = Form::Of(|generator| generator.subschema_for::<Problem>());
        let of_these = json!({ "status": { "const": status }, "code": { "enum": codes } });
        told["content"] = json!({ "application/problem+json": {
            "schema": { "allOf": [schemas.written(&form), { "properties": of_these }] },
        } });
    }
    let header = |text: &str, form: Value| json!({ "description": text, "required": true, "schema": form });
    if status == 401 {
        told["headers"] = json!({ "WWW-Authenticate": header("How to say who asks.", json!({ "type": "string" })) });
    }
    if Problem::new(codes.first().copied().unwrap_or(Code::Internal), "").retry_after_s.is_some() {
        let seconds = json!({ "type": "integer", "minimum": 1 });
        told["headers"] = json!({ "Retry-After": header("Seconds after which a retry has a chance.", seconds) });
    }
    told
}

/// The schemas' names, for the test that one name has one meaning.
#[cfg(test)]
pub(super) fn names_in_both(themes: &[Theme]) -> Vec<(String, Value, Value)> {
    let mut schemas = Schemas::new();
    let mut responses = Map::new();
    for theme in themes {
        for operation in &theme.operations {
            let _ = described(theme, operation, true, &mut schemas, &mut responses);
        }
    }
    let (read, written) = (schemas.read.take_definitions(true), schemas.written.take_definitions(true));
    read.into_iter().filter_map(|(name, schema)| Some((name.clone(), schema, written.get(&name)?.clone()))).collect()
}
