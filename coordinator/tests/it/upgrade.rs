//! Coordinators of two versions in one group, upgraded one after the other while they work.

use crate::common::{Cluster, FakeNode, alone, code, created_on, eventually, free_port, http, report, send};
use microtome_coordinator::{CoordinatorError, Tuning};
use microtome_proto::{cluster::Cluster as Info, material::Material, protocol::PROTOCOL};
use reqwest::StatusCode;
use serde_json::{Value, json};

const BEFORE: u32 = PROTOCOL - 1;

fn before() -> Tuning {
    Tuning { protocol: BEFORE, ..Tuning::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_version_brings_waits_until_all_coordinators_are_upgraded() {
    let mut cluster = Cluster::start(3, before(), |_| ()).await;
    let node = FakeNode::join(&cluster.servers[0], "node a").await;
    let user = http().post(format!("{}/v1/users", cluster.servers[0].url));
    let user = user.json(&json!({ "name": "ada", "service": true }));
    // One after the other; all goes on meanwhile.
    for upgraded in 0..3 {
        let refused = eventually("a refusal", || async {
            node.beat(&cluster.servers[0]).await;
            let answer = user.try_clone().unwrap().send().await.unwrap();
            assert!(!answer.status().is_success());
            let problem: Value = answer.json().await.unwrap();
            (problem["code"] == "upgrading").then_some(problem)
        })
        .await;
        assert_eq!(refused["status"], 503, "{refused}");
        cluster.servers[upgraded].stop().await;
        cluster.servers[upgraded].tuning = Tuning::default();
        cluster.servers[upgraded].start_again().await.unwrap();
        cluster.servers[upgraded].ready().await;
        let made: Material =
            created_on(&node, &cluster.servers[upgraded], &format!("slide {upgraded}"), &format!("key-{upgraded}"))
                .await;
        assert_eq!(made.name, format!("slide {upgraded}"));
    }
    eventually("all work by the new protocol", || async {
        let info: Info = cluster.servers[1].get("/v1/cluster").await;
        (info.protocol == PROTOCOL).then_some(())
    })
    .await;
    node.beat(&cluster.servers[0]).await;
    assert_eq!(send(user).await.status(), StatusCode::CREATED);
    // There is no way back for one of them.
    cluster.servers[2].stop().await;
    cluster.servers[2].tuning = before();
    // It knows at once, or when it has read its log.
    let refused = match cluster.servers[2].start_again().await {
        Err(refused) => refused,
        Ok(()) => cluster.servers[2].ended().await,
    };
    assert!(matches!(refused, CoordinatorError::TooOld { cluster: PROTOCOL, own: BEFORE }), "{refused}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_too_far_apart_do_not_work_together() {
    let mut cluster = Cluster::start(1, Tuning::default(), |_| ()).await;
    let server = &cluster.servers[0];
    let register = |protocol: u32| {
        let node = json!({
            "instance": format!("{:032x}", rand::random::<u128>()), "name": "n", "url": "http://127.0.0.1:1",
            "version": "9.9.9", "report": report(), "protocol": protocol,
        });
        send(http().post(format!("{}/internal/v1/nodes", server.url)).json(&node))
    };
    assert_eq!(register(PROTOCOL + 1).await.status(), StatusCode::OK);
    assert_eq!(code(register(PROTOCOL + 2).await).await, "version_gap");
    let append = |protocol: u32| {
        let request = http().post(format!("{}/internal/v1/raft/append", server.url)).json(&json!({}));
        send(request.header("microtome-to", 1).header("microtome-protocol", protocol))
    };
    assert_eq!(code(append(PROTOCOL + 2).await).await, "version_gap");
    assert_eq!(code(append(PROTOCOL + 1).await).await, "bad_request", "it was read");
    // One that is older than what the cluster works by does not join.
    eventually("its protocol", || async {
        let info: Info = server.get("/v1/cluster").await;
        (info.protocol == PROTOCOL).then_some(())
    })
    .await;
    let root = tempfile::tempdir().unwrap();
    let url = format!("http://127.0.0.1:{}", free_port());
    let mut old = alone(root.path().to_owned());
    (old.id, old.listen) = (2, url.trim_start_matches("http://").to_owned());
    old.coordinators = [(1, server.url.clone()), (2, url.clone())].into();
    let mut old = crate::common::Server::start(old, before()).await.unwrap();
    let join = http().post(format!("{}/v1/coordinators", server.url)).json(&json!({ "id": 2, "url": url }));
    assert_eq!(code(send(join).await).await, "version_gap");
    old.stop().await;
    cluster.stop().await;
}
