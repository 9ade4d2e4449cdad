//! tus concatenation as a coordinator answers it: parts, what is put together from them, and what is refused.

use crate::common::{Cluster, FakeNode, Server, code, eventually, http, read, send};
use microtome_proto::{
    Code, MaterialId,
    internal::Order,
    material::{Material, MaterialState},
    page::Page,
};
use reqwest::{RequestBuilder, Response, StatusCode};
use std::{collections::BTreeSet, net::IpAddr};

const SIZE: u64 = 1000;

fn post(coordinator: &Server) -> RequestBuilder {
    http().post(format!("{}/v1/uploads", coordinator.url)).header("Tus-Resumable", "1.0.0")
}

/// The creation of a part, by a sender behind a proxy.
fn part(coordinator: &Server, sender: &str) -> RequestBuilder {
    let creation = post(coordinator).header("Upload-Concat", "partial").header("Upload-Length", SIZE);
    creation.header("X-Forwarded-For", sender)
}

fn joined(coordinator: &Server, parts: &[String]) -> RequestBuilder {
    post(coordinator).header("Upload-Concat", format!("final;{}", parts.join(" ")))
}

fn location(answer: &Response) -> String {
    assert_eq!(answer.status(), StatusCode::CREATED);
    answer.headers()["location"].to_str().unwrap().to_owned()
}

fn id(location: &str) -> MaterialId {
    location.rsplit('/').next().unwrap().parse().unwrap()
}

/// Parts that are whole, and where they are; all of them are on that node.
async fn whole_parts(server: &Server, node: &FakeNode, count: usize) -> Vec<String> {
    let mut parts = Vec::new();
    for _ in 0..count {
        let place = location(&send(part(server, "10.0.0.7")).await);
        let reserved = node.reserved.lock().unwrap().last().unwrap().clone();
        assert_eq!((reserved.material.clone(), reserved.concat.as_deref()), (id(&place), Some("partial")));
        node.verified(server, &reserved.material, reserved.generation, SIZE).await;
        parts.push(place);
    }
    parts
}

async fn shown(server: &Server, material: &MaterialId) -> Response {
    send(http().get(format!("{}/v1/materials/{material}", server.url))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_put_together_by_the_node_that_has_them() {
    let mut server = Server::alone().await;
    let node = FakeNode::join(&server, "node").await;
    let parts = whole_parts(&server, &node, 3).await;
    let listed: Page<Material> = server.get("/v1/materials").await;
    assert!(listed.items.is_empty());
    let one = id(&parts[0]);
    for path in [format!("materials/{one}"), format!("materials/{one}/file"), format!("materials/{one}/slide")] {
        assert_eq!(code(send(http().get(format!("{}/v1/{path}", server.url))).await).await, "not_found", "{path}");
    }
    let told = send(http().head(format!("{}/v1/uploads/{one}", server.url))).await;
    assert_eq!(told.status(), StatusCode::TEMPORARY_REDIRECT, "its uploader is told how far it is");

    // By absolute and relative addresses, in this order.
    let given = [parts[2].clone(), format!("/v1/uploads/{one}"), parts[1].clone()];
    let ids: Vec<_> = given.iter().map(|part| id(part)).collect();
    let described = joined(&server, &given).header("Upload-Metadata", "filename YS5zdnM=,filetype aW1hZ2UvdGlmZg==");
    let keyed = described.header("Idempotency-Key", "k");
    let place = location(&send(keyed.try_clone().unwrap()).await);
    let whole = id(&place);
    assert!(place.starts_with(&node.url), "{place}");
    let reserved = node.reserved.lock().unwrap().last().unwrap().clone();
    assert_eq!((reserved.size, reserved.concat), (3 * SIZE, Some(format!("final;{}", given.join(" ")))));
    let material: Material = read(shown(&server, &whole).await, StatusCode::OK).await;
    assert_eq!((material.name.as_str(), material.media_type.as_str()), ("a.svs", "image/tiff"));
    assert_eq!((material.state, material.size, material.upload_url), (MaterialState::Receiving, 3 * SIZE, None));
    for taken in &ids {
        let deleted = send(http().delete(format!("{}/v1/materials/{taken}", server.url))).await;
        assert_eq!(code(deleted).await, "conflict");
    }

    let ordered = || async {
        let orders = node.beat(&server).await.orders;
        orders.into_iter().find_map(|order| match order {
            Order::Join { wanted, parts } if wanted.material == whole => Some((wanted.generation, parts)),
            _ => None,
        })
    };
    let (generation, ordered_parts) = eventually("an order to join", ordered).await;
    assert_eq!(ordered_parts, ids);
    node.verified(&server, &whole, generation, 3 * SIZE).await;
    let material: Material = read(shown(&server, &whole).await, StatusCode::OK).await;
    assert_eq!(material.population_live, 1);
    let mut freed = BTreeSet::new();
    while freed.len() < 3 {
        freed.insert(node.frees(&server, &[]).await);
    }
    assert_eq!(freed, ids.iter().cloned().collect());
    assert_eq!(location(&send(keyed).await), place, "who lost the answer asks again");
    assert_eq!(code(send(joined(&server, &given)).await).await, "not_found", "its parts are gone");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_put_together_is_refused_in_words() {
    let mut server = Server::alone().await;
    let node = FakeNode::join(&server, "node").await;
    let parts = whole_parts(&server, &node, 2).await;
    let begun = location(&send(part(&server, "10.0.0.7")).await);
    let plain = location(&send(post(&server).header("Upload-Length", SIZE)).await);
    let refused = async |creation: RequestBuilder| {
        let problem: serde_json::Value = send(creation).await.json().await.unwrap();
        (problem["code"].as_str().unwrap().to_owned(), problem["detail"].as_str().unwrap().to_owned())
    };
    let (code, detail) = refused(joined(&server, &[parts[0].clone(), begun.clone()])).await;
    assert!(code == "conflict" && detail.contains(id(&begun).as_str()), "{code}: {detail}");
    let unknown = format!("{}/v1/uploads/m-none", node.url);
    for (list, expected) in [
        (vec![parts[0].clone(), unknown], "not_found"),
        (vec![parts[0].clone(), plain], "bad_request"),
        (vec![parts[0].clone(), parts[0].clone()], "bad_request"),
        (vec!["nowhere".to_owned()], "bad_request"),
        (vec![], "bad_request"),
    ] {
        assert_eq!(refused(joined(&server, &list)).await.0, expected, "{list:?}");
    }
    let with_length = joined(&server, &parts).header("Upload-Length", 2 * SIZE);
    assert_eq!(refused(with_length).await.0, "bad_request");
    let typed = joined(&server, &parts).header("Content-Type", "application/offset+octet-stream").body("bytes");
    assert_eq!(refused(typed).await.0, "bad_request");
    assert_eq!(refused(post(&server).header("Upload-Concat", "whole")).await.0, "bad_request");
    // Nothing was taken by all that.
    location(&send(joined(&server, &parts)).await);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_room_the_parts_stay() {
    let mut server = Server::alone().await;
    let node = FakeNode::join(&server, "node").await;
    let parts = whole_parts(&server, &node, 2).await;
    node.refuse(Code::NoSpace);
    assert_eq!(code(send(joined(&server, &parts)).await).await, "no_space");
    node.answer(StatusCode::NO_CONTENT);
    let place = location(&send(joined(&server, &parts)).await);
    let deleted = send(http().delete(format!("{}/v1/materials/{}", server.url, id(&place)))).await;
    assert_eq!(deleted.status(), StatusCode::ACCEPTED);
    let mut freed = BTreeSet::new();
    while freed.len() < 3 {
        freed.insert(node.frees(&server, &[]).await);
    }
    assert!(freed.contains(&id(&place)) && freed.contains(&id(&parts[0])), "{freed:?}");
    server.stop().await;
}

/// Whichever coordinator is asked: a follower hands on where a request came from.
#[tokio::test(flavor = "multi_thread")]
async fn a_senders_parts_go_to_one_node_and_other_senders_to_others() {
    let mut cluster = Cluster::start(3, crate::common::small(), |_| ()).await;
    let leader = &cluster.servers[cluster.leader().await];
    let mut nodes = Vec::new();
    for name in ["a", "b", "c", "d"] {
        nodes.push(FakeNode::join(leader, name).await);
    }
    let place = |url: &str| nodes.iter().position(|node| url.starts_with(&node.url)).unwrap();
    let mut all = BTreeSet::new();
    for sender in 0..12 {
        let mut places = BTreeSet::new();
        for server in &cluster.servers {
            for node in &nodes {
                node.beat(leader).await;
            }
            places.insert(place(&location(&send(part(server, &format!("10.0.0.{sender}"))).await)));
        }
        assert_eq!(places.len(), 1, "{sender}");
        all.extend(places);
    }
    assert!(all.len() > 1);
    all.clear();
    // Without a proxy the connection tells.
    let direct = async |server: &Server, from: [u8; 4]| {
        let client =
            reqwest::Client::builder().no_proxy().tls_certs_only([]).local_address(IpAddr::from(from)).build().unwrap();
        let creation = client.post(format!("{}/v1/uploads", server.url)).header("Tus-Resumable", "1.0.0");
        place(&location(&send(creation.header("Upload-Concat", "partial").header("Upload-Length", SIZE)).await))
    };
    for last in 2..8 {
        let mut places = BTreeSet::new();
        for server in &cluster.servers {
            for node in &nodes {
                node.beat(leader).await;
            }
            places.insert(direct(server, [127, 0, 0, last]).await);
        }
        assert_eq!(places.len(), 1, "127.0.0.{last}");
        all.extend(places);
    }
    assert!(all.len() > 1);
    cluster.stop().await;
}
