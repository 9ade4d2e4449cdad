//! Operators' acts on nodes and on the balance between them, over HTTP.

use crate::common::{FakeNode, Server, code, eventually, http, read, ready, report, send};
use microtome_proto::{
    cluster::Cluster,
    internal::Register,
    material::Material,
    node::{Candidate, Lifecycle, Node, Scheduling},
    operation::{Operated, Rebalanced},
    page::Page,
    protocol::PROTOCOL,
};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

async fn post(server: &Server, path: &str) -> Response {
    send(http().post(format!("{}{path}", server.url))).await
}

async fn act(server: &Server, node: &FakeNode, act: &str) -> Operated {
    read(post(server, &format!("/v1/nodes/{}/{act}", node.id)).await, StatusCode::OK).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cordoned_node_gets_nothing_new_until_it_is_uncordoned() {
    let mut server = Server::alone().await;
    let nodes = [FakeNode::join(&server, "first").await, FakeNode::join(&server, "second").await];
    let foreseen = act(&server, &nodes[0], "cordon?dry_run=true").await;
    assert!(foreseen.dry_run && foreseen.changes && foreseen.scheduling == Scheduling::Cordoned);
    let candidates = || async {
        let page: Page<Candidate> = server.get("/v1/nodes/candidates?size=1").await;
        page.items.len()
    };
    assert_eq!(candidates().await, 2, "a dry run changes nothing");
    for changes in [true, false] {
        assert_eq!(act(&server, &nodes[0], "cordon").await.changes, changes);
        assert_eq!(candidates().await, 1);
    }
    assert!(act(&server, &nodes[0], "uncordon").await.changes);
    assert_eq!(candidates().await, 2);
    for (path, wanted) in [
        ("/v1/nodes/n-77/cordon", "not_found"),
        ("/v1/nodes/n-77/drain?dry_run=true", "not_found"),
        ("/v1/nodes/n-1/paint", "not_found"),
        ("/v1/nodes/m-1/drain", "bad_request"),
        ("/v1/nodes/n-1/drain?dry_run=maybe", "bad_request"),
    ] {
        assert_eq!(code(post(&server, path).await).await, wanted, "{path}");
    }
    let looked = http().get(format!("{}/v1/nodes/n-1/drain", server.url)).send().await.unwrap();
    assert_eq!(code(looked).await, "method_not_allowed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_drained_then_removed_and_told_so() {
    let mut server = Server::alone().await;
    let first = FakeNode::join(&server, "first").await;
    let material = ready(&server, &first, "slide.svs").await;
    let foreseen = act(&server, &first, "drain?dry_run=true").await;
    let departure = foreseen.departure.unwrap();
    assert_eq!((departure.held.copies, departure.only_here.bytes, departure.unplaced.len()), (1, 1000, 1));
    let second = FakeNode::join(&server, "second").await;
    let third = FakeNode::join(&server, "third").await;

    let refused = post(&server, &format!("/v1/nodes/{}/remove", first.id)).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    let problem: Value = refused.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("on no other node (1, 1000 bytes in all)"), "{problem}");
    assert!(problem["way_out"].as_str().unwrap().contains("drain"), "{problem}");
    let foreseen = act(&server, &first, "remove?dry_run=true").await;
    assert!(foreseen.refusal.is_some() && foreseen.departure.unwrap().only_here_materials == [material.id.clone()]);

    let drained = act(&server, &first, "drain").await;
    assert_eq!(drained.departure.unwrap().to_copy.copies, 1);
    let show = || async { server.get::<Node>(&format!("/v1/nodes/{}", first.id)).await };
    let drain = show().await.drain.unwrap();
    assert_eq!((drain.copies, drain.bytes_left), (1, 1000));
    for node in [&second, &third] {
        let (ordered, generation) = node.ordered_copy(&server).await;
        assert_eq!(ordered, material.id);
        node.verified(&server, &ordered, generation, 1000).await;
    }
    first.frees(&server, &[&second, &third]).await;
    assert!(show().await.drain.unwrap().is_done());

    for changes in [true, false] {
        let removed = act(&server, &first, "remove").await;
        assert_eq!((removed.changes, removed.lifecycle), (changes, Lifecycle::Removed));
    }
    let beat = json!({ "instance": first.instance, "report": report() });
    let beat = http().post(format!("{}/internal/v1/nodes/{}/heartbeat", server.url, first.id)).json(&beat);
    assert_eq!(code(send(beat).await).await, "gone");
    let register = Register {
        instance: first.instance.clone(),
        cluster: None,
        name: "first".to_owned(),
        url: first.url.clone(),
        zone: None,
        labels: Default::default(),
        version: "0.1.0".to_owned(),
        protocol: PROTOCOL,
        report: report(),
    };
    let again = http().post(format!("{}/internal/v1/nodes", server.url)).json(&register);
    assert_eq!(code(send(again).await).await, "gone");
    assert_eq!(code(post(&server, &format!("/v1/nodes/{}/uncordon", first.id)).await).await, "gone");
    // The same machine with an empty folder is another node, though it has the same name.
    let anew = FakeNode::join(&server, "first").await;
    assert_ne!(anew.id, first.id);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_with_a_node_is_lost_only_where_it_is_meant() {
    let mut server = Server::alone().await;
    let first = FakeNode::join(&server, "first").await;
    let material = ready(&server, &first, "slide.svs").await;
    let removed = act(&server, &first, "remove?force=true").await;
    assert!(removed.changes && removed.departure.unwrap().only_here_materials == [material.id.clone()]);
    let shown: Material = server.get(&format!("/v1/materials/{}", material.id)).await;
    assert_eq!((shown.population_live, shown.replicas.len()), (0, 1), "the books tell where it was");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_made_equally_full_also_over_a_restart() {
    let mut server = Server::alone().await;
    let first = FakeNode::join(&server, "first").await;
    let size = 1u64 << 37;
    for name in ["a", "b", "c"] {
        let wanted = json!({ "name": name, "size": size, "population": 1 });
        let made = send(http().post(format!("{}/v1/materials", server.url)).json(&wanted)).await;
        let made: Material = read(made, StatusCode::CREATED).await;
        first.verified(&server, &made.id, made.replicas[0].generation, size).await;
    }
    let second = FakeNode::join(&server, "second").await;
    let ask = async |server: &Server, query: &str| -> Rebalanced {
        read(post(server, &format!("/v1/cluster/rebalance{query}")).await, StatusCode::OK).await
    };
    let cluster = async |server: &Server| -> Cluster { server.get("/v1/cluster").await };
    let foreseen = ask(&server, "?dry_run=true").await;
    assert_eq!((foreseen.to_move.copies, foreseen.goes_on, foreseen.evens_out), (1, false, false));
    assert!(cluster(&server).await.rebalance.is_none());

    assert!(ask(&server, "").await.goes_on);
    second.ordered_copy(&server).await;
    let moving = cluster(&server).await.rebalance.unwrap();
    assert_eq!((moving.copies, moving.fullest, moving.emptiest), (1, 0.75, 0.625));
    let cancel = || http().delete(format!("{}/v1/cluster/rebalance", server.url));
    for _ in 0..2 {
        assert_eq!(send(cancel()).await.status(), StatusCode::NO_CONTENT);
    }
    second.frees(&server, &[]).await;
    assert!(cluster(&server).await.rebalance.is_none());

    assert!(ask(&server, "").await.goes_on);
    server.stop().await;
    server.start_again().await.unwrap();
    server.ready().await;
    assert!(cluster(&server).await.rebalance.is_some(), "what was asked for survives");
    for node in [&first, &second] {
        node.beat(&server).await;
    }
    let (material, generation) = second.ordered_copy(&server).await;
    second.verified(&server, &material, generation, size).await;
    assert_eq!(first.frees(&server, &[&second]).await, material, "only now that the other copy is whole");
    eventually("its end", || async { cluster(&server).await.rebalance.is_none().then_some(()) }).await;
    let shown: Material = server.get(&format!("/v1/materials/{material}")).await;
    assert_eq!((shown.replicas.len(), &shown.replicas[0].node), (1, &second.id));
    server.stop().await;
}
