//! `/v1/uploads`: creation by tus 1.0. The bytes go to a node: `Location` tells which. Where some come with the creation
//! they are passed on there as they come.

use super::{
    App, Shared,
    access::By,
    check::{bad, digits},
    leader,
    materials::Sending,
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{AppendHeaders, IntoResponse as _, Response},
};
use microtome_proto::{
    Code, Problem,
    limits::UPLOAD_METADATA_KEPT_LEN_MAX,
    material::{CreateMaterial, Material},
    tus::{self, Concat, InvalidConcat},
};
use microtome_server::auth::Asker;
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
        _ if spoken && brings_bytes(&request) && is_final(request.headers()) => {
            bad("a file that is put together from parts takes no bytes: send none with its creation").into_response()
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

fn is_final(headers: &HeaderMap) -> bool {
    text(headers, tus::CONCAT).is_some_and(tus::is_final)
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
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
    let peers = app.group.peers();
    let body = reqwest::Body::wrap_stream(body.into_data_stream());
    let told = match peers.pass_on(Method::PATCH, &url).headers(sending).body(body).send().await {
        Ok(answer) if !answer.status().is_success() => {
            return match answer.json::<Problem>().await {
                Ok(problem) => (AppendHeaders([(header::LOCATION, location)]), problem).into_response(),
                Err(_) => created,
            };
        }
        Ok(answer) => Ok(answer),
        Err(error) => {
            // Its address may carry a token.
            let error = error.without_url();
            tracing::debug!(%error, "the bytes of a creation did not all reach their node");
            peers.pass_on(Method::HEAD, &url).headers(asking).timeout(ANSWER_WITHIN).send().await
        }
    };
    for name in [tus::OFFSET, tus::EXPIRES] {
        if let Some(value) = told.as_ref().ok().and_then(|answer| answer.headers().get(name)) {
            created.headers_mut().insert(name, value.clone());
        }
    }
    created
}

/// Who sends a request, as far as it can be told: the token's bearer, and where from. A hint: whoever feigns another has
/// their parts on that one's node.
fn sender(request: &Parts) -> Result<String, Problem> {
    let bearer = Asker::of(&request.extensions)?.name();
    let through = text(&request.headers, "x-forwarded-for").map(str::to_owned);
    Ok(format!("{bearer}|{}", through.unwrap_or_else(|| leader::peer(request))))
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
pub(super) async fn create(State(app): Shared, request: Parts) -> Result<Response, Problem> {
    let headers = &request.headers;
    let asker = Asker::of(&request.extensions)?;
    let By(by) = By::of(&app, &request).await?;
    let (material, created) = match text(headers, tus::CONCAT).map(|given| (given, given.parse())) {
        None => {
            let wanted = wanted(headers)?;
            let sending = Sending { terms: app.terms(asker, &wanted, headers)?, by, ..sending(&request, asker) };
            app.create(headers, wanted, sending).await?
        }
        Some((_, Ok(Concat::Partial))) => {
            let sending = Sending { part_from: Some(sender(&request)?), by, ..sending(&request, asker) };
            app.create(headers, wanted(headers)?, sending).await?
        }
        Some((given, Ok(Concat::Final(parts)))) => {
            let wanted = wanted_of_parts(headers)?;
            let sending = Sending { terms: app.terms(asker, &wanted, headers)?, by, ..sending(&request, asker) };
            let material = app.join(headers, wanted, (parts, given.to_owned()), sending).await?;
            // Where it has no place just now, whoever is asked leads there when it has.
            let place = place(&material).unwrap_or_else(|_| format!("/v1/uploads/{}", material.id));
            return Ok((StatusCode::CREATED, [(header::LOCATION, place)]).into_response());
        }
        Some((_, Err(invalid))) => return Err(bad(InvalidConcat::to_string(&invalid))),
    };
    let mut response = (StatusCode::CREATED, [(header::LOCATION, place(&material)?)]).into_response();
    response.headers_mut().extend(created.upload_expires.map(|at| (HeaderName::from_static(tus::EXPIRES), at)));
    Ok(response)
}

/// Where its bytes go, or are told of.
pub(super) fn place(material: &Material) -> Result<String, Problem> {
    // An empty file has arrived when it is made; whoever asks there is told that it is whole.
    let whole = || material.replicas.first().map(|replica| format!("{}/v1/uploads/{}", replica.url, material.id));
    let url = material.upload_url.clone().or_else(whole);
    url.ok_or_else(|| Problem::new(Code::Gone, format!("{} was deleted meanwhile", material.id)))
}

fn sending(request: &Parts, asker: &Asker) -> Sending {
    let size_deferred = request.headers.contains_key(tus::DEFER_LENGTH);
    let metadata = text(&request.headers, tus::METADATA).filter(|all| all.len() <= UPLOAD_METADATA_KEPT_LEN_MAX);
    let metadata = metadata.map(str::to_owned);
    Sending { size_deferred, owner: asker.owner(), metadata, ..Sending::default() }
}

fn wanted(headers: &HeaderMap) -> Result<CreateMaterial, Problem> {
    let size = match (text(headers, tus::LENGTH), text(headers, tus::DEFER_LENGTH)) {
        (Some(length), None) => {
            digits(length).ok_or_else(|| bad(format!("Upload-Length is '{length}': it must be a number of bytes")))?
        }
        (None, Some("1")) => 0,
        (None, Some(other)) => return Err(bad(format!("Upload-Defer-Length is '{other}': it can be 1 only"))),
        (None, None) => return Err(bad("Upload-Length is missing, and Upload-Defer-Length, too")),
        (Some(_), Some(_)) => return Err(bad("Upload-Length is there, and Upload-Defer-Length, too")),
    };
    described(headers, size)
}

/// Of a file that is put together the parts tell the length.
fn wanted_of_parts(headers: &HeaderMap) -> Result<CreateMaterial, Problem> {
    match [tus::LENGTH, tus::DEFER_LENGTH].into_iter().find(|name| headers.contains_key(*name)) {
        Some(name) => Err(bad(format!("'{name}' is there, and the parts tell the length of what is put together"))),
        None => described(headers, 0),
    }
}

fn described(headers: &HeaderMap, size: u64) -> Result<CreateMaterial, Problem> {
    let metadata = text(headers, tus::METADATA).unwrap_or_default();
    let metadata = tus::parse_metadata(metadata).map_err(|error| bad(error.to_string()))?;
    let value = |key: &str| metadata.get(key).filter(|value| !value.is_empty()).cloned();
    let population = value("population").map(|text| {
        text.parse().map_err(|_| bad(format!("population in Upload-Metadata is '{text}': it must be a number")))
    });
    let seconds = |key: &str| match value(key) {
        None => Ok(None),
        Some(text) => digits(&text)
            .map(Some)
            .ok_or_else(|| bad(format!("{key} in Upload-Metadata is '{text}': it must be a number of seconds"))),
    };
    let private = value("private").map(|text| match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(bad(format!("private in Upload-Metadata is '{text}': it must be true or false"))),
    });
    let case = value("case")
        .map(|text| text.parse().map_err(|_| bad(format!("case in Upload-Metadata is '{text}': it is no case's id"))));
    Ok(CreateMaterial {
        name: value("filename").or_else(|| value("name")).unwrap_or_else(|| NAME_DEFAULT.to_owned()),
        size,
        media_type: value("filetype"),
        blake3: value("blake3"),
        population: population.transpose()?,
        space: value("space"),
        key: value("key"),
        case: case.transpose()?,
        private: private.transpose()?,
        expires_in_s: seconds("expires_in_s")?,
        idle_expires_in_s: seconds("idle_expires_in_s")?,
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
    fn what_is_put_together_has_no_length_of_its_own() {
        let of_parts = |pairs: &[(&'static str, &str)]| {
            wanted_of_parts(
                &pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect(),
            )
        };
        assert_eq!(of_parts(&[("upload-metadata", "filename YS5zdnM=")]).unwrap().name, "a.svs");
        for other in ["upload-length", "upload-defer-length"] {
            assert!(of_parts(&[(other, "1")]).unwrap_err().detail.contains(other));
        }
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
