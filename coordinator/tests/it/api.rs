//! The API against nodes that are a few lines: uploads, copies, runs, redirects, refusals.

use crate::common::{FakeNode, Server, alone, code, create, created, created_on, eventually, http, read, ready, send};
use axum::http::StatusCode as Answer;
use microtome_coordinator::Tuning;
use microtome_proto::{
    Generation, RunId,
    internal::{Incoming, Order, RunBeat},
    material::{Material, MaterialState},
    node::{Candidate, Node},
    page::Page,
    run::{Pipeline, Progress, Run, RunState},
    tus,
};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::json;

async fn server() -> (Server, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(alone(root.path().join("one")), Tuning::default()).await.unwrap();
    server.ready().await;
    (server, root)
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_ordered_until_they_are_there_and_freed_when_it_is_deleted() {
    let (mut server, _root) = server().await;
    let first = FakeNode::join(&server, "first").await;
    let material = ready(&server, &first, "slide.svs").await;
    assert_eq!((material.state, material.population, material.population_live), (MaterialState::Degraded, 2, 1));
    let second = FakeNode::join(&server, "second").await;
    let generation = eventually("an order to copy", || async {
        match second.beat(&server).await.orders.as_slice() {
            [Order::Copy { material: ordered, generation, sources, size: 1000, .. }] => {
                assert_eq!((ordered, sources), (&material.id, &vec![first.url.clone()]));
                Some(*generation)
            }
            _ => None,
        }
    })
    .await;
    let half = Incoming { material: material.id.clone(), generation, offset: 500 };
    second.beat_with(&server, vec![half], vec![]).await;
    second.verified(&server, &material.id, generation, 1000).await;
    let material: Material = server.get(&format!("/v1/materials/{}", material.id)).await;
    assert_eq!((material.state, material.population_live), (MaterialState::Ready, 2));

    let url = format!("{}/v1/materials/{}", server.url, material.id);
    assert_eq!(http().delete(&url).send().await.unwrap().status(), StatusCode::ACCEPTED);
    for node in [&first, &second] {
        let generation = eventually("an order to free", || async {
            match node.beat(&server).await.orders.as_slice() {
                [Order::Drop { generation, .. }] => Some(*generation),
                _ => None,
            }
        })
        .await;
        node.replica(&server, &material.id, &json!({ "report": "dropped", "generation": generation })).await;
        assert!(node.beat(&server).await.orders.is_empty());
    }
    assert_eq!(code(http().get(&url).send().await.unwrap()).await, "not_found");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_moves_on_when_a_node_refuses_it() {
    let (mut server, _root) = server().await;
    assert_eq!(code(create(&server, "nowhere", "k0").await).await, "not_ready");
    let nodes = [FakeNode::join(&server, "first").await, FakeNode::join(&server, "second").await];
    let best: Page<Candidate> = server.get("/v1/nodes/candidates?size=1000").await;
    let full = nodes.iter().position(|node| node.id == best.items[0].node).unwrap();
    nodes[full].answer(Answer::INSUFFICIENT_STORAGE);
    let material: Material = read(create(&server, "slide", "k1").await, StatusCode::CREATED).await;
    let other = &nodes[1 - full];
    assert_eq!(material.upload_url, Some(format!("{}/v1/uploads/{}", other.url, material.id)));
    assert_eq!(material.replicas.iter().filter(|replica| replica.node == other.id).count(), 1);
    let asked = other.reserved.lock().unwrap()[0].clone();
    assert_eq!((asked.material, asked.size, asked.name.as_str()), (material.id.clone(), 1000, "slide"));
    // The same request again: the same material, and the node is asked again, for its first answer may be lost.
    let answer = create(&server, "slide", "k1").await;
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let again: Material = read(answer, StatusCode::OK).await;
    assert_eq!(again.id, material.id);
    assert_eq!(other.reserved.lock().unwrap().len(), 2);
    // Nobody takes it: nothing stays behind.
    other.answer(Answer::INSUFFICIENT_STORAGE);
    let answer = create(&server, "slide 2", "k2").await;
    assert!(["no_space", "not_ready"].contains(&code(answer).await.as_str()));
    let all: Page<Material> = server.get("/v1/materials").await;
    assert!(all.items.iter().all(|one| one.id == material.id || one.state == MaterialState::Deleting));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tus_clients_create_uploads() {
    let (mut server, _root) = server().await;
    let node = FakeNode::join(&server, "first").await;
    let url = format!("{}/v1/uploads", server.url);
    let post = || http().post(&url).header(tus::RESUMABLE, tus::VERSION);
    let options = http().request(reqwest::Method::OPTIONS, &url).send().await.unwrap();
    assert_eq!(options.status(), StatusCode::NO_CONTENT);
    assert_eq!(options.headers()[tus::TUS_VERSION], "1.0.0");
    assert_eq!(options.headers()[tus::EXTENSION], tus::EXTENSIONS);
    assert_eq!(options.headers()[tus::MAX_SIZE], (1u64 << 40).to_string());
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
    let (mut server, _root) = server().await;
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
async fn a_run_is_handed_out_started_and_done() {
    let (mut server, _root) = server().await;
    let pipelines: Page<Pipeline> = server.get("/v1/pipelines").await;
    assert_eq!(pipelines.items[0].id, "tissue");
    let node = FakeNode::join(&server, "first").await;
    let material = ready(&server, &node, "slide.svs").await;
    let submit = |body: serde_json::Value| http().post(format!("{}/v1/runs", server.url)).json(&body).send();
    let run: Run =
        read(submit(json!({ "pipeline": "tissue", "inputs": [material.id] })).await.unwrap(), StatusCode::CREATED)
            .await;
    let attempt = eventually("an order to run", || async {
        node.beat(&server).await.orders.iter().find_map(|order| match order {
            Order::Run { run: ordered, attempt, .. } if *ordered == run.id => Some(*attempt),
            _ => None,
        })
    })
    .await;
    report(&server, &node, &run.id, json!({ "report": "started", "attempt": attempt })).await;
    let progress = Progress { value: 0.5, label: "half".to_owned() };
    let beat = RunBeat { run: run.id.clone(), attempt, progress, bytes_moved: 0 };
    node.beat_with(&server, vec![], vec![beat]).await;
    let shown: Run = server.get(&format!("/v1/runs/{}", run.id)).await;
    assert_eq!((shown.state, shown.progress.value), (RunState::Running, 0.5));
    let done =
        json!({ "report": "done", "attempt": attempt, "outputs": [], "result": { "fraction": 0.3 }, "bytes_moved": 0 });
    report(&server, &node, &run.id, done).await;
    let shown: Run = server.get(&format!("/v1/runs/{}", run.id)).await;
    assert_eq!((shown.state, shown.result), (RunState::Done, Some(json!({ "fraction": 0.3 }))));
    let outputs: Page<serde_json::Value> = server.get(&format!("/v1/runs/{}/outputs", run.id)).await;
    assert!(outputs.items.is_empty());
    let cancel = |id: &RunId| http().post(format!("{}/v1/runs/{id}/cancel", server.url)).send();
    assert_eq!(code(cancel(&run.id).await.unwrap()).await, "conflict");
    let second: Run =
        read(submit(json!({ "pipeline": "tissue", "inputs": [material.id] })).await.unwrap(), StatusCode::CREATED)
            .await;
    let canceled: Run = read(cancel(&second.id).await.unwrap(), StatusCode::OK).await;
    assert_eq!(canceled.state, RunState::Canceled);
    assert_eq!(code(submit(json!({ "pipeline": "other", "inputs": [material.id] })).await.unwrap()).await, "bad_run");
    server.stop().await;
}

async fn report(server: &Server, node: &FakeNode, run: &RunId, report: serde_json::Value) {
    let url = format!("{}/internal/v1/nodes/{}/runs/{run}", server.url, node.id);
    let answer = http().post(url).json(&report).send().await.unwrap();
    let status = answer.status();
    assert_eq!(status, StatusCode::NO_CONTENT, "{}", answer.text().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused_with_a_code() {
    let (mut server, _root) = server().await;
    let node = FakeNode::join(&server, "first").await;
    let at = |path: &str| format!("{}{path}", server.url);
    let material = |body: serde_json::Value| http().post(at("/v1/materials")).json(&body);
    let beat = json!({ "instance": "0".repeat(32), "report": crate::common::report() });
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

/// A page of what a node had counted is long on its way: what it tells of since is not taken for lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_that_a_report_has_overtaken_is_not_settled() {
    let (mut server, _root) = server().await;
    let node = FakeNode::join(&server, "a node").await;
    let made: Material = created_on(&node, &server, "slide", "key").await;
    let counting = node.begin_inventory(&server).await;
    // Nothing was there when it counted; then the upload is whole.
    node.verified(&server, &made.id, made.replicas[0].generation, 1000).await;
    let page = json!({ "held": [], "last": true, "incoming": [], "count": counting.count });
    let late = || send(http().post(format!("{}/internal/v1/nodes/{}/inventory", server.url, node.id)).json(&page));
    assert_eq!(code(late().await).await, "conflict");
    let kept: Material = server.get(&format!("/v1/materials/{}", made.id)).await;
    assert_eq!(kept.replicas.len(), 1, "{kept:?}");
    // Counted anew it is told with all others; and once only.
    let counting = node.begin_inventory(&server).await;
    let held = json!([{ "material": made.id, "generation": made.replicas[0].generation, "size": 1000,
                        "blake3": "ab".repeat(32) }]);
    let page = json!({ "held": held, "last": true, "incoming": [], "count": counting.count });
    let tell = || send(http().post(format!("{}/internal/v1/nodes/{}/inventory", server.url, node.id)).json(&page));
    assert_eq!(tell().await.status(), StatusCode::OK);
    assert_eq!(code(tell().await).await, "conflict");
    server.stop().await;
}
