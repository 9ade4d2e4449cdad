//! Copies pulled from other nodes: proven, resumable, from all holders at once.

use crate::support::{TestNode, bytes, flip, hash, material, reserve};
use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::get,
};
use microtome_proto::{
    Code, Generation, MaterialId,
    internal::{Order, ReplicaReport},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

const MIB: usize = 1 << 20;
const RANGE: usize = 8 * MIB;

fn copy(id: &MaterialId, generation: u64, data: &[u8], sources: &[&str]) -> Order {
    Order::Copy {
        material: id.clone(),
        generation: Generation(generation),
        size: data.len() as u64,
        blake3: hash(data),
        name: "a.svs".to_owned(),
        media_type: "image/tiff".to_owned(),
        sources: sources.iter().map(|url| (*url).to_owned()).collect(),
        concat: None,
        owner: None,
    }
}

fn is_verified(generation: u64) -> impl Fn(&ReplicaReport) -> bool {
    move |report| matches!(report, ReplicaReport::Verified { generation: found, .. } if found.0 == generation)
}

/// A holder in front of a real one: counts the bytes that it hands out, and may lie or fail.
struct Holder {
    url: String,
    real: String,
    sent: AtomicU64,
    lies: AtomicBool,
    /// Ranges answered before it falls silent.
    ranges_left: AtomicU64,
}

impl Holder {
    async fn start(real: &TestNode, ranges_left: u64) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let holder = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            real: real.url.clone(),
            sent: AtomicU64::new(0),
            lies: AtomicBool::new(false),
            ranges_left: AtomicU64::new(ranges_left),
        });
        let router =
            Router::new().route("/internal/v1/blobs/{id}/{what}", get(hand_out)).with_state(Arc::clone(&holder));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        holder
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

async fn hand_out(
    State(holder): State<Arc<Holder>>,
    Path((id, what)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let is_data = what == "data";
    let take = |left: u64| left.checked_sub(1);
    if is_data && holder.ranges_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_err() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let mut request = client.get(format!("{}/internal/v1/blobs/{id}/{what}", holder.real));
    for name in ["range", "authorization"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value.clone());
        }
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = response.bytes().await.unwrap().to_vec();
    if is_data {
        holder.sent.fetch_add(body.len() as u64, Ordering::SeqCst);
        if holder.lies.load(Ordering::SeqCst) {
            let middle = body.len() / 2;
            body[middle] ^= 1;
        }
    }
    (status, headers, Body::from(body)).into_response()
}

async fn source(id: &MaterialId, data: &[u8]) -> TestNode {
    let node = TestNode::start().await;
    node.put(id, data).await;
    node
}

/// A clone whose holder serves four ranges and then no more: it waits with what it has. The node that has all, the one in
/// front of it, and the one that waits.
async fn four_ranges_have_come(id: &MaterialId, data: &[u8]) -> (TestNode, Arc<Holder>, TestNode) {
    let real = source(id, data).await;
    let holder = Holder::start(&real, 4).await;
    let node = TestNode::start().await;
    node.coordinator.order(copy(id, 1, data, &[&holder.url]));
    node.coordinator
        .wait("four ranges", |seen| {
            let incoming = seen.last_beat.as_ref().map(|beat| beat.incoming.clone()).unwrap_or_default();
            incoming.iter().any(|incoming| incoming.offset == 4 * RANGE as u64)
        })
        .await;
    (real, holder, node)
}

#[tokio::test]
async fn a_clone_pulls_from_all_holders_and_survives_a_liar() {
    let (id, data) = (material(1), bytes(5 * RANGE + 12_345, 1));
    let real = source(&id, &data).await;
    let (honest, liar) = (Holder::start(&real, u64::MAX).await, Holder::start(&real, u64::MAX).await);
    liar.lies.store(true, Ordering::SeqCst);
    let node = TestNode::start().await;
    node.coordinator.order(copy(&id, 7, &data, &[&liar.url, &honest.url, "http://127.0.0.1:1"]));
    node.coordinator.wait_for_report(&id, is_verified(7)).await;
    assert_eq!(node.file(&id).await.bytes().await.unwrap(), data);
    assert!(liar.sent() > 0, "it was asked");
    assert_eq!(honest.sent(), data.len() as u64, "every byte comes from who tells the truth, once");
    // What was cloned can be cloned.
    let third = TestNode::start().await;
    third.coordinator.order(copy(&id, 8, &data, &[&node.url]));
    third.coordinator.wait_for_report(&id, is_verified(8)).await;
    assert_eq!(third.file(&id).await.bytes().await.unwrap(), data);
}

#[tokio::test]
async fn an_interrupted_clone_goes_on_and_fetches_nothing_twice() {
    let (id, data) = (material(2), bytes(6 * RANGE, 2));
    let (_real, holder, node) = four_ranges_have_come(&id, &data).await;
    let (folder, coordinator) = node.stop().await;
    coordinator.seen().orders.clear();
    let node = TestNode::start_on(folder, coordinator).await;
    let inventory = node.coordinator.seen().inventories.last().unwrap().clone();
    assert_eq!(inventory.incoming, [(id.clone(), Generation(1))], "it is told as under way");
    let first = holder.sent();
    holder.ranges_left.store(u64::MAX, Ordering::SeqCst);
    // A new assignment takes up the bytes of the old one.
    node.coordinator.order(copy(&id, 2, &data, &[&holder.url]));
    node.coordinator.wait_for_report(&id, is_verified(2)).await;
    assert_eq!(first, 4 * RANGE as u64);
    assert_eq!(holder.sent(), data.len() as u64, "nothing was fetched twice");
    assert_eq!(node.file(&id).await.bytes().await.unwrap(), data);
    let left: Vec<_> = std::fs::read_dir(node.folder.path().join("materials").join(id.as_str())).unwrap().collect();
    assert_eq!(left.len(), 4, "file, leaves, spine and manifest: {left:?}");
}

/// Four of six ranges have come, and no more do: these four are read here, the others elsewhere.
#[tokio::test]
async fn what_has_come_of_a_clone_can_be_read() {
    let (id, data) = (material(1), bytes(6 * RANGE, 4));
    let (real, _holder, node) = four_ranges_have_come(&id, &data).await;
    let mut come = Vec::new();
    for index in 0..6 {
        if node.part(&id, index * RANGE, 1).await.status() == StatusCode::PARTIAL_CONTENT {
            come.push(index);
        }
    }
    let missing = (0..6).find(|index| !come.contains(index)).unwrap();
    assert_eq!(come.len(), 4, "{come:?}");
    for &index in &come {
        let part = node.part(&id, index * RANGE + 5, RANGE - 5).await.bytes().await.unwrap();
        assert_eq!(part, data[index * RANGE + 5..(index + 1) * RANGE]);
    }
    let nobody_has_it = node.part(&id, missing * RANGE, 10).await;
    assert_eq!(nobody_has_it.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(node.file(&id).await.status(), StatusCode::SERVICE_UNAVAILABLE, "a part is not taken for the whole");

    // After a restart it is the same, before any order came, and what the disk has changed is mended like all else.
    let (folder, coordinator) = node.stop().await;
    coordinator.seen().orders.clear();
    coordinator.locate(&id, &[&real.url]);
    flip(&folder.path().join("incoming").join(id.as_str()).join("file"), (come[0] * RANGE + 7) as u64);
    let node = TestNode::start_on(folder, coordinator).await;
    for &index in &come {
        let part = node.part(&id, index * RANGE, 10).await;
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.bytes().await.unwrap(), data[index * RANGE..][..10]);
    }
    let elsewhere = node.part(&id, missing * RANGE, 10).await;
    assert_eq!(elsewhere.status(), StatusCode::TEMPORARY_REDIRECT);
    assert!(elsewhere.headers()["location"].to_str().unwrap().starts_with(&real.url));
    node.coordinator.order(copy(&id, 1, &data, &[&real.url]));
    node.coordinator.wait_for_report(&id, is_verified(1)).await;
    assert_eq!(node.file(&id).await.bytes().await.unwrap(), data);
}

#[tokio::test]
async fn an_order_for_a_copy_that_is_here_only_brings_its_generation_up_to_date() {
    let (id, data) = (material(3), bytes(100_000, 3));
    let node = source(&id, &data).await;
    node.coordinator.order(copy(&id, 5, &data, &[]));
    node.coordinator.wait_for_report(&id, is_verified(5)).await;
    let (folder, coordinator) = node.stop().await;
    coordinator.seen().orders.clear();
    let node = TestNode::start_on(folder, coordinator).await;
    let held = node.coordinator.seen().inventories.last().unwrap().held.clone();
    assert_eq!(held[0].generation, Generation(5));
    assert_eq!(node.file(&id).await.bytes().await.unwrap(), data);
}

#[tokio::test]
async fn a_clone_without_room_is_reported_and_leaves_nothing() {
    let node = TestNode::start().await;
    let id = material(4);
    node.coordinator.order(Order::Copy {
        material: id.clone(),
        generation: Generation(1),
        size: 1 << 60,
        blake3: hash(b""),
        name: "a".to_owned(),
        media_type: "image/tiff".to_owned(),
        sources: vec![],
        concat: None,
        owner: None,
    });
    node.coordinator.wait_for_report(&id, |report| matches!(report, ReplicaReport::Failed { .. })).await;
    assert_eq!(std::fs::read_dir(node.folder.path().join("incoming")).unwrap().count(), 0);
}

#[tokio::test]
async fn an_order_to_drop_frees_whole_and_half_copies_but_none_that_is_newer() {
    let (whole, half, upload, newer) = (material(5), material(6), material(7), material(8));
    let data = bytes(2 * RANGE, 5);
    let node = source(&whole, &data).await;
    let holder = Holder::start(&node, 0).await;
    node.put(&newer, &data).await;
    node.coordinator.order(copy(&newer, 9, &data, &[]));
    node.coordinator.wait_for_report(&newer, is_verified(9)).await;
    node.reserve(&reserve(&upload, 100)).await;
    node.coordinator.order(copy(&half, 1, &data, &[&holder.url]));
    node.coordinator
        .wait("both under way", |seen| seen.last_beat.as_ref().is_some_and(|beat| beat.incoming.len() == 2))
        .await;
    node.coordinator.seen().orders.clear();
    for id in [&whole, &half, &upload, &newer] {
        node.coordinator.order(Order::Drop { material: id.clone(), generation: Generation(1) });
    }
    for id in [&whole, &half, &upload, &newer] {
        node.coordinator.wait_for_report(id, |report| matches!(report, ReplicaReport::Dropped { .. })).await;
    }
    for id in [&whole, &half, &upload] {
        assert_eq!(node.file(id).await.status(), StatusCode::NOT_FOUND, "{id}");
    }
    assert_eq!(node.file(&newer).await.status(), StatusCode::OK, "a copy of a newer assignment stays");
    assert_eq!(std::fs::read_dir(node.folder.path().join("incoming")).unwrap().count(), 0);
    // One may have been on its way already.
    node.coordinator.wait_for_beats(2).await;
    let beat = node.coordinator.seen().last_beat.clone().unwrap();
    assert_eq!((beat.report.disk_promised, beat.report.materials), (0, 1));
    let (folder, _) = node.stop().await;
    assert_eq!(std::fs::read_dir(folder.path().join("trash")).unwrap().count(), 0, "it is deleted, not only moved");
}

/// Its report was not heard, or the books are wrong: the order would come for ever.
#[tokio::test]
async fn an_order_to_drop_what_is_not_here_is_told_as_met() {
    let node = TestNode::start().await;
    node.coordinator.order(Order::Drop { material: material(10), generation: Generation(3) });
    let is_dropped = |report: &ReplicaReport| *report == ReplicaReport::Dropped { generation: Generation(3) };
    node.coordinator.wait_for_report(&material(10), is_dropped).await;
}

#[tokio::test]
async fn what_the_inventory_is_told_to_drop_is_dropped() {
    let (id, data) = (material(9), bytes(1000, 9));
    let node = source(&id, &data).await;
    let (folder, coordinator) = node.stop().await;
    coordinator.seen().to_be_dropped.push(id.clone());
    let node = TestNode::start_on(folder, coordinator).await;
    node.coordinator
        .wait("an empty node", |seen| seen.last_beat.as_ref().is_some_and(|beat| beat.report.materials == 0))
        .await;
    assert_eq!(node.file(&id).await.status(), StatusCode::NOT_FOUND);
}

/// Its assignment ended while it was made: no order will ever name it.
#[tokio::test]
async fn a_copy_that_the_books_do_not_know_is_told_with_all_others_and_dropped() {
    let (id, data) = (material(1), bytes(100_000, 9));
    let real = source(&id, &data).await;
    let node = TestNode::start().await;
    {
        let mut seen = node.coordinator.seen();
        seen.refuses_reports = Some(Code::StaleGeneration);
        seen.to_be_dropped = vec![id.clone()];
        seen.orders = vec![copy(&id, 7, &data, &[&real.url])];
    }
    node.coordinator.wait_for_report(&id, is_verified(7)).await;
    node.coordinator.seen().orders.clear();
    let is_told = |held: &[microtome_proto::internal::Held]| held.iter().any(|held| held.material == id);
    node.coordinator.wait("all that is here", |seen| seen.inventories.iter().any(|page| is_told(&page.held))).await;
    let folder = node.folder.path().join("materials").join(id.as_str());
    tokio::time::timeout(crate::support::HANGS_AFTER, async {
        while folder.exists() {
            node.coordinator.wait_for_beats(1).await;
        }
    })
    .await
    .expect("it is dropped");
}

/// A clone fails while no coordinator hears of it, and is ordered again: it is made once that is heard, since the report would
/// end what is made before.
#[tokio::test]
async fn a_late_report_of_failure_ends_no_newer_copy() {
    let (id, data) = (material(2), bytes(100_000, 2));
    let real = source(&id, &data).await;
    let node = TestNode::start().await;
    let without_room = match copy(&id, 1, &data, &[&real.url]) {
        Order::Copy { material, generation, blake3, name, media_type, sources, concat, owner, .. } => {
            Order::Copy { material, generation, size: 1 << 60, blake3, name, media_type, sources, concat, owner }
        }
        other => other,
    };
    {
        let mut seen = node.coordinator.seen();
        seen.refuses_reports = Some(Code::NoLeader);
        seen.orders = vec![without_room];
    }
    let is_failed = |report: &ReplicaReport| matches!(report, ReplicaReport::Failed { .. });
    node.coordinator.wait_for_report(&id, is_failed).await;
    node.coordinator.seen().orders = vec![copy(&id, 1, &data, &[&real.url])];
    node.coordinator.wait_for_beats(5).await;
    let beat = node.coordinator.seen().last_beat.clone().unwrap();
    assert_eq!((beat.incoming.len(), beat.report.materials), (0, 0));
    node.coordinator.seen().refuses_reports = None;
    node.coordinator.wait_for_report(&id, is_verified(1)).await;
    assert_eq!(node.file(&id).await.bytes().await.unwrap(), data);
}

/// It was on its way for long: the material has arrived elsewhere meanwhile, and is being copied here.
#[tokio::test]
async fn a_late_reservation_does_not_work_in_the_folder_of_a_clone() {
    let (id, data) = (material(3), bytes(6 * RANGE, 3));
    let (real, _holder, node) = four_ranges_have_come(&id, &data).await;
    let late = node.reserve(&reserve(&id, data.len() as u64)).await;
    assert_eq!(late.status(), StatusCode::CONFLICT);
    assert_eq!(crate::support::code(late).await, "stale_generation");
    node.coordinator.seen().orders = vec![copy(&id, 1, &data, &[&real.url])];
    node.coordinator.wait_for_report(&id, is_verified(1)).await;
    assert!(node.file(&id).await.bytes().await.unwrap() == data);
}

/// The only holder's hash tree was changed by its disk after it had been proven. It is made anew, and the clone goes on.
#[tokio::test]
async fn a_clone_waits_for_its_only_source_to_mend_its_tree() {
    let (id, data) = (material(4), bytes(3 * RANGE, 4));
    let real = source(&id, &data).await;
    assert!(real.file(&id).await.bytes().await.unwrap() == data);
    flip(&real.path(&id, "leaves"), 1000);
    let node = TestNode::start().await;
    node.coordinator.order(copy(&id, 1, &data, &[&real.url]));
    node.coordinator.wait_for_report(&id, is_verified(1)).await;
    assert!(node.file(&id).await.bytes().await.unwrap() == data);
}
