//! `/iiif/3/{id}` and `/iiif/2/{id}`: the IIIF Image API at level 2.
//!
//! The base URI leads to `info.json`; `{region}/{size}/{rotation}/{quality}.{format}` behind it is a picture. What the
//! addresses mean is in [`microtome_slide::iiif`].

use super::{
    Colours, Icc, Refusal, address, held, opened, read, reply, srgb,
    tagged::{NATIVE, RENDERED, Tagged},
};
use crate::{Node, blobs::Blob, pixels::Picture};
use axum::{
    body::Body,
    extract::{OriginalUri, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::Response,
};
use bytes::Bytes;
use microtome_proto::{Code, MaterialId, Problem};
use microtome_server::Scheme;
use microtome_server::extract::{Path, Query};
use microtome_slide::iiif::{Format, Plan, Refused, Request, Version, info as info_json};
use std::sync::{Arc, atomic::Ordering};

const JSON: &str = "application/json";
const JSON_LD: &str = "application/ld+json";
const JSON_LD_3: &str = "application/ld+json;profile=\"http://iiif.io/api/image/3/context.json\"";

/// An image service: the version that it speaks, and the copy behind it.
struct Service {
    version: Version,
    blob: Arc<Blob>,
    /// Its base URI as the asker sees it.
    uri: String,
}

impl Service {
    fn find(node: &Node, (version, id): (&str, &str), scheme: Scheme, headers: &HeaderMap) -> Result<Self, Refusal> {
        let (version, name) = match version {
            "2" => (Version::V2, '2'),
            "3" => (Version::V3, '3'),
            _ => return Err(not_found(format!("the IIIF Image API is served in its versions 2 and 3, not {version}"))),
        };
        // An identifier that is none is one of nothing: 404, as the API wants it.
        let id: MaterialId = id.parse().map_err(|_| not_found(format!("'{id}' is no material's id")))?;
        let blob = held(node, id.as_str())?;
        let uri = format!("{}/iiif/{name}/{id}", address::base(headers, scheme, &node.url));
        Ok(Self { version, blob, uri })
    }
}

pub(super) async fn base(
    State(node): State<Arc<Node>>,
    Path((version, id)): Path<(String, String)>,
    OriginalUri(uri): OriginalUri,
    scheme: Scheme,
    headers: HeaderMap,
) -> Response {
    let answer = Service::find(&node, (&version, &id), scheme, &headers).and_then(|service| to_info(&service, &uri));
    reply(&node, &uri, answer).await
}

fn to_info(service: &Service, asked: &Uri) -> Result<Response, Refusal> {
    let query = asked.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, header_value(format!("{}/info.json{query}", service.uri))?);
    // The address that it leads to depends on who asks how.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

pub(super) async fn info(
    State(node): State<Arc<Node>>,
    Path((version, id)): Path<(String, String)>,
    OriginalUri(uri): OriginalUri,
    scheme: Scheme,
    headers: HeaderMap,
) -> Response {
    let service = Service::find(&node, (&version, &id), scheme, &headers);
    let answer = match service {
        Ok(service) => describe(&node, service, &headers).await,
        Err(refusal) => Err(refusal),
    };
    reply(&node, &uri, answer).await
}

async fn describe(
    node: &Node,
    Service { version, blob, uri }: Service,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let media_type = media_type(version, headers);
    let form = if media_type == JSON { "json" } else { "ld" };
    let tagged = Tagged::new(&blob.manifest().blake3, format_args!("iiif-{uri}-{form}"), headers)?;
    if let Some(unchanged) = tagged.unchanged() {
        return Ok(unchanged);
    }
    let slide = opened(node, &blob).await?;
    let mut response = tagged.picture(media_type, Bytes::from(info_json(version, &slide.slide, &uri)));
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept, host, x-forwarded-proto"));
    if media_type == JSON {
        let context = version.context();
        let link = format!("<{context}>;rel=\"http://www.w3.org/ns/json-ld#context\";type=\"application/ld+json\"");
        headers.insert(header::LINK, header_value(link)?);
    }
    Ok(response)
}

/// What the description is sent as. Version 3 wants JSON-LD unless the asker wants JSON; version 2 the other way round.
fn media_type(version: Version, headers: &HeaderMap) -> &'static str {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let wanted: Vec<_> = accept
        .flat_map(|value| value.split(','))
        .filter_map(|part| {
            let mut parts = part.split(';').map(str::trim);
            let media_type = parts.next()?.to_ascii_lowercase();
            let refused = parts.filter_map(|part| part.strip_prefix("q=")).any(|q| q.parse() == Ok(0.0));
            (!refused).then_some(media_type)
        })
        .collect();
    let takes = |media_type: &str| wanted.iter().any(|wanted| wanted == media_type);
    match version {
        Version::V2 if takes(JSON_LD) => JSON_LD,
        Version::V2 => JSON,
        Version::V3 if takes(JSON) && !takes(JSON_LD) => JSON,
        Version::V3 => JSON_LD_3,
    }
}

pub(super) async fn picture(
    State(node): State<Arc<Node>>,
    Path((version, id, region, size, rotation, last)): Path<(String, String, String, String, String, String)>,
    Query(colours): Query<Colours>,
    OriginalUri(uri): OriginalUri,
    scheme: Scheme,
    headers: HeaderMap,
) -> Response {
    let parts = [&region, &size, &rotation, &last].map(String::as_str);
    let answer = match Service::find(&node, (&version, &id), scheme, &headers) {
        Ok(service) => draw(&node, &service, parts, colours.icc, &headers).await,
        Err(refusal) => Err(refusal),
    };
    reply(&node, &uri, answer).await
}

async fn draw(
    node: &Node,
    service: &Service,
    [region, size, rotation, last]: [&str; 4],
    icc: Option<Icc>,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let Service { version, blob, uri } = service;
    let request = Request::parse(*version, region, size, rotation, last).map_err(refused)?;
    let slide = opened(node, blob).await?;
    let plan = Plan::new(&slide.slide, &request).map_err(refused)?;
    let canonical = plan.canonical(&slide.slide, *version);
    let (suffix, query) = (Icc::tag(icc), if icc.is_some() { "?icc=srgb" } else { "" });
    // A comma would end the tag where tags are listed.
    let tag = canonical.replace(',', ".");
    let tagged = Tagged::new(&blob.manifest().blake3, format_args!("iiif-{tag}{suffix}"), headers)?;
    if let Some(unchanged) = tagged.unchanged() {
        return Ok(unchanged);
    }
    node.tiles_served.fetch_add(1, Ordering::Relaxed);
    let media_type = match plan.format() {
        Format::Jpeg => "image/jpeg",
        Format::Png => "image/png",
    };
    let to_srgb = srgb(node, blob, &slide, icc).await?;
    let native = match plan.native(&slide.slide) {
        Some((level, column, row)) if to_srgb.is_none() => {
            read(blob, node.pixels.native(&slide, level, column, row).await)?
        }
        _ => None,
    };
    let mut response = match native {
        Some(tile) => tagged.tile(media_type, tile, NATIVE),
        None => tagged.tile(
            media_type,
            read(blob, node.pixels.picture(&slide, Picture::Iiif(plan), to_srgb).await)?,
            RENDERED,
        ),
    };
    let links = format!("<{uri}/{canonical}{query}>;rel=\"canonical\", <{}>;rel=\"profile\"", version.profile());
    response.headers_mut().insert(header::LINK, header_value(links)?);
    Ok(response)
}

fn refused(refused: Refused) -> Refusal {
    match refused {
        Refused::Bad(detail) => Problem::new(Code::BadRequest, detail).into(),
        Refused::NotImplemented(detail) => Problem::new(Code::NotImplemented, detail).into(),
    }
}

fn not_found(detail: String) -> Refusal {
    Problem::new(Code::NotFound, detail).into()
}

fn header_value(text: String) -> Result<HeaderValue, Problem> {
    HeaderValue::try_from(text)
        .map_err(|_| Problem::new(Code::BadRequest, "the address has a character that no header can have"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_sent_as_its_version_and_its_asker_want_it() {
        let sent = |version, accept: &str| {
            media_type(version, &HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]))
        };
        for (accept, two, three) in [
            ("*/*", JSON, JSON_LD_3),
            ("application/ld+json", JSON_LD, JSON_LD_3),
            ("application/ld+json;profile=\"http://iiif.io/api/image/3/context.json\"", JSON_LD, JSON_LD_3),
            ("application/json", JSON, JSON),
            ("text/html, application/json;q=0.9", JSON, JSON),
            ("application/json, application/LD+JSON;q=0.5", JSON_LD, JSON_LD_3),
            ("application/ld+json;q=0, application/json", JSON, JSON),
        ] {
            assert_eq!((sent(Version::V2, accept), sent(Version::V3, accept)), (two, three), "{accept}");
        }
        assert_eq!(media_type(Version::V3, &HeaderMap::new()), JSON_LD_3);
        assert_eq!(media_type(Version::V2, &HeaderMap::new()), JSON);
    }
}
