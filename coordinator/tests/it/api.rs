//! The API against nodes that are a few lines: copies, orders, tus, redirects, refusals.

use crate::common::{FakeNode, Server, code, created, http, read, ready, report, send};
use microtome_proto::{
    Generation,
    cluster::Cluster,
    internal::{Incoming, Order},
    material::{Material, MaterialState},
    node::Node,
    page::Page,
    run::Run,
    tus,
};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_ordered_until_they_are_there_and_freed_when_it_is_deleted() {
    let mut server = Server::alone().await;
    let first = FakeNode::join(&server, "first").await;
    let material = ready(&server, &first, "slide.svs").await;
    assert_eq!((material.state, material.population, material.population_live), (MaterialState::Degraded, 2, 1));
    let second = FakeNode::join(&server, "second").await;
    let (_, generation) = second.ordered_copy(&server).await;
    match &second.beat(&server).await.orders[..] {
        [Order::Copy { material: ordered, sources, size: 1000, .. }] => {
            assert_eq!((ordered, &sources[..]), (&material.id, std::slice::from_ref(&first.url)));
        }
        orders => panic!("{orders:?}"),
    }
    let half = Incoming { material: material.id.clone(), generation, offset: 500, check: None };
    second.beat_with(&server, vec![half], vec![]).await;
    second.verified(&server, &material.id, generation, 1000).await;
    let material: Material = server.get(&format!("/v1/materials/{}", material.id)).await;
    assert_eq!((material.state, material.population_live), (MaterialState::Ready, 2));

    let url = format!("{}/v1/materials/{}", server.url, material.id);
    assert_eq!(http().delete(&url).send().await.unwrap().status(), StatusCode::ACCEPTED);
    for node in [&first, &second] {
        assert_eq!(node.frees(&server, &[]).await, material.id);
        assert!(node.beat(&server).await.orders.is_empty());
    }
    assert_eq!(code(http().get(&url).send().await.unwrap()).await, "not_found");
    server.stop().await;
}

/// Nodes heard of an order with their next heartbeat only: each short copy and run waited for up to a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_told_at_once_that_there_is_an_order_for_it() {
    let mut server = Server::alone().await;
    let first = FakeNode::join(&server, "first").await;
    let material = ready(&server, &first, "slide.svs").await;
    let second = FakeNode::join(&server, "second").await;
    let copying = second.prompted(0).await;
    let orders = second.beat(&server).await.orders;
    assert!(matches!(&orders[..], [Order::Copy { material: ordered, .. }] if *ordered == material.id), "{orders:?}");
    let run = json!({ "pipeline": "tissue", "inputs": [material.id] });
    let _: Run = read(send(http().post(format!("{}/v1/runs", server.url)).json(&run)).await, StatusCode::CREATED).await;
    let running = first.prompted(0).await;
    let orders = first.beat(&server).await.orders;
    assert!(matches!(&orders[..], [Order::Run { .. }]), "{orders:?}");
    let deleted = http().delete(format!("{}/v1/materials/{}", server.url, material.id)).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::ACCEPTED);
    for (node, before) in [(&first, running), (&second, copying)] {
        node.prompted(before).await;
        let orders = node.beat(&server).await.orders;
        assert!(orders.iter().any(|order| matches!(order, Order::Drop { .. })), "{orders:?}");
    }
    server.stop().await;
}

/// Planning adds up what lacks; who asks just behind a write is told what the write has changed.
#[tokio::test(flavor = "multi_thread")]
async fn what_lacks_is_told_with_the_latest_writes() {
    let mut server = Server::alone().await;
    let node = FakeNode::join(&server, "first").await;
    let material = ready(&server, &node, "slide.svs").await;
    let url = format!("{}/v1/materials/{}", server.url, material.id);
    for population in [4, 1, 3] {
        let patch = json!({ "population": population });
        let _: Material = read(send(http().patch(&url).json(&patch)).await, StatusCode::OK).await;
        let cluster: Cluster = server.get("/v1/cluster").await;
        let lacking = population - 1;
        assert_eq!((cluster.healing.materials, cluster.healing.bytes_left), (lacking.min(1), lacking * 1000));
        assert_eq!(server.metric("healing_bytes_left").await, Some(lacking * 1000));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tus_clients_create_uploads() {
    let mut server = Server::alone().await;
    let node = FakeNode::join(&server, "first").await;
    let url = format!("{}/v1/uploads", server.url);
    let post = || http().post(&url).header(tus::RESUMABLE, tus::VERSION);
    let options = http().request(reqwest::Method::OPTIONS, &url).send().await.unwrap();
    assert_eq!(options.status(), StatusCode::NO_CONTENT);
    assert_eq!(options.headers()[tus::TUS_VERSION], "1.0.0");
    assert_eq!(options.headers()[tus::EXTENSION], tus::EXTENSIONS);
    assert_eq!(options.headers()[tus::MAX_SIZE], (1u64 << 40).to_string());
    // Nobody learns by it what is there: whoever asks so has no token.
    let of_any = http().request(reqwest::Method::OPTIONS, format!("{url}/m-0000000001")).send().await.unwrap();
    assert_eq!(of_any.status(), StatusCode::NO_CONTENT);
    let disguised = post().header(tus::METHOD_OVERRIDE, "OPTIONS").send().await.unwrap();
    assert_eq!(disguised.status(), StatusCode::NO_CONTENT);

    let old = http().post(&url).header(tus::RESUMABLE, "0.2.2").header(tus::LENGTH, 5).send().await.unwrap();
    assert_eq!(old.headers()[tus::TUS_VERSION], "1.0.0");
    assert_eq!(code(old).await, "tus_version");
    for (request, wanted) in [
        (post(), "bad_request"),
        (post().header(tus::LENGTH, "many"), "bad_request"),
        (post().header(tus::LENGTH, (1u64 << 40) + 1), "too_large"),
        (post().header(tus::LENGTH, 5).header(tus::METADATA, "filename !"), "bad_request"),
    ] {
        assert_eq!(code(request.send().await.unwrap()).await, wanted);
    }
    let metadata = tus::format_metadata([("filename", "Präparat.svs")]);
    let made = post().header(tus::LENGTH, 5).header(tus::METADATA, metadata).send().await.unwrap();
    assert_eq!((made.status(), &made.headers()[tus::RESUMABLE]), (StatusCode::CREATED, &"1.0.0".parse().unwrap()));
    let location = made.headers()["location"].to_str().unwrap().to_owned();
    let id = location.strip_prefix(&format!("{}/v1/uploads/", node.url)).unwrap().to_owned();
    let material: Material = server.get(&format!("/v1/materials/{id}")).await;
    assert_eq!((material.name.as_str(), material.state), ("Präparat.svs", MaterialState::Receiving));
    // Whoever asks the coordinator for the upload is sent to its node, with the method it came with.
    let sent = http().patch(format!("{url}/{id}?x=1")).send().await.unwrap();
    assert_eq!(
        (sent.status().as_u16(), sent.headers()["location"].to_str().unwrap()),
        (307, &*format!("{location}?x=1"))
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_asked_of_the_node_that_holds_it() {
    let mut server = Server::alone().await;
    let node = FakeNode::join(&server, "first").await;
    let material = ready(&server, &node, "slide.svs").await;
    let id = &material.id;
    for path in [
        format!("/tiles/{id}/tiles.json"),
        format!("/tiles/{id}/0/1_2.jpg?token=abc"),
        format!("/dzi/{id}.dzi"),
        format!("/dzi/{id}_files/9/0_0.jpg"),
        format!("/iiif/3/{id}"),
        format!("/iiif/3/{id}/info.json?token=abc"),
        format!("/iiif/2/{id}/pct:1,2,3,4/!5,5/%21180/default.jpg"),
        format!("/regions/{id}?level=0&x=1&y=2&w=3&h=4"),
        format!("/v1/materials/{id}/file"),
        format!("/v1/materials/{id}/slide"),
        format!("/v1/materials/{id}/icc"),
        format!("/v1/materials/{id}/associated/label"),
        format!("/v1/uploads/{id}"),
    ] {
        let answer = http().get(format!("{}{path}", server.url)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT, "{path}");
        assert_eq!(answer.headers()["location"], format!("{}{path}", node.url));
    }
    let unknown = http().get(format!("{}/tiles/m-0000000000/0/0_0.jpg", server.url)).send().await.unwrap();
    assert_eq!(code(unknown).await, "not_found");
    let receiving = created(&server, "not there yet", "k").await;
    let path = format!("/v1/materials/{}/slide", receiving.id);
    let early = http().get(format!("{}{path}", server.url)).send().await.unwrap();
    assert_eq!(
        early.headers()["location"],
        format!("{}{path}", node.url),
        "it may have all bytes and not have told yet"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused_with_a_code() {
    let mut server = Server::alone().await;
    let node = FakeNode::join(&server, "first").await;
    let at = |path: &str| format!("{}{path}", server.url);
    let material = |body: serde_json::Value| http().post(at("/v1/materials")).json(&body);
    let beat = json!({ "instance": "0".repeat(32), "report": report() });
    let stale = json!({ "report": "verified", "generation": Generation(999), "size": 1, "blake3": "ab".repeat(32) });
    let cases: Vec<(RequestBuilder, u16, &str)> = vec![
        (material(json!({ "name": "", "size": 1 })), 400, "bad_request"),
        (material(json!({ "name": "a\u{0}", "size": 1 })), 400, "bad_request"),
        (material(json!({ "name": "a", "size": 1, "population": 0 })), 400, "bad_request"),
        (material(json!({ "name": "a", "size": 1, "unknown": 0 })), 400, "bad_request"),
        (material(json!({ "name": "a", "size": -1 })), 400, "bad_request"),
        (material(json!({ "name": "a", "size": (1u64 << 40) + 1 })), 413, "too_large"),
        (material(json!({ "name": "a", "size": 1u64 << 40 })), 507, "no_space"),
        (material(json!({ "name": "a", "size": 1, "blake3": "xyz" })), 400, "bad_request"),
        (material(json!({ "name": "x".repeat((1 << 20) + 1), "size": 1 })), 413, "too_large"),
        (http().get(at("/v1/materials?limit=0")), 400, "bad_request"),
        (http().get(at("/v1/materials?limit=many")), 400, "bad_request"),
        (http().get(at("/v1/materials/..")), 404, "not_found"),
        (http().get(at("/v1/materials/n-1")), 400, "bad_request"),
        (http().get(at("/v1/materials/m-0000000000")), 404, "not_found"),
        (http().delete(at("/v1/materials/m-0000000000")), 404, "not_found"),
        (http().put(at("/v1/materials")), 405, "method_not_allowed"),
        (http().get(at("/v1/nodes/n-77")), 404, "not_found"),
        (http().get(at("/v1/runs/r-77")), 404, "not_found"),
        (http().get(at("/dzi/m-0000000000.png")), 404, "not_found"),
        (http().get(at("/iiif/3/9e0c4bbe-6a5e-11f0/info.json")), 404, "not_found"),
        (http().post(at("/internal/v1/nodes/n-77/heartbeat")).json(&beat), 404, "not_found"),
        (http().post(at(&format!("/internal/v1/nodes/{}/heartbeat", node.id))).json(&beat), 409, "wrong_cluster"),
        (
            http().post(at(&format!("/internal/v1/nodes/{}/replicas/m-0000000000", node.id))).json(&stale),
            404,
            "not_found",
        ),
        (http().get(at("/nothing")), 404, "not_found"),
    ];
    for (request, status, wanted) in cases {
        let (client, request) = request.build_split();
        let request = request.unwrap();
        let shown = format!("{} {}", request.method(), request.url());
        let answer = client.execute(request).await.unwrap();
        assert_eq!((answer.status().as_u16(), code(answer).await.as_str()), (status, wanted), "{shown}");
    }
    let nodes: Page<Node> = server.get("/v1/nodes").await;
    assert_eq!(nodes.items.len(), 1);
    server.stop().await;
}
