//! `/v1/uploads`: creation by tus 1.0. The bytes go to a node: `Location` tells which.

use super::{Shared, check::bad};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use microtome_proto::{Code, Problem, material::CreateMaterial, tus};

/// What an upload without a file name is called.
const NAME_DEFAULT: &str = "upload";

/// Middleware: refuses other versions of tus, and puts the version on each answer.
pub(super) async fn speak_tus(request: Request, next: Next) -> Response {
    let spoken = request.headers().get(tus::RESUMABLE).is_some_and(|version| version == tus::VERSION);
    let wanted = request.headers().get(tus::METHOD_OVERRIDE).map(|method| method.as_bytes().to_ascii_uppercase());
    let mut response = match wanted.as_deref() {
        Some(b"OPTIONS") => options().await,
        Some(method) if method != Method::POST.as_str().as_bytes() => {
            Problem::new(Code::MethodNotAllowed, "only POST and OPTIONS are served at /v1/uploads").into_response()
        }
        _ if spoken => next.run(request).await,
        _ => Problem::new(Code::TusVersion, "the request does not say 'Tus-Resumable: 1.0.0'").into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(tus::RESUMABLE, HeaderValue::from_static(tus::VERSION));
    headers.insert(tus::TUS_VERSION, HeaderValue::from_static(tus::VERSION));
    response
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
    let (material, _) = app.create(&headers, wanted(&headers)?).await?;
    let Some(url) = material.upload_url else {
        return Err(Problem::new(Code::Conflict, format!("the bytes of {} have arrived already", material.id)));
    };
    Ok((StatusCode::CREATED, [(header::LOCATION, url)]).into_response())
}

fn wanted(headers: &HeaderMap) -> Result<CreateMaterial, Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if headers.contains_key("upload-defer-length") {
        return Err(bad("Upload-Defer-Length is not supported: send Upload-Length"));
    }
    let length = text(tus::LENGTH).ok_or_else(|| bad("Upload-Length is missing"))?;
    let size = length.parse().map_err(|_| bad(format!("Upload-Length is '{length}': it must be a number of bytes")))?;
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
    fn a_length_is_needed() {
        for headers in [&[][..], &[("upload-length", "-1")], &[("upload-length", "x")], &[("upload-defer-length", "1")]]
        {
            assert_eq!(read(headers).unwrap_err().code, Code::BadRequest);
        }
    }
}
