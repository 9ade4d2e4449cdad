//! `/v1/uploads`: creation by tus 1.0. The bytes go to a node: `Location` tells which. Where some come with the creation
//! they are passed on there as they come.

use super::{
    App, Shared,
    check::{bad, digits},
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{AppendHeaders, IntoResponse as _, Response},
};
use microtome_proto::{Code, Problem, material::CreateMaterial, tus};
use std::time::Duration;

/// What an upload without a file name is called.
const NAME_DEFAULT: &str = "upload";

/// Time that a node has to tell how far an upload is.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Middleware: refuses other versions of tus, puts the version on each answer, and passes on the bytes that come with a
/// creation.
pub(super) async fn speak_tus(State(app): Shared, request: Request, next: Next) -> Response {
    let spoken = request.headers().get(tus::RESUMABLE).is_some_and(|version| version == tus::VERSION);
    let wanted = request.headers().get(tus::METHOD_OVERRIDE).map(|method| method.as_bytes().to_ascii_uppercase());
    let mut response = match wanted.as_deref() {
        Some(b"OPTIONS") => options().await,
        Some(method) if method != Method::POST.as_str().as_bytes() => {
            Problem::new(Code::MethodNotAllowed, "only POST and OPTIONS are served at /v1/uploads").into_response()
        }
        _ if spoken && brings_bytes(&request) => create_with_bytes(&app, request, next).await,
        _ if spoken => next.run(request).await,
        _ => Problem::new(Code::TusVersion, "the request does not say 'Tus-Resumable: 1.0.0'").into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(tus::RESUMABLE, HeaderValue::from_static(tus::VERSION));
    headers.insert(tus::TUS_VERSION, HeaderValue::from_static(tus::VERSION));
    response
}

fn brings_bytes(request: &Request) -> bool {
    let media_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    media_type.eq_ignore_ascii_case(tus::PATCH_TYPE.as_bytes())
}

/// Makes the upload without its bytes, as the leader does, and sends them to the node that takes them. What the node says
/// of them is the answer; where it does not say, it is asked how far they came. Trailers are not passed on: where the
/// checksum is in one nothing is taken, and the sender goes on at `Location`.
async fn create_with_bytes(app: &App, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let token = parts.headers.get(header::AUTHORIZATION).cloned().map(|token| (header::AUTHORIZATION, token));
    let spoken = [(HeaderName::from_static(tus::RESUMABLE), HeaderValue::from_static(tus::VERSION))];
    let asking = HeaderMap::from_iter(spoken.into_iter().chain(token));
    let mut sending = asking.clone();
    sending.insert(header::CONTENT_TYPE, HeaderValue::from_static(tus::PATCH_TYPE));
    sending.insert(tus::OFFSET, HeaderValue::from(0));
    // They are the body's, and the creation itself has none.
    for name in [header::CONTENT_LENGTH, HeaderName::from_static(tus::CHECKSUM)] {
        sending.extend(parts.headers.remove(&name).map(|value| (name, value)));
    }
    parts.headers.remove(header::CONTENT_TYPE);
    let takes_none = tus::has_checksum_trailer(&parts.headers);
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut created = next.run(Request::from_parts(parts, Body::empty())).await;
    let location = created.headers().get(header::LOCATION).filter(|_| created.status() == StatusCode::CREATED).cloned();
    let Some(location) = location else { return created };
    created.headers_mut().insert(tus::OFFSET, HeaderValue::from(0));
    if takes_none {
        return created;
    }
    let url = format!("{}{query}", location.to_str().unwrap_or_default());
    let http = app.group.peers().http();
    let body = reqwest::Body::wrap_stream(body.into_data_stream());
    let told = match http.patch(&url).headers(sending).body(body).send().await {
        Ok(answer) if !answer.status().is_success() => {
            return match answer.json::<Problem>().await {
                Ok(problem) => (AppendHeaders([(header::LOCATION, location)]), problem).into_response(),
                Err(_) => created,
            };
        }
        Ok(answer) => Ok(answer),
        Err(error) => {
            tracing::debug!(%error, "the bytes of a creation did not all reach their node");
            http.head(&url).headers(asking).timeout(ANSWER_WITHIN).send().await
        }
    };
    for name in [tus::OFFSET, tus::EXPIRES] {
        if let Some(value) = told.as_ref().ok().and_then(|answer| answer.headers().get(name)) {
            created.headers_mut().insert(name, value.clone());
        }
    }
    created
}

/// `OPTIONS /v1/uploads`.
pub(super) async fn options() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(tus::RESUMABLE, HeaderValue::from_static(tus::VERSION));
    for (name, value) in tus::abilities() {
        headers.extend(HeaderValue::try_from(value).map(|value| (HeaderName::from_static(name), value)));
    }
    response
}

/// `POST /v1/uploads`.
pub(super) async fn create(State(app): Shared, headers: HeaderMap) -> Result<Response, Problem> {
    let (material, created) = app.create(&headers, wanted(&headers)?, is_deferred(&headers)).await?;
    // An empty file has arrived when it is made; whoever asks there is told that it is whole.
    let whole = || material.replicas.first().map(|replica| format!("{}/v1/uploads/{}", replica.url, material.id));
    let Some(url) = material.upload_url.clone().or_else(whole) else {
        return Err(Problem::new(Code::Gone, format!("{} was deleted meanwhile", material.id)));
    };
    let mut response = (StatusCode::CREATED, [(header::LOCATION, url)]).into_response();
    response.headers_mut().extend(created.upload_expires.map(|at| (HeaderName::from_static(tus::EXPIRES), at)));
    Ok(response)
}

fn is_deferred(headers: &HeaderMap) -> bool {
    headers.contains_key(tus::DEFER_LENGTH)
}

fn wanted(headers: &HeaderMap) -> Result<CreateMaterial, Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let size = match (text(tus::LENGTH), text(tus::DEFER_LENGTH)) {
        (Some(length), None) => {
            digits(length).ok_or_else(|| bad(format!("Upload-Length is '{length}': it must be a number of bytes")))?
        }
        (None, Some("1")) => 0,
        (None, Some(other)) => return Err(bad(format!("Upload-Defer-Length is '{other}': it can be 1 only"))),
        (None, None) => return Err(bad("Upload-Length is missing, and Upload-Defer-Length, too")),
        (Some(_), Some(_)) => return Err(bad("Upload-Length is there, and Upload-Defer-Length, too")),
    };
    let metadata = tus::parse_metadata(text(tus::METADATA).unwrap_or_default()).map_err(|e| bad(e.to_string()))?;
    let value = |key: &str| metadata.get(key).filter(|value| !value.is_empty()).cloned();
    let population = value("population").map(|text| {
        text.parse().map_err(|_| bad(format!("population in Upload-Metadata is '{text}': it must be a number")))
    });
    Ok(CreateMaterial {
        name: value("filename").or_else(|| value("name")).unwrap_or_else(|| NAME_DEFAULT.to_owned()),
        size,
        media_type: value("filetype"),
        blake3: value("blake3"),
        population: population.transpose()?,
        origin: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Result<CreateMaterial, Problem> {
        wanted(&pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect())
    }

    #[test]
    fn a_creation_is_read_from_its_headers() {
        let metadata = tus::format_metadata([("filename", "a b.svs"), ("filetype", "image/tiff"), ("population", "3")]);
        let wanted = read(&[("upload-length", "7"), ("upload-metadata", &metadata)]).unwrap();
        assert_eq!((wanted.name.as_str(), wanted.size, wanted.population), ("a b.svs", 7, Some(3)));
        assert_eq!(wanted.media_type.as_deref(), Some("image/tiff"));
        assert_eq!(read(&[("upload-length", "7")]).unwrap().name, "upload");
    }

    #[test]
    fn a_length_is_needed_or_that_it_comes_later() {
        let (length, deferred) = (("upload-length", "7"), ("upload-defer-length", "1"));
        for headers in [&[][..], &[("upload-length", "-1")], &[("upload-length", "x")], &[length, deferred]] {
            assert_eq!(read(headers).unwrap_err().code, Code::BadRequest);
        }
        assert_eq!(read(&[("upload-defer-length", "2")]).unwrap_err().code, Code::BadRequest);
        assert_eq!(read(&[deferred]).unwrap().size, 0);
    }
}
