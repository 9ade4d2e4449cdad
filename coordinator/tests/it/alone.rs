//! One coordinator by itself: starting, starting again, and refusing what cannot work.

use crate::common::{FakeNode, Server, alone, code, created_on, eventually, http, small};
use microtome_coordinator::{CoordinatorError, StoreError, Tuning};
use microtome_proto::{
    cluster::Cluster,
    material::Material,
    token::{Claims, Role, Settings, now_s},
};
use reqwest::StatusCode;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_again_with_what_it_had_acknowledged() {
    let root = tempfile::tempdir().unwrap();
    let mut server = Server::start(alone(root.path().join("one")), small()).await.unwrap();
    server.ready().await;
    let before: Cluster = server.get("/v1/cluster").await;
    let node = FakeNode::join(&server, "node a").await;
    let mut made = Vec::new();
    for n in 0..150 {
        made.push(created_on(&node, &server, &format!("slide {n}"), &format!("k{n}")).await);
    }
    for damage in [None, Some("state"), Some("snapshots")] {
        server.stop().await;
        if let Some(part) = damage {
            fs::remove_dir_all(server.config.data_dir.join(part)).unwrap();
        }
        server.start_again().await.unwrap();
        server.ready().await;
        let after: Cluster = server.get("/v1/cluster").await;
        assert_eq!((&after.id, after.materials, after.nodes), (&before.id, 150, 1));
        for material in &made {
            let found: Material = server.get(&format!("/v1/materials/{}", material.id)).await;
            assert_eq!(found.replicas[0].node, node.id);
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_and_a_port_have_one_owner() {
    let root = tempfile::tempdir().unwrap();
    let mut server = Server::start(alone(root.path().join("one")), Tuning::default()).await.unwrap();
    let refusal = |change: &dyn Fn(&mut microtome_coordinator::Config)| {
        let mut config = alone(root.path().join("one"));
        change(&mut config);
        Server::start(config, Tuning::default())
    };
    let error = refusal(&|_| ()).await.err().unwrap();
    assert!(matches!(error, CoordinatorError::Store(StoreError::Locked(_))), "{error}");
    let taken = server.url.trim_start_matches("http://").to_owned();
    let error = refusal(&|config| config.listen = taken.clone()).await.err().unwrap();
    assert!(matches!(error, CoordinatorError::Listen(_)), "{error}");
    let error = refusal(&|config| config.listen = "0.0.0.0:0".to_owned()).await.err().unwrap();
    assert!(error.to_string().contains("secret"), "{error}");
    server.stop().await;
    let error = refusal(&|config| config.id = 2).await.err().unwrap();
    assert!(error.to_string().contains("belongs to coordinator 1"), "{error}");
    let error = refusal(&|config| config.cluster_name = "other".to_owned()).await.err().unwrap();
    assert!(error.to_string().contains("cluster 'microtome'"), "{error}");
    // The log's thread may hold the file a little longer.
    let log = server.config.data_dir.join("log.redb");
    eventually("the log is closed", || async { redb::Database::open(&log).ok() }).await;
    fs::write(&log, b"nonsense").unwrap();
    let error = server.start_again().await.unwrap_err();
    assert!(matches!(error, CoordinatorError::Store(StoreError::Damaged { .. })), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_keeps_strangers_out() {
    let root = tempfile::tempdir().unwrap();
    let mut config = alone(root.path().join("one"));
    config.auth = Settings::of_secret("a secret of some length");
    let signer = config.auth.signer().unwrap().unwrap();
    let mut server = Server::start(config, Tuning::default()).await.unwrap();
    server.ready().await;
    let person = signer.sign(&Claims::new("somebody", Role::Administrator, now_s(), 60)).unwrap();
    let ask = |path: &str, token: Option<&str>| {
        let request = http().get(format!("{}{path}", server.url));
        token.map_or(request.try_clone().unwrap(), |token| request.bearer_auth(token)).send()
    };
    assert_eq!(code(ask("/v1/cluster", None).await.unwrap()).await, "unauthorized");
    let remove = http().post(format!("{}/v1/nodes/n-1/remove?force=true", server.url)).send().await.unwrap();
    assert_eq!(code(remove).await, "unauthorized");
    assert_eq!(ask("/v1/cluster", Some(&person)).await.unwrap().status(), StatusCode::OK);
    let internal = "/internal/v1/raft/standing?of=2";
    assert_eq!(code(ask(internal, None).await.unwrap()).await, "unauthorized");
    assert_eq!(code(ask(internal, Some(&person)).await.unwrap()).await, "forbidden");
    server.stop().await;
}
