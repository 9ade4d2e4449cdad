//! Where an upload goes: which node takes it, when it moves on, and when it must not.

use crate::common::{FakeNode, Server, code, create, created, http, read, send};
use microtome_proto::{
    Code,
    material::{Material, MaterialState},
    node::Candidate,
    page::Page,
};
use reqwest::StatusCode;

/// Two nodes, and an upload that was given to the first of them.
async fn placed() -> (Server, [FakeNode; 2], Material) {
    let server = Server::alone().await;
    let mut nodes = [FakeNode::join(&server, "first").await, FakeNode::join(&server, "second").await];
    let made: Material = read(create(&server, "slide", "k").await, StatusCode::CREATED).await;
    if made.replicas[0].node == nodes[1].id {
        nodes.swap(0, 1);
    }
    (server, nodes, made)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_moves_on_when_a_node_refuses_it() {
    let mut server = Server::alone().await;
    assert_eq!(code(create(&server, "nowhere", "k0").await).await, "not_ready");
    let nodes = [FakeNode::join(&server, "first").await, FakeNode::join(&server, "second").await];
    let best: Page<Candidate> = server.get("/v1/nodes/candidates?size=1000").await;
    let full = nodes.iter().position(|node| node.id == best.items[0].node).unwrap();
    nodes[full].answer(StatusCode::INSUFFICIENT_STORAGE);
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
    other.answer(StatusCode::INSUFFICIENT_STORAGE);
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
    let (mut server, [first, mut second], made) = placed().await;
    let place = |made: &Material| (made.replicas[0].node.clone(), made.replicas[0].generation);
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
    let (mut server, [mut first, second], _) = placed().await;
    first.go_away().await;
    let remove = format!("{}/v1/nodes/{}/remove?force=true", server.url, first.id);
    assert_eq!(send(http().post(remove)).await.status(), StatusCode::OK);
    // The same material, or another where the planner was faster.
    second.beat(&server).await;
    let again: Material = created(&server, "slide", "k").await;
    assert_eq!(again.upload_url, Some(format!("{}/v1/uploads/{}", second.url, again.id)));
    server.stop().await;
}
