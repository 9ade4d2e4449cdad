//! The description as pages for people: plain HTML, which needs nothing from elsewhere.

use super::{
    document::{by_status, document},
    forms::{self, kind, plain},
    words::{Operation, Place, Theme},
};
use microtome_proto::Code;
use serde_json::Value;
use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

/// The console's colours, and little else.
const STYLE: &str = include_str!("page.css");

/// `/docs`.
pub(super) fn operations(themes: &[Theme]) -> String {
    let document = document(themes, true);
    let schemas = document["components"]["schemas"].as_object();
    page("Microtome: the API", |out| {
        let (version, count) = (env!("CARGO_PKG_VERSION"), themes.iter().map(|theme| theme.operations.len()).sum());
        let count: usize = count;
        write!(
            out,
            "<h1>The API of Microtome {version}</h1><p>{count} operations, as <a href=\"/openapi.json\">openapi.json</a> \
             describes them to programs. Any coordinator or node may be asked: it answers, or leads (307) to a server that \
             does. Errors are <a href=\"/docs/problems\">problems with a code</a>, a cause and a way out. Where the cluster \
             checks tokens, send one as <code>Authorization: Bearer …</code>, as <code>?token=…</code>, or, to read, in the \
             cookie <code>microtome_token</code>.</p><nav>"
        )?;
        for theme in themes {
            write!(out, "<a href=\"#{}\">{}</a>", anchor(theme.name), escaped(theme.name))?;
        }
        out.write_str("<a href=\"#forms\">Forms</a></nav>")?;
        for theme in themes {
            let (anchor, name, text) = (anchor(theme.name), escaped(theme.name), escaped(theme.text));
            write!(out, "<h2 id=\"{anchor}\">{name}</h2><p class=\"muted\">{text}</p>")?;
            for operation in &theme.operations {
                tell(out, operation, &document["paths"][operation.path][operation.method])?;
            }
        }
        out.write_str("<h2 id=\"forms\">Forms</h2><p class=\"muted\">What requests and answers are made of.</p>")?;
        schemas.map_or(Ok(()), |schemas| forms::tell(out, schemas))
    })
}

/// `/docs/problems`.
pub(super) fn problems() -> String {
    page("Microtome: problems", |out| {
        out.write_str(
            "<h1>Problems</h1><p>Each error is <code>application/problem+json</code> (RFC 9457). Its <code>code</code> \
             never changes its meaning; <code>detail</code> tells what happened, to what, and why. \
             <a href=\"/docs\">The operations</a> tell which they may be answered with.</p><nav>",
        )?;
        for code in Code::ALL {
            write!(out, "<a href=\"#{code}\"><code>{code}</code></a>")?;
        }
        out.write_str("</nav>")?;
        for code in Code::ALL {
            let (status, title) = (code.status(), escaped(code.title()));
            write!(
                out,
                "<section class=\"told\" id=\"{code}\"><code>{code}</code> <span class=\"muted\">{status}</span> \
                 <strong>{title}</strong><dl><dt>Cause</dt><dd>{}</dd><dt>Way out</dt><dd>{}</dd></dl></section>",
                marked(code.cause()),
                marked(code.way_out()),
            )?;
        }
        Ok(())
    })
}

fn page(title: &str, fill: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body>"
    );
    // A string takes all that is written to it.
    let _ = fill(&mut out);
    out.push_str("</body></html>\n");
    out
}

/// An operation, of which the document says what `described` is.
fn tell(out: &mut String, operation: &Operation, described: &Value) -> fmt::Result {
    let Operation { method, path, id, summary, text, .. } = operation;
    let (path, summary) = (escaped(path), escaped(summary));
    write!(
        out,
        "<details id=\"{id}\"><summary><span class=\"method\">{}</span> <code>{path}</code><span \
         class=\"muted\">{summary}</span></summary>",
        method.to_uppercase()
    )?;
    if !text.is_empty() {
        write!(out, "<p>{}</p>", marked(text))?;
    }
    if !operation.parameters.is_empty() {
        out.write_str("<table><tr><th>Parameter</th><th>in</th><th>form</th><th></th></tr>")?;
        for (at, parameter) in operation.parameters.iter().enumerate() {
            let needed = if parameter.is_required { "" } else { " <span class=\"muted\">(may be left out)</span>" };
            write!(
                out,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}{needed}</td></tr>",
                escaped(parameter.name),
                parameter.place.name(),
                kind(&described["parameters"][at]["schema"]),
                marked(parameter.text)
            )?;
        }
        out.write_str("</table>")?;
    }
    if let Some(body) = &operation.body {
        let form = &described["requestBody"]["content"][body.media_type]["schema"];
        let form = if body.example.is_some() { kind(form) } else { "bytes".to_owned() };
        let needed = if body.is_required { "" } else { " <span class=\"muted\">(may be left out)</span>" };
        write!(out, "<p>Body: {form} <span class=\"muted\">{}</span>{needed}</p>", body.media_type)?;
    }
    out.write_str("<table><tr><th>Status</th><th>Answer</th></tr>")?;
    for answer in &operation.answers {
        let media_types = answer.media_types.join(", ");
        let (status, text) = (answer.status, marked(answer.text));
        let content = described["responses"][status.to_string()]["content"].as_object();
        let form = content.and_then(|content| content.values().next()?.get("schema")).map(kind).unwrap_or_default();
        write!(out, "<tr><td>{status}</td><td>{text} {form} <span class=\"muted\">{media_types}</span></td></tr>")?;
    }
    for (status, codes) in by_status(&operation.codes, true) {
        let links: Vec<_> = codes.iter().map(|code| format!("<a href=\"/docs/problems#{code}\">{code}</a>")).collect();
        write!(out, "<tr><td>{status}</td><td>{}</td></tr>", links.join(", "))?;
    }
    write!(out, "</table><pre>{}</pre></details>", escaped(&curl(operation)))
}

/// How it is asked for on a command line.
fn curl(operation: &Operation) -> String {
    let (mut path, mut query, mut rest) = (operation.path.to_owned(), String::new(), String::new());
    for parameter in &operation.parameters {
        let Some(example) = parameter.example.as_ref().map(plain) else { continue };
        match parameter.place {
            Place::Path => path = path.replace(&format!("{{{}}}", parameter.name), &example),
            Place::Query => {
                let _ = write!(query, "{}{}={example}", if query.is_empty() { '?' } else { '&' }, parameter.name);
            }
            Place::Header => {
                let _ = write!(rest, " \\\n  -H '{}: {example}'", parameter.name);
            }
        }
    }
    if let Some(body) = operation.body.as_ref().filter(|body| body.is_required || body.example.is_some()) {
        let sent = body.example.as_ref().map_or_else(|| "@part".to_owned(), Value::to_string);
        let flag = if body.example.is_some() { "-d" } else { "--data-binary" };
        let _ = write!(rest, " \\\n  -H 'Content-Type: {}' {flag} '{sent}'", body.media_type);
    }
    let method = match operation.method {
        "get" => String::new(),
        "head" => " --head".to_owned(),
        other => format!(" -X {}", other.to_uppercase()),
    };
    format!("curl -L{method} 'http://127.0.0.1:7400{path}{query}'{rest}")
}

fn anchor(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

/// What stands between backticks as code.
pub(super) fn marked(text: &str) -> String {
    let parts = escaped(text);
    let mut is_code = false;
    let mut out = String::with_capacity(parts.len());
    for (index, part) in parts.split('`').enumerate() {
        if index > 0 {
            is_code = !is_code;
            out.push_str(if is_code { "<code>" } else { "</code>" });
        }
        out.push_str(part);
    }
    if is_code {
        out.push_str("</code>");
    }
    out
}

pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"']) {
        return text.into();
    }
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_cannot_break_out_of_the_page() {
        assert_eq!(marked("`a<b` & \"c\""), "<code>a&lt;b</code> &amp; &quot;c&quot;");
        assert_eq!(marked("an `open end"), "an <code>open end</code>");
    }
}
