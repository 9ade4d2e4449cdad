//! Runs over HTTP: submitted, handed out, reported, cancelled.

use crate::common::{Books, FakeNode, Server, code, eventually, http, read, ready, send};
use microtome_coordinator::core::command::Command;
use microtome_proto::{
    RunId, Timestamp,
    internal::{Order, RunBeat},
    limits::RUNS_WAITING_MAX,
    page::Page,
    run::{Pipeline, Progress, Run, RunState},
};
use reqwest::StatusCode;
use serde_json::json;

async fn report(server: &Server, node: &FakeNode, run: &RunId, report: serde_json::Value) {
    let url = format!("{}/internal/v1/nodes/{}/runs/{run}", server.url, node.id);
    let answer = http().post(url).json(&report).send().await.unwrap();
    let status = answer.status();
    assert_eq!(status, StatusCode::NO_CONTENT, "{}", answer.text().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_handed_out_started_and_done() {
    let mut server = Server::alone().await;
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
            owner: None,
        });
    }
    let mut server = books.serve().await;
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
