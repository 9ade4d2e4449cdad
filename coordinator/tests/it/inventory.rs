//! What nodes tell of what they hold, against the books.

use crate::common::{Books, FakeNode, Server, code, created_on, http, report, send, tell};
use microtome_proto::{
    Timestamp,
    internal::{Heartbeat, HeartbeatAnswer, Incoming},
    material::Material,
};
use reqwest::StatusCode;
use serde_json::json;

/// A page of what a node had counted is long on its way: what it tells of since is not taken for lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_that_a_report_has_overtaken_is_not_settled() {
    let mut server = Server::alone().await;
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
    let mut server = books.serve().await;
    let half = Incoming { material, generation, offset: 500, check: None };
    for (incoming, wanted) in [(vec![], true), (vec![half], false)] {
        let beat = Heartbeat { instance: instance.clone(), report: report(), incoming, ..Heartbeat::default() };
        let answer: HeartbeatAnswer = tell(&server, &format!("/internal/v1/nodes/{node}/heartbeat"), &beat).await;
        assert_eq!(answer.inventory_wanted, wanted);
    }
    server.stop().await;
}
