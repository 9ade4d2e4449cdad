//! Single calls: redirects, repetition, refusal.

use crate::fake::{Ask, Fake, id, nobody, ready};
use microtome_client::{ClientError, Cluster};
use microtome_proto::{
    Code, Generation, RunId, Timestamp,
    page::PageQuery,
    run::{CreateRun, Progress, Run, RunState},
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

fn cluster(servers: &[&str]) -> Cluster {
    let servers = servers.iter().map(|server| (*server).to_owned()).collect();
    Cluster::new(servers, Some("secret-token".to_owned())).with_deadline(Duration::from_secs(10))
}

fn tissue() -> CreateRun {
    CreateRun { pipeline: "tissue".to_owned(), name: None, inputs: vec![id()], parameters: serde_json::json!({}) }
}

fn run() -> Run {
    Run {
        id: RunId::from_counter(1),
        pipeline: "tissue".to_owned(),
        name: "tissue".to_owned(),
        inputs: vec![id()],
        parameters: serde_json::json!({}),
        state: RunState::Waiting,
        progress: Progress::default(),
        node: None,
        attempt: Generation(1),
        attempts: 1,
        outputs: Vec::new(),
        result: None,
        reason: None,
        bytes_moved: 0,
        created_at: Timestamp::from_millis(0),
        started_at: None,
        ended_at: None,
    }
}

fn answer_material(ask: Ask) {
    ask.answer_json(&ready(b"x", &[]));
}

#[tokio::test]
async fn a_redirect_keeps_method_body_token_and_key() {
    let seen = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&seen);
    let leader = Fake::start(move |mut ask| {
        let body = ask.json();
        let token = ask.header("authorization").to_owned();
        let key = ask.header("idempotency-key").to_owned();
        *keep.lock().unwrap() = Some((ask.method.clone(), body, token, key));
        ask.answer_json(&run());
    });
    let to = leader.url.clone();
    let follower = Fake::start(move |ask| ask.redirect(&to));

    let run = cluster(&[&follower.url]).create_run(&tissue()).await.unwrap();

    assert_eq!(run.id.as_str(), "r-1");
    let (method, body, token, key) = seen.lock().unwrap().take().unwrap();
    assert_eq!((method.as_str(), token.as_str()), ("POST", "Bearer secret-token"));
    assert_eq!(body["inputs"][0], id().as_str());
    assert_eq!(key.len(), 32);
}

#[tokio::test]
async fn a_redirect_that_never_ends_is_given_up() {
    let fake = Fake::start(|ask| {
        let here = format!("http://{}", ask.header("host"));
        ask.redirect(&here);
    });
    let error = cluster(&[&fake.url]).material(&id()).await.unwrap_err();
    assert!(matches!(&error, ClientError::Protocol { what, .. } if what.contains("redirects")), "{error}");
}

#[tokio::test]
async fn a_try_that_had_no_time_left_does_not_hide_what_was_heard_before() {
    let asked = AtomicU32::new(0);
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let fake = Fake::start(move |ask| {
        if asked.fetch_add(1, Ordering::SeqCst) == 0 {
            ask.refuse(Code::NoLeader);
        } else {
            let _ = held.lock().unwrap().recv(); // Silent until the test has ended.
        }
    });
    let error = cluster(&[&fake.url]).material(&id()).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::NoLeader), "{error}");
    drop(hold);
}

#[tokio::test]
async fn a_server_without_a_leader_is_passed_over_and_the_answering_one_remembered() {
    let lost = Fake::start(|ask| ask.refuse(Code::NoLeader));
    let led = Fake::start(answer_material);
    let cluster = cluster(&[&lost.url, &led.url]);
    cluster.material(&id()).await.unwrap();
    cluster.material(&id()).await.unwrap();
    assert_eq!((lost.asked().len(), led.asked().len()), (1, 2));
    assert_eq!(cluster.servers(), [led.url.clone(), lost.url.clone()]);
}

#[tokio::test]
async fn a_leader_that_dies_is_replaced_by_another_server() {
    let (first, second) = (Fake::start(answer_material), Fake::start(answer_material));
    let cluster = cluster(&[&first.url, &second.url]);
    cluster.material(&id()).await.unwrap();
    drop(first);
    cluster.material(&id()).await.unwrap();
    assert_eq!(second.asked().len(), 1);
}

#[tokio::test]
async fn a_lasting_refusal_is_told_at_once() {
    let fake = Fake::start(|ask| ask.refuse(Code::NotFound));
    let other = Fake::start(answer_material);
    let error = cluster(&[&fake.url, &other.url]).material(&id()).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::NotFound));
    assert!(error.to_string().contains("microtome ls"), "a way out: {error}");
    assert_eq!((fake.asked().len(), other.asked().len()), (1, 0));
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_repeated_under_the_same_key() {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&keys);
    let fake = Fake::start(move |mut ask| {
        let _ = ask.body(usize::MAX);
        let mut keys = keep.lock().unwrap();
        keys.push(ask.header("idempotency-key").to_owned());
        if keys.len() > 1 {
            ask.answer_json(&run());
        }
    });
    cluster(&[&fake.url]).create_run(&tissue()).await.unwrap();
    let keys = keys.lock().unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_counts_as_done() {
    let tries = AtomicU32::new(0);
    let fake = Fake::start(move |ask| {
        if tries.fetch_add(1, Ordering::SeqCst) > 0 {
            ask.refuse(Code::NotFound);
        }
    });
    cluster(&[&fake.url]).delete_material(&id()).await.unwrap();

    let empty = Fake::start(|ask| ask.refuse(Code::NotFound));
    let error = cluster(&[&empty.url]).delete_material(&id()).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::NotFound));
}

#[tokio::test]
async fn nobody_there_names_all_servers_and_keeps_to_the_deadline() {
    let (a, b) = (nobody(), nobody());
    let begin = Instant::now();
    let patient = cluster(&[&a, &b]).with_deadline(Duration::from_secs(600));
    let hasty = patient.with_refused_max(Duration::from_millis(300));
    let error = hasty.nodes(&PageQuery::default()).await.unwrap_err().to_string();
    assert!(error.contains(&a) && error.contains(&b) && error.contains("refused"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn a_server_that_hangs_up_for_ever_is_given_up_at_the_deadline() {
    let fake = Fake::start(drop);
    let cluster = cluster(&[&fake.url]).with_deadline(Duration::from_secs(10));
    let error = cluster.material(&id()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    assert!(fake.asked().len() > 1);
}

#[tokio::test]
async fn what_is_no_microtome_is_named() {
    let fake = Fake::start(|ask| ask.answer(400, &[], b"<html>"));
    let error = cluster(&[&fake.url]).material(&id()).await.unwrap_err();
    assert!(matches!(&error, ClientError::Protocol { server, .. } if *server == fake.url), "{error}");

    let fake = Fake::start(|ask| ask.answer(200, &[], b"<html>"));
    assert!(matches!(cluster(&[&fake.url]).material(&id()).await, Err(ClientError::Protocol { .. })));
    assert!(matches!(cluster(&["not an address"]).material(&id()).await, Err(ClientError::Address(_))));
}

#[tokio::test]
async fn further_coordinators_are_learnt_and_asked() {
    let second = Fake::start(answer_material);
    let urls = second.url.clone();
    let first = Fake::start(move |ask| {
        let coordinator =
            |id: u64, url: &str| serde_json::json!({"id": id, "url": url, "leader": id == 1, "live": true});
        let here = format!("http://{}", ask.header("host"));
        let cluster = serde_json::json!({
            "id": "c-1", "name": "test", "version": "0", "term": 1, "leader": 1, "nodes": 0, "nodes_up": 0,
            "coordinators": [coordinator(1, &here), coordinator(2, &urls)], "materials": 0, "bytes": 0,
            "healing": {"materials": 0, "copies": 0, "bytes_left": 0, "bytes_per_s": 0.0},
        });
        ask.answer_json(&cluster);
    });
    let cluster = cluster(&[&first.url]);
    cluster.learn().await.unwrap();
    drop(first);
    cluster.material(&id()).await.unwrap();
    assert_eq!(second.asked(), [format!("GET /v1/materials/{}", id())]);
}
