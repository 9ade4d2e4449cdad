//! The description is true: what it tells of is served, with these methods and no others, and nothing is served that it
//! does not tell of. That requests and answers are as it says is for `cargo xtask openapi`.

use crate::harness::{Cluster, loopback, token};
use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

const SECRET: &str = "a secret for stories about the description";
/// The console's, which is no API.
const PAGES: [&str; 2] = ["/", "/view/{id}"];
/// Where servers have their routes.
const SOURCES: [&str; 3] = ["coordinator/src/http", "node/src/http", "server/src"];

/// A path with an example for each of its parameters.
fn filled(path: &str, operations: &Value) -> String {
    let operations = operations.as_object().unwrap();
    let parameters = operations.values().filter_map(|operation| operation["parameters"].as_array()).flatten();
    parameters.filter(|parameter| parameter["in"] == "path").fold(path.to_owned(), |path, parameter| {
        let (name, example) = (parameter["name"].as_str().unwrap(), &parameter["example"]);
        path.replace(&format!("{{{name}}}"), &example.as_str().map_or_else(|| example.to_string(), str::to_owned))
    })
}

#[tokio::test]
async fn what_is_described_is_served_with_these_methods_and_no_others() {
    let places = loopback(2);
    let cluster = Cluster::start_at(&places[..1], &places[1..], Some(SECRET)).await;
    let (coordinator, node) = (&cluster.coordinators[0].url, &cluster.nodes[0].url);
    // It needs no token, and any server may be asked.
    let description: Value = serde_json::from_slice(&cluster.get(&format!("{node}/openapi.json")).await).unwrap();
    assert_eq!(description["openapi"], "3.1.0");
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.len() > 30, "{}", paths.len());
    for (path, operations) in paths {
        let trace = cluster.http.request(Method::TRACE, format!("{coordinator}{}", filled(path, operations)));
        let answer = cluster.send(&trace.bearer_auth(token(SECRET))).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{path} is not served");
        let allowed = answer.headers()[header::ALLOW].to_str().unwrap().to_lowercase();
        let mut served: BTreeSet<_> = allowed.split(',').map(str::trim).collect();
        let described: BTreeSet<_> = operations.as_object().unwrap().keys().map(String::as_str).collect();
        // Whoever answers GET answers HEAD likewise.
        if described.contains("get") && !described.contains("head") {
            served.remove("head");
        }
        assert_eq!(served, described, "{path}");
    }
}

#[tokio::test]
async fn pages_for_people_are_served_to_everybody_and_list_every_code() {
    let places = loopback(2);
    let cluster = Cluster::start_at(&places[..1], &places[1..], Some(SECRET)).await;
    let (coordinator, node) = (&cluster.coordinators[0].url, &cluster.nodes[0].url);
    for path in ["/docs", "/docs/problems"] {
        let page = cluster.ask(&format!("{node}{path}")).await;
        assert_eq!(page.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8", "{path}");
        let tag = page.headers()[header::ETAG].clone();
        let again = cluster.http.get(format!("{coordinator}{path}")).header(header::IF_NONE_MATCH, tag);
        assert_eq!(cluster.send(&again).await.status(), StatusCode::NOT_MODIFIED, "{path}");
    }
    // A problem's type is the place where it is told of.
    let (_, problem) = cluster.refused(&format!("{coordinator}/v1/cluster")).await;
    let (page, anchor) = problem["type"].as_str().unwrap().split_once('#').unwrap();
    let page = String::from_utf8(cluster.get(&format!("{coordinator}{page}")).await).unwrap();
    assert!(anchor == "unauthorized" && page.contains("id=\"unauthorized\""), "{problem}");
}

#[tokio::test]
async fn no_route_is_kept_quiet() {
    let cluster = Cluster::start(1, 0).await;
    let url = format!("{}/openapi.json", cluster.coordinators[0].url);
    let description: Value = serde_json::from_slice(&cluster.get(&url).await).unwrap();
    let paths: Vec<_> = description["paths"].as_object().unwrap().keys().collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let routes: BTreeSet<_> = SOURCES.iter().flat_map(|folder| routes(&root.join(folder))).collect();
    assert!(routes.len() > 40, "{routes:?}");
    for route in routes.iter().filter(|route| !route.starts_with("/internal/") && !PAGES.contains(&route.as_str())) {
        assert!(paths.iter().any(|path| is_at(path, route)), "{route} is served and not described");
    }
}

/// The addresses that the sources under a folder give to a router.
fn routes(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            found.extend(routes(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            // What tests serve is served to nobody else.
            let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let named = [".route(", "const ROUTE: &str ="].iter().flat_map(|word| source.split(word).skip(1));
            let addresses = named.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
            found.extend(addresses.map(str::to_owned));
        }
    }
    found
}

/// Whether a described path is one of a route.
fn is_at(path: &str, route: &str) -> bool {
    let (mut parts, mut own) = (path.split('/'), route.split('/'));
    loop {
        match (parts.next(), own.next()) {
            (None, None) => return true,
            (Some(_), Some(any)) if any.starts_with("{*") => return true,
            (Some(part), Some(own)) if part == own || own.starts_with('{') => {}
            _ => return false,
        }
    }
}

#[test]
fn paths_are_found_at_their_routes() {
    assert!(is_at("/tiles/{id}/{level}/{column}_{row}.jpg", "/tiles/{id}/{*rest}"));
    assert!(is_at("/v1/nodes/{id}/cordon", "/v1/nodes/{id}/{act}"));
    assert!(!is_at("/v1/nodes/{id}", "/v1/nodes/{id}/{act}") && !is_at("/v1/nodes", "/v1/runs"));
}
