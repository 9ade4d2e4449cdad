//! `/v1/uploads/{id}`: tus 1.0.0, core, checksum, expiration, termination, and what concatenation adds to them. Creation
//! is the coordinators'.
//!
//! Source: <https://tus.io/protocols/resumable-upload>. An upload that became a copy answers HEAD with its whole length
//! as long as the copy is here: a client that lost the last answer learns that it is done.

use super::{elsewhere::upload_elsewhere, file};
use crate::{
    Node, disk,
    free::free,
    tasks::in_task,
    upload::{self, Announced, Said},
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use microtome_proto::{
    Code, Generation, MaterialId, Problem, Timestamp,
    tus::{self, InvalidChecksum},
};
use microtome_server::{auth::Asker, extract::Path};
use std::sync::Arc;

const ALLOWED: HeaderValue = HeaderValue::from_static("HEAD, GET, PATCH, DELETE, OPTIONS");

/// All methods: a proxy may have let only POST through.
pub(super) async fn answer(State(node): State<Arc<Node>>, Path(id): Path<MaterialId>, request: Request) -> Response {
    let answered = match method(&request) {
        method if method == Method::OPTIONS => Ok(options()),
        method => {
            match check_version(&method, request.headers()).and_then(|()| check_owner(&node, &id, &method, &request)) {
                Ok(()) => handle(&node, &id, &method, request).await,
                Err(problem) => Err(problem),
            }
        }
    };
    let mut response = answered.unwrap_or_else(|problem| {
        let code = problem.code;
        let mut response = problem.into_response();
        if code == Code::TusVersion {
            set(&mut response, tus::TUS_VERSION, HeaderValue::from_static(tus::VERSION));
        }
        if code == Code::MethodNotAllowed {
            response.headers_mut().insert(header::ALLOW, ALLOWED);
        }
        response
    });
    set(&mut response, tus::RESUMABLE, HeaderValue::from_static(tus::VERSION));
    response
}

async fn handle(node: &Arc<Node>, id: &MaterialId, method: &Method, request: Request) -> Result<Response, Problem> {
    let refused = || Some(node.checks.as_ref()?.refused().get(id)?.1);
    if let Some(problem) = refused().filter(|_| *method != Method::DELETE) {
        return Err(problem);
    }
    match answer_as(node, id, method, request).await {
        // It was refused while this waited.
        Err(problem) if problem.code == Code::Gone => Err(refused().unwrap_or(problem)),
        answered => answered,
    }
}

async fn answer_as(node: &Arc<Node>, id: &MaterialId, method: &Method, request: Request) -> Result<Response, Problem> {
    match *method {
        Method::HEAD => head(node, id, request.uri()).await,
        Method::GET => {
            let asker = Asker::of(request.extensions())?;
            get(node, id, asker, request.uri(), request.headers()).await
        }
        Method::PATCH => patch(node, id, request).await,
        Method::DELETE => {
            let asker = Asker::of(request.extensions())?;
            delete(node, id, asker, request.uri()).await
        }
        _ => Err(Problem::new(Code::MethodNotAllowed, format!("{method} is not served for an upload"))),
    }
}

fn method(request: &Request) -> Method {
    let other = request.headers().get(tus::METHOD_OVERRIDE).filter(|_| request.method() == Method::POST);
    let other = other.and_then(|value| Method::from_bytes(value.as_bytes()).ok());
    other.unwrap_or_else(|| request.method().clone())
}

/// An upload that is another's is not there. What has arrived its sender may ask about, and takes back no more.
fn check_owner(node: &Node, id: &MaterialId, method: &Method, request: &Request) -> Result<(), Problem> {
    let asker = Asker::of(request.extensions())?;
    let (owner, arrived) = match (node.uploads.get(id), node.blobs.get(id)) {
        (Some(upload), _) => (upload.expected().owner.clone(), false),
        (None, Some(blob)) => (blob.manifest().owner.clone(), true),
        (None, None) => match node.checks.as_ref().and_then(|checks| checks.refused().get(id)) {
            Some((owner, _)) => (owner, false),
            None => return Ok(()),
        },
    };
    if !asker.owns(owner.as_ref()) {
        return Err(Problem::new(Code::NotFound, format!("there is no upload of {id}")));
    }
    if arrived && *method == Method::DELETE && asker.owner().is_some() {
        return Err(Problem::new(Code::Forbidden, format!("{id} has arrived: only an administrator deletes it now")));
    }
    Ok(())
}

/// A reader that asks with HEAD or GET may leave the version out, as with other servers.
fn check_version(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(tus::RESUMABLE) {
        Some(version) if version == tus::VERSION => Ok(()),
        None if matches!(*method, Method::HEAD | Method::GET) => Ok(()),
        _ => Err(Problem::new(Code::TusVersion, format!("'Tus-Resumable' is not {}", tus::VERSION))),
    }
}

fn options() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    for (name, value) in tus::abilities() {
        if let Ok(value) = HeaderValue::try_from(value) {
            set(&mut response, name, value);
        }
    }
    response
}

async fn head(node: &Arc<Node>, id: &MaterialId, uri: &Uri) -> Result<Response, Problem> {
    let under_way = match node.uploads.get(id) {
        Some(upload) => {
            let expected = upload.expected();
            let metadata = metadata(expected.metadata.as_deref(), &expected.name, &expected.media_type);
            let size = (!upload.lacks_size()).then(|| upload.size());
            let owner = Arc::clone(node);
            let expires_at = upload.expires_at(node);
            if upload.is_final() {
                // Whether it is joined is told by its copy: until then it has no offset.
                return Ok(told(Told { offset: None, size, metadata, concat: expected.concat.clone(), expires_at }));
            }
            let concat = expected.concat.clone();
            match in_task(&node.tasks, async move { upload.offset(&owner).await }).await {
                // It became a copy just now.
                Err(problem) if problem.code == Code::Gone => None,
                offset => Some(Told { offset: Some(offset?), size, metadata, concat, expires_at }),
            }
        }
        None => None,
    };
    let whole = || {
        let blob = node.blobs.get(id)?;
        let manifest = blob.manifest();
        Some(Told {
            offset: Some(manifest.size),
            size: Some(manifest.size),
            metadata: metadata(manifest.metadata.as_deref(), &manifest.name, &manifest.media_type),
            concat: manifest.concat.clone(),
            expires_at: None,
        })
    };
    match under_way.or_else(whole) {
        Some(upload) => Ok(told(upload)),
        None => Ok(upload_elsewhere(node, id, uri).await),
    }
}

/// What is told of an upload.
struct Told {
    /// Bytes that are durable; of what is put together only when it is whole.
    offset: Option<u64>,
    size: Option<u64>,
    metadata: String,
    concat: Option<String>,
    expires_at: Option<Timestamp>,
}

/// As its sender gave it, where that is known; else what is known.
fn metadata(given: Option<&str>, name: &str, media_type: &str) -> String {
    given.map_or_else(|| tus::format_metadata([("filename", name), ("filetype", media_type)]), str::to_owned)
}

fn told(upload: Told) -> Response {
    let Told { offset, size, metadata, concat, expires_at } = upload;
    let mut response = StatusCode::OK.into_response();
    if let Some(offset) = offset {
        set(&mut response, tus::OFFSET, HeaderValue::from(offset));
    }
    if let Some(concat) = concat.and_then(|concat| HeaderValue::try_from(concat).ok()) {
        set(&mut response, tus::CONCAT, concat);
    }
    match size {
        Some(size) => set(&mut response, tus::LENGTH, HeaderValue::from(size)),
        None => set(&mut response, tus::DEFER_LENGTH, HeaderValue::from(1)),
    }
    expires(&mut response, expires_at.filter(|_| size != offset));
    if let Ok(metadata) = HeaderValue::try_from(metadata) {
        set(&mut response, tus::METADATA, metadata);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The whole file, as other servers give it to who has sent it. Whether that one may still read it stands in the books: it
/// may be a team's by now.
async fn get(
    node: &Arc<Node>,
    id: &MaterialId,
    asker: &Asker,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    match node.blobs.get(id).filter(|blob| !blob.manifest().is_partial()) {
        Some(blob) => {
            if let Some(bearer) = asker.bearer().filter(|_| asker.owner().is_some()) {
                node.locator.admit(id, bearer).await?;
            }
            blob.note_read();
            Ok(file::give(node, id, &blob, &Method::GET, uri, headers).await)
        }
        None if node.uploads.get(id).is_some() => {
            Err(Problem::new(Code::Unavailable, format!("the bytes of {id} are still arriving")))
        }
        None => Ok(upload_elsewhere(node, id, uri).await),
    }
}

async fn patch(node: &Arc<Node>, id: &MaterialId, request: Request) -> Result<Response, Problem> {
    let is_joined = || node.blobs.get(id).is_some_and(|blob| blob.manifest().is_final());
    if node.uploads.get(id).map_or_else(is_joined, |upload| upload.is_final()) {
        return Err(Problem::new(Code::FinalUpload, format!("{id} is put together from parts")));
    }
    let headers = request.headers();
    let media_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if !media_type.eq_ignore_ascii_case(tus::PATCH_TYPE.as_bytes()) {
        return Err(Problem::new(Code::UnsupportedMediaType, format!("Content-Type is not '{}'", tus::PATCH_TYPE)));
    }
    let offset = number(headers, tus::OFFSET)?
        .ok_or_else(|| Problem::new(Code::BadRequest, "the header 'Upload-Offset' is missing"))?;
    let length = number(headers, header::CONTENT_LENGTH.as_str())?;
    let announced = announced(headers)?;
    let Some(upload) = node.uploads.get(id) else {
        return match node.blobs.get(id) {
            Some(blob) if offset == blob.len() && length.unwrap_or(0) == 0 => {
                Ok(tagged(node, id, appended(offset, None)))
            }
            Some(blob) => {
                let stands = format!("the upload of {id} is complete, at {}", blob.len());
                Err(Problem::new(Code::OffsetMismatch, stands))
            }
            None => Ok(upload_elsewhere(node, id, request.uri()).await),
        };
    };
    let told = number(headers, tus::LENGTH)?;
    let size = told.unwrap_or_else(|| upload.size());
    if length.is_some_and(|length| offset.saturating_add(length) > size) {
        return Err(upload::too_long(size));
    }
    let (filling, buffers) = upload::buffers(request.into_body(), offset, size);
    let said = Said { offset, size: told, announced };
    let (owner, appended_to) = (Arc::clone(node), Arc::clone(&upload));
    let appending = in_task(&node.tasks, async move { upload.append(&owner, said, buffers).await });
    let ((), offset) = tokio::join!(filling.run(), appending);
    let offset = offset?;
    Ok(tagged(node, id, appended(offset, appended_to.expires_at(node).filter(|_| offset < appended_to.size()))))
}

/// Of what has become a copy its tag is told.
fn tagged(node: &Node, id: &MaterialId, mut response: Response) -> Response {
    let tag = node.blobs.get(id).map(|blob| HeaderValue::try_from(format!("\"{}\"", blob.manifest().blake3)));
    if let Some(Ok(tag)) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// What the sender says of the request's bytes.
fn announced(headers: &HeaderMap) -> Result<Announced, Problem> {
    let bad = |error: InvalidChecksum| Problem::new(Code::BadRequest, error.to_string());
    if let Some(checksum) = headers.get(tus::CHECKSUM) {
        return checksum.to_str().unwrap_or_default().parse().map(Announced::Sum).map_err(bad);
    }
    Ok(if tus::has_checksum_trailer(headers) { Announced::InTrailer } else { Announced::Nothing })
}

fn appended(offset: u64, expires_at: Option<Timestamp>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    set(&mut response, tus::OFFSET, HeaderValue::from(offset));
    expires(&mut response, expires_at);
    response
}

/// Says when an upload ends that gets no more bytes.
pub(super) fn expires(response: &mut Response, at: Option<Timestamp>) {
    if let Some(date) = at.and_then(|at| HeaderValue::try_from(at.to_http_date()).ok()) {
        set(response, tus::EXPIRES, date);
    }
}

/// Ends the upload and deletes its material: the coordinators first, since the bytes follow from that in any case. What is
/// here goes at once: whoever was told so asks in vain.
async fn delete(node: &Arc<Node>, id: &MaterialId, asker: &Asker, uri: &Uri) -> Result<Response, Problem> {
    let is_here = node.uploads.get(id).is_some() || node.blobs.get(id).is_some();
    // What has nowhere anything yet is put together here, or waits for a place: it can be ended all the same, but by nobody
    // of whom only the books could say that it is his.
    if !is_here && (asker.owner().is_some() || !is_joining_nowhere(node, id).await) {
        return Ok(upload_elsewhere(node, id, uri).await);
    }
    match node.cluster.delete_material_for(id, asker.name()).await {
        Err(error) if !matches!(error.code(), Some(Code::NotFound | Code::Gone)) => return Err(error.into()),
        _ => {}
    }
    let (owner, id) = (Arc::clone(node), id.clone());
    in_task(&node.tasks, async move {
        let freed = free(&owner, &id, Generation(u64::MAX)).await;
        freed.map(|()| StatusCode::NO_CONTENT.into_response()).map_err(|error| disk::problem(&error))
    })
    .await
}

async fn is_joining_nowhere(node: &Node, id: &MaterialId) -> bool {
    match &*node.locator.locate(id).await {
        Ok(located) => located.joining && located.receiving.as_ref().is_none_or(|url| *url == node.url),
        Err(_) => false,
    }
}

/// More digits than a number has are a number beyond every file.
fn number(headers: &HeaderMap, name: &str) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    text.map(|text| Some(text.parse().unwrap_or(u64::MAX)))
        .ok_or_else(|| Problem::new(Code::BadRequest, format!("the header '{name}' is no number of bytes")))
}

fn set(response: &mut Response, name: &'static str, value: HeaderValue) {
    response.headers_mut().insert(HeaderName::from_static(name), value);
}
