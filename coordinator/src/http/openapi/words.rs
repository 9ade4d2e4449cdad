//! The words in which an operation is described: plain data, which the document and the pages are made of.

use microtome_proto::Code;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

/// Operations that belong together.
pub(super) struct Theme {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    pub(super) operations: Vec<Operation>,
}

/// Which form something has.
pub(super) enum Form {
    /// That of a type.
    Of(fn(&mut SchemaGenerator) -> Schema),
    /// Written down here.
    Given(Value),
}

impl Form {
    pub(super) fn of<T: JsonSchema>() -> Self {
        Self::Of(|generator| generator.subschema_for::<T>())
    }
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

impl Place {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

/// A parameter of a request.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) text: &'static str,
    pub(super) form: Form,
    pub(super) is_required: bool,
    pub(super) example: Option<Value>,
}

impl Parameter {
    /// A part of the path, with one that it could be.
    pub(super) fn path(name: &'static str, text: &'static str, form: Form, example: impl Into<Value>) -> Self {
        Self { name, place: Place::Path, text, form, is_required: true, example: Some(example.into()) }
    }

    pub(super) fn query(name: &'static str, text: &'static str, form: Form) -> Self {
        Self { name, place: Place::Query, text, form, is_required: false, example: None }
    }

    pub(super) fn header(name: &'static str, text: &'static str, form: Form) -> Self {
        Self { name, place: Place::Header, text, form, is_required: false, example: None }
    }

    pub(super) fn required(self, example: impl Into<Value>) -> Self {
        Self { is_required: true, ..self.example(example) }
    }

    pub(super) fn example(self, example: impl Into<Value>) -> Self {
        Self { example: Some(example.into()), ..self }
    }
}

/// What a request's body is.
pub(super) struct Body {
    pub(super) media_type: &'static str,
    pub(super) form: Form,
    pub(super) is_required: bool,
    pub(super) example: Option<Value>,
}

/// A header of an answer.
pub(super) struct Header {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    pub(super) form: Value,
    pub(super) is_required: bool,
}

/// Where an answer leads: another operation, and where its parameters stand in the answer.
pub(super) struct Link {
    pub(super) name: &'static str,
    pub(super) operation: &'static str,
    pub(super) parameters: &'static [(&'static str, &'static str)],
}

/// One answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: &'static str,
    /// The media types that it may have, all of one form. None where there is no body.
    pub(super) media_types: &'static [&'static str],
    pub(super) form: Form,
    pub(super) headers: Vec<Header>,
    pub(super) links: Vec<Link>,
}

/// What may be asked of a server.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) text: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<Answer>,
    /// The codes of the problems that it may be answered with.
    pub(super) codes: Vec<Code>,
    /// Whether it wants no token, also where tokens are checked.
    pub(super) is_open: bool,
}

/// What each request may meet that a token is checked for.
const OF_ALL: &[Code] = &[
    Code::BadRequest,
    Code::Unauthorized,
    Code::TokenExpired,
    Code::MaterialTokenExpired,
    Code::Forbidden,
    Code::TokenRevoked,
    Code::NoRights,
    Code::HeadTooLarge,
    Code::TooManyRequests,
    Code::Internal,
    Code::NotReady,
];

impl Operation {
    fn new(method: &'static str, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self {
            method,
            path,
            id,
            summary,
            text: "",
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            codes: OF_ALL.to_vec(),
            is_open: false,
        }
    }

    pub(super) fn get(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new("get", path, id, summary)
    }

    pub(super) fn head(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new("head", path, id, summary)
    }

    pub(super) fn post(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new("post", path, id, summary)
    }

    pub(super) fn put(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new("put", path, id, summary)
    }

    pub(super) fn patch(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new("patch", path, id, summary)
    }

    pub(super) fn delete(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new("delete", path, id, summary)
    }

    pub(super) fn options(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new("options", path, id, summary).open()
    }

    pub(super) fn text(self, text: &'static str) -> Self {
        Self { text, ..self }
    }

    /// It wants no token.
    pub(super) fn open(self) -> Self {
        Self { is_open: true, codes: vec![Code::BadRequest, Code::HeadTooLarge, Code::Internal], ..self }
    }

    pub(super) fn with(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// A JSON body.
    pub(super) fn takes<T: JsonSchema>(self, example: Value) -> Self {
        self.takes_json(Form::of::<T>(), true, example)
    }

    /// A JSON body that may be left out.
    pub(super) fn may_take<T: JsonSchema>(self, example: Value) -> Self {
        self.takes_json(Form::of::<T>(), false, example)
    }

    fn takes_json(self, form: Form, is_required: bool, example: Value) -> Self {
        let body = Body { media_type: "application/json", form, is_required, example: Some(example) };
        Self { body: Some(body), ..self }.fails(&[Code::UnsupportedMediaType, Code::TooLarge, Code::TooSlow])
    }

    /// A body of plain bytes.
    pub(super) fn takes_bytes(self, media_type: &'static str, is_required: bool) -> Self {
        let form = Form::Given(serde_json::json!({}));
        let body = Body { media_type, form, is_required, example: None };
        Self { body: Some(body), ..self }.fails(&[Code::TooLarge, Code::TooSlow])
    }

    /// An answer in JSON.
    pub(super) fn gives<T: JsonSchema>(self, status: u16, text: &'static str) -> Self {
        self.answer(status, text, &["application/json"], Form::of::<T>())
    }

    /// An answer in one of these media types, whose form OpenAPI does not speak of.
    pub(super) fn gives_bytes(self, status: u16, text: &'static str, media_types: &'static [&'static str]) -> Self {
        self.answer(status, text, media_types, Form::Given(serde_json::json!({})))
    }

    /// An answer without a body.
    pub(super) fn gives_nothing(self, status: u16, text: &'static str) -> Self {
        self.gives_bytes(status, text, &[])
    }

    pub(super) fn answer(
        mut self,
        status: u16,
        text: &'static str,
        media_types: &'static [&'static str],
        form: Form,
    ) -> Self {
        let (headers, links) = (Vec::new(), Vec::new());
        self.answers.push(Answer { status, text, media_types, form, headers, links });
        self
    }

    /// Headers that the answer before this has always.
    pub(super) fn always(self, headers: impl IntoIterator<Item = (&'static str, &'static str, Value)>) -> Self {
        self.headers(true, headers)
    }

    /// Headers that it may have.
    pub(super) fn perhaps(self, headers: impl IntoIterator<Item = (&'static str, &'static str, Value)>) -> Self {
        self.headers(false, headers)
    }

    fn headers(
        mut self,
        is_required: bool,
        headers: impl IntoIterator<Item = (&'static str, &'static str, Value)>,
    ) -> Self {
        let headers = headers.into_iter().map(|(name, text, form)| Header { name, text, form, is_required });
        if let Some(answer) = self.answers.last_mut() {
            answer.headers.extend(headers);
        }
        self
    }

    /// Where the answer before this leads.
    pub(super) fn leads(mut self, links: impl IntoIterator<Item = Link>) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.links.extend(links);
        }
        self
    }

    pub(super) fn fails(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }

    /// It needs the coordinator that leads.
    pub(super) fn led(self) -> Self {
        self.fails(&[Code::NoLeader, Code::NotReady, Code::Unavailable])
    }
}
