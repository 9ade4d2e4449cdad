//! The API against nodes that are a few lines: uploads, copies, runs, redirects, refusals.

use crate::common::{
    FakeNode, Server, alone, code, create, created, created_on, eventually, http, read, ready, send, tell,
};
use axum::http::StatusCode as Answer;
use microtome_coordinator::{
    Tuning,
    core::{
        apply::apply,
        command::{Command, Outcome, Proposal},
        view::Memory,
    },
    seed,
};
use microtome_proto::{
    ClusterId, Code, Generation, MaterialId, NodeId, RunId, Timestamp,
    cluster::Cluster,
    internal::{Heartbeat, HeartbeatAnswer, Incoming, Order, RunBeat},
    limits::RUNS_WAITING_MAX,
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

/// Nodes heard of an order with their next heartbeat only: each short copy and run waited for up to a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_told_at_once_that_there_is_an_order_for_it() {
    let (mut server, _root) = server().await;
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
    let (mut server, _root) = server().await;
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

/// A node that no coordinator heard took the last byte and said so to the sender. The sender's creation was repeated,
/// the upload moved to another node, and what was acknowledged was dropped when the first node was heard again.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_stays_with_its_node_until_that_refuses_it_for_want_of_room() {
    let (mut server, _root) = server().await;
    let mut nodes = [FakeNode::join(&server, "first").await, FakeNode::join(&server, "second").await];
    let place = |made: &Material| (made.replicas[0].node.clone(), made.replicas[0].generation);
    let made: Material = read(create(&server, "slide", "k").await, StatusCode::CREATED).await;
    if made.replicas[0].node == nodes[1].id {
        nodes.swap(0, 1);
    }
    let [first, second] = &mut nodes;
    // It does not tell of the upload: it has all of it.
    first.beat(&server).await;
    for code_of_refusal in [Code::NotReady, Code::StaleGeneration, Code::Internal] {
        first.refuse(code_of_refusal);
        let answer = create(&server, "slide", "k").await;
        assert_eq!(code(answer).await, "not_ready", "it is asked again");
    }
    let shown: Material = server.get(&format!("/v1/materials/{}", made.id)).await;
    assert_eq!(place(&shown), place(&made));
    first.refuse(Code::NoSpace);
    let moved: Material = read(create(&server, "slide", "k").await, StatusCode::OK).await;
    assert_eq!((&moved.id, &moved.replicas[0].node, moved.replicas.len()), (&made.id, &second.id, 1));

    second.go_away().await;
    for _ in 0..2 {
        second.beat(&server).await;
        let kept: Material = read(create(&server, "slide", "k").await, StatusCode::OK).await;
        assert_eq!(place(&kept), place(&moved));
        assert_eq!(kept.upload_url, moved.upload_url);
    }
    second.verified(&server, &made.id, moved.replicas[0].generation, 1000).await;
    let whole: Material = server.get(&format!("/v1/materials/{}", made.id)).await;
    assert_eq!(whole.population_live, 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_leaves_a_node_that_was_removed() {
    let (mut server, _root) = server().await;
    let mut nodes = [FakeNode::join(&server, "first").await, FakeNode::join(&server, "second").await];
    let made: Material = read(create(&server, "slide", "k").await, StatusCode::CREATED).await;
    if made.replicas[0].node == nodes[1].id {
        nodes.swap(0, 1);
    }
    let [first, second] = &mut nodes;
    first.go_away().await;
    let remove = format!("{}/v1/nodes/{}/remove?force=true", server.url, first.id);
    assert_eq!(send(http().post(remove)).await.status(), StatusCode::OK);
    // The same material, or another where the planner was faster.
    second.beat(&server).await;
    let again: Material = created(&server, "slide", "k").await;
    assert_eq!(again.upload_url, Some(format!("{}/v1/uploads/{}", second.url, again.id)));
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
    let other = ready(&server, &node, "other.svs").await;
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
    for (pipeline, inputs) in
        [("other", vec![&material.id]), ("tissue", vec![]), ("tissue", vec![&material.id, &other.id])]
    {
        let refused = submit(json!({ "pipeline": pipeline, "inputs": inputs })).await.unwrap();
        assert_eq!(code(refused).await, "bad_run", "{pipeline} {inputs:?}");
    }
    server.stop().await;
}

/// Books in which no node has been heard of for a while, as a coordinator finds them at its start.
struct Books {
    view: Memory,
    at: Timestamp,
}

impl Books {
    fn new(at: Timestamp) -> Self {
        let mut books = Self { view: Memory::new(), at };
        books.write(Command::Found { cluster: ClusterId::from_random(1), name: "lab".to_owned() });
        books
    }

    fn write(&mut self, command: Command) -> Outcome {
        let (changes, outcome) = apply(&self.view, &Proposal { at: self.at, command }).unwrap();
        for (key, record) in changes {
            match record {
                Some(record) => self.view.insert(key, record),
                None => self.view.remove(&key),
            };
        }
        outcome
    }

    /// A node, and an upload to it.
    fn write_upload(&mut self, instance: &str) -> (NodeId, MaterialId, Generation) {
        let registered = self.write(Command::RegisterNode {
            instance: instance.to_owned(),
            name: "first".to_owned(),
            url: "http://127.0.0.1:1".to_owned(),
            zone: None,
            labels: Default::default(),
            version: "0.1.0".to_owned(),
        });
        let Outcome::Node { node } = registered else { panic!("{registered:?}") };
        let made = self.write(Command::CreateMaterial {
            request: None,
            name: "slide".to_owned(),
            size: 1000,
            size_deferred: false,
            media_type: "image/tiff".to_owned(),
            blake3: None,
            population: 1,
            origin: None,
            node: node.clone(),
        });
        let Outcome::Material { material, generation, .. } = made else { panic!("{made:?}") };
        (node, material, generation)
    }

    async fn serve(&self) -> (Server, tempfile::TempDir) {
        let root = tempfile::tempdir().unwrap();
        let config = alone(root.path().join("one"));
        seed(&config, &self.view).unwrap();
        let server = Server::start(config, Tuning::default()).await.unwrap();
        server.ready().await;
        (server, root)
    }
}

/// A script submitted runs without end: each round looked at all of them, and none was ever refused.
#[tokio::test(flavor = "multi_thread")]
async fn runs_do_not_wait_without_bound() {
    let mut books = Books::new(Timestamp::now());
    let (_, material, _) = books.write_upload(&"0".repeat(32));
    for nth in 0..RUNS_WAITING_MAX {
        books.write(Command::CreateRun {
            request: Some(format!("key-{nth}")),
            pipeline: "tissue".to_owned(),
            name: "tissue".to_owned(),
            inputs: vec![material.clone()],
            parameters: json!({}),
        });
    }
    let (mut server, _root) = books.serve().await;
    let submit = |key: &str| {
        let run = json!({ "pipeline": "tissue", "inputs": [material], "parameters": {} });
        send(http().post(format!("{}/v1/runs", server.url)).header("idempotency-key", key).json(&run))
    };
    let refused = submit("one-more").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(code(refused).await, "too_many_requests");
    let known: Run = read(submit("key-7").await, StatusCode::CREATED).await;
    assert_eq!(send(http().post(format!("{}/v1/runs/{}/cancel", server.url, known.id))).await.status(), StatusCode::OK);
    assert_eq!(submit("one-more").await.status(), StatusCode::CREATED);
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

/// The coordinator went down between writing an upload down and asking its node for room: the books waited for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_tell_of_an_upload_for_a_minute_is_asked_what_it_holds() {
    let mut books = Books::new(Timestamp::from_millis(Timestamp::now().as_millis() - 60_000));
    let instance = "0".repeat(32);
    let (node, material, generation) = books.write_upload(&instance);
    let (mut server, _root) = books.serve().await;
    let half = Incoming { material, generation, offset: 500 };
    for (incoming, wanted) in [(vec![], true), (vec![half], false)] {
        let report = crate::common::report();
        let beat = Heartbeat { instance: instance.clone(), report, incoming, damaged: vec![], runs: vec![] };
        let answer: HeartbeatAnswer = tell(&server, &format!("/internal/v1/nodes/{node}/heartbeat"), &beat).await;
        assert_eq!(answer.inventory_wanted, wanted);
    }
    server.stop().await;
}
