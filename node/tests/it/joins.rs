//! Files that are put together from parts: what the node tells of both, and what a join survives.

use crate::support::{FakeCoordinator, TestNode, bytes, code, config, flip, hash, material, number, reserve};
use microtome_proto::{
    Generation, MaterialId,
    internal::{Located, Order, ReplicaReport, Reserve},
    material::Owner,
    tls::BetweenServers,
    token::{Claims, Role, Settings, Signer, now_s},
};
use reqwest::StatusCode;
use std::{fs, sync::Arc, time::Duration};

const MIB: usize = 1 << 20;
const GIVEN: &str = "final;/v1/uploads/m-1 http://node/v1/uploads/m-2";

/// A part that is whole.
async fn put_part(node: &TestNode, id: &MaterialId, data: &[u8]) {
    let wanted = Reserve { concat: Some("partial".to_owned()), ..reserve(id, data.len() as u64) };
    assert_eq!(node.reserve(&wanted).await.status(), StatusCode::NO_CONTENT);
    if !data.is_empty() {
        assert_eq!(node.patch(id, 0, data.to_vec()).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    }
}

fn wanted(id: &MaterialId, size: usize) -> Reserve {
    Reserve { concat: Some(GIVEN.to_owned()), ..reserve(id, size as u64) }
}

fn join(id: &MaterialId, size: usize, parts: &[MaterialId]) -> Order {
    Order::Join { wanted: wanted(id, size), parts: parts.to_vec() }
}

fn verified(data: &[u8]) -> ReplicaReport {
    ReplicaReport::Verified { generation: Generation(1), size: data.len() as u64, blake3: hash(data) }
}

/// Parts of these lengths on a node, and all their bytes.
async fn parts(node: &TestNode, lens: &[usize]) -> (Vec<MaterialId>, Vec<u8>) {
    let mut ids = Vec::new();
    let mut all = Vec::new();
    for (nth, len) in lens.iter().enumerate() {
        let (id, data) = (material(100 + nth as u32), bytes(*len, nth as u64));
        put_part(node, &id, &data).await;
        ids.push(id);
        all.extend(data);
    }
    (ids, all)
}

#[tokio::test]
async fn parts_of_any_length_become_one_file() {
    let node = TestNode::start().await;
    // Groups and pieces of the whole begin anywhere within the parts.
    let lens = [5 * MIB + 123, 0, 1, 16 << 10, MIB - 124, 2 * MIB, 777];
    let (ids, data) = parts(&node, &lens).await;
    let whole = material(1);
    node.coordinator.order(join(&whole, data.len(), &ids));
    node.coordinator.wait_for_report(&whole, |report| *report == verified(&data)).await;
    assert!(node.file(&whole).await.bytes().await.unwrap() == data);
    assert!(fs::read(node.path(&whole, "file")).unwrap() == data, "any tool can open it");
    // Nobody had heard of it, and it was given to this node anew.
    let again = Reserve { generation: Generation(5), ..wanted(&whole, data.len()) };
    node.coordinator.order(Order::Join { wanted: again, parts: ids.clone() });
    let is_newer = |report: &ReplicaReport| matches!(report, ReplicaReport::Verified { generation: Generation(5), .. });
    node.coordinator.wait_for_report(&whole, is_newer).await;
    // An empty whole of empty parts.
    node.coordinator.seen().orders.clear();
    let empty = material(2);
    node.coordinator.order(join(&empty, 0, &ids[1..2]));
    node.coordinator.wait_for_report(&empty, |report| *report == verified(&[])).await;
}

#[tokio::test]
async fn heads_tell_what_is_a_part_and_what_is_put_together() {
    let node = TestNode::start().await;
    let header = |answer: &reqwest::Response, name: &str| {
        answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    let begun = material(3);
    let part = Reserve { concat: Some("partial".to_owned()), ..reserve(&begun, 5) };
    node.reserve(&part).await;
    assert_eq!(header(&node.head(&begun).await, "upload-concat").as_deref(), Some("partial"));
    let (ids, data) = parts(&node, &[10, 20]).await;
    let head = node.head(&ids[0]).await;
    assert_eq!((header(&head, "upload-concat").as_deref(), number(&head, "upload-offset")), (Some("partial"), 10));
    // There is nothing of it to be read.
    for path in [format!("/v1/materials/{}/file", ids[0]), format!("/tiles/{}/tiles.json", ids[0])] {
        let answer = node.request("GET", &path).send().await.unwrap();
        assert_eq!((answer.status(), code(answer).await.as_str()), (StatusCode::NOT_FOUND, "not_found"), "{path}");
    }

    let whole = material(1);
    assert_eq!(node.reserve(&wanted(&whole, data.len())).await.status(), StatusCode::NO_CONTENT);
    let head = node.head(&whole).await;
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!((header(&head, "upload-concat").as_deref(), number(&head, "upload-length")), (Some(GIVEN), 30));
    assert_eq!((header(&head, "upload-offset"), header(&head, "upload-expires")), (None, None), "it is not joined yet");
    let patched = node.patch(&whole, 0, "bytes").send().await.unwrap();
    assert_eq!((patched.status(), code(patched).await.as_str()), (StatusCode::FORBIDDEN, "final_upload"));

    node.coordinator.order(join(&whole, data.len(), &ids));
    node.coordinator.wait_for_report(&whole, |report| *report == verified(&data)).await;
    let head = node.head(&whole).await;
    assert_eq!((header(&head, "upload-concat").as_deref(), number(&head, "upload-offset")), (Some(GIVEN), 30));
    assert_eq!(number(&head, "upload-length"), 30);
    let patched = node.patch(&whole, 30, "").send().await.unwrap();
    assert_eq!(patched.status(), StatusCode::FORBIDDEN);
}

/// A part is damaged where no other holder is: what came before it stays, over a start of the node, too, and the join ends
/// when it is right again.
#[tokio::test]
async fn a_join_goes_on_where_it_stood() {
    let node = TestNode::start().await;
    let (ids, data) = parts(&node, &[40 * MIB + 5, 40 * MIB + 7, MIB]).await;
    let whole = material(1);
    flip(&node.path(&ids[2], "file"), 100_000);
    node.coordinator.order(join(&whole, data.len(), &ids));
    let is_halted = |offset: u64| offset >= 80 * MIB as u64;
    node.coordinator
        .wait("two parts", |seen| {
            let incoming = seen.last_beat.iter().flat_map(|beat| &beat.incoming);
            incoming.filter(|it| it.material == whole).any(|it| is_halted(it.offset))
        })
        .await;
    node.coordinator.seen().orders.clear();
    let (folder, coordinator) = node.stop().await;
    let node = TestNode::start_on(folder, coordinator).await;
    let joined = node.folder.path().join("incoming").join(whole.as_str()).join("file");
    let before = fs::metadata(&joined).unwrap().len();
    assert!(is_halted(before) && before < data.len() as u64, "{before}");
    flip(&node.path(&ids[2], "file"), 100_000);
    node.coordinator.order(join(&whole, data.len(), &ids));
    node.coordinator.wait_for_report(&whole, |report| *report == verified(&data)).await;
    assert!(node.file(&whole).await.bytes().await.unwrap() == data);
}

/// The machine loses its power while parts are put together.
#[tokio::test]
async fn a_join_outlives_a_crash() {
    let node = TestNode::start().await;
    let (ids, data) = parts(&node, &[70 * MIB + 1, 30 * MIB]).await;
    let whole = material(1);
    node.coordinator.order(join(&whole, data.len(), &ids));
    let folder = node.folder.path().join("incoming").join(whole.as_str());
    while !folder.join("file").exists() && node.coordinator.seen().reports.iter().all(|(id, _)| *id != whole) {
        tokio::task::yield_now().await;
    }
    let crashed = node.crashed().await;
    crashed.coordinator.order(join(&whole, data.len(), &ids));
    crashed.coordinator.wait_for_report(&whole, |report| *report == verified(&data)).await;
    assert!(crashed.file(&whole).await.bytes().await.unwrap() == data);
}

#[tokio::test]
async fn other_bytes_than_were_announced_are_told_and_not_kept() {
    let node = TestNode::start().await;
    let (ids, data) = parts(&node, &[1000, 1000]).await;
    let whole = material(1);
    let announced = Reserve { blake3: Some(hash(b"something else")), ..wanted(&whole, data.len()) };
    node.coordinator.order(Order::Join { wanted: announced, parts: ids });
    // The coordinators refuse that, and end it.
    node.coordinator.wait_for_report(&whole, |report| *report == verified(&data)).await;
    assert!(!node.path(&whole, "file").exists());
}

#[tokio::test]
async fn a_join_without_room_is_told_and_one_that_lacks_a_part_waits() {
    let node = TestNode::start().await;
    let (mut ids, mut data) = parts(&node, &[1000]).await;
    let (large, waiting) = (material(1), material(2));
    node.coordinator.order(join(&large, 1 << 60, &ids));
    node.coordinator.wait_for_report(&large, |report| matches!(report, ReplicaReport::Failed { .. })).await;
    node.coordinator.seen().orders.clear();

    let last = bytes(500, 9);
    data.extend(&last);
    ids.push(material(3));
    node.coordinator.order(join(&waiting, data.len(), &ids));
    node.coordinator
        .wait("the first part", |seen| {
            let incoming = seen.last_beat.iter().flat_map(|beat| &beat.incoming);
            incoming.filter(|it| it.material == waiting).any(|it| it.offset == 1000)
        })
        .await;
    put_part(&node, &ids[1], &last).await;
    node.coordinator.wait_for_report(&waiting, |report| *report == verified(&data)).await;
}

#[tokio::test]
async fn what_is_to_be_freed_is_not_put_together() {
    let node = TestNode::start().await;
    let (ids, data) = parts(&node, &[20 * MIB]).await;
    let whole = material(1);
    node.reserve(&wanted(&whole, data.len())).await;
    node.coordinator.order(Order::Drop { material: whole.clone(), generation: Generation(1) });
    node.coordinator.wait_for_report(&whole, |report| matches!(report, ReplicaReport::Dropped { .. })).await;
    assert_eq!(fs::read_dir(node.folder.path().join("incoming")).unwrap().count(), 0);
    assert_eq!(node.head(&whole).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(node.offset(&ids[0]).await, data.len() as u64);
}

/// Whole parts that nobody takes up end after the time that uploads have; the coordinators know which are taken up.
#[tokio::test]
async fn parts_that_nobody_takes_up_expire_and_what_is_put_together_does_not() {
    let (folder, coordinator) = (Arc::new(tempfile::tempdir().unwrap()), FakeCoordinator::start().await);
    let mut config = config(folder.path(), coordinator.url());
    config.uploads_expire_after = Some(Duration::from_secs(1));
    let node = TestNode::start_with(config, folder, coordinator).await;
    node.coordinator.wait_for_beats(1).await;
    let (ids, data) = parts(&node, &[1000]).await;
    let (whole, other) = (material(1), material(2));
    assert!(!node.reserve(&wanted(&whole, data.len())).await.headers().contains_key("upload-expires"));
    node.put(&other, &data).await;
    node.coordinator.wait("the part's end", |seen| seen.deleted.contains(&ids[0])).await;
    assert!(!node.coordinator.seen().deleted.contains(&other));
    node.coordinator.order(join(&whole, data.len(), &ids));
    node.coordinator.wait_for_report(&whole, |report| *report == verified(&data)).await;
}

/// What its sender has given to a team is the team's: the node, which knows the sender alone, does not hand it out.
#[tokio::test]
async fn who_has_sent_a_file_reads_it_where_the_books_say_so() {
    const SECRET: &str = "a secret of some length";
    let (folder, coordinator) = (Arc::new(tempfile::tempdir().unwrap()), FakeCoordinator::start().await);
    let mut config = config(folder.path(), coordinator.url());
    config.auth = Settings::of_secret(SECRET);
    config.tls.between_servers = Some(BetweenServers::Off);
    let beats = coordinator.beats();
    let node = TestNode::start_with(config, folder, coordinator).await;
    node.coordinator.wait("a heartbeat", |seen| seen.beats > beats).await;
    let (id, data) = (material(1), bytes(MIB, 1));
    let token = |name: &str, role: Role| {
        let mut claims = Claims::new(name, role, now_s(), 60);
        claims.space = (role == Role::Member).then(|| "lab".to_owned());
        Signer::from_secret(SECRET).unwrap().sign(&claims).unwrap()
    };
    let owner = Some(Owner { space: "lab".to_owned(), name: "ada".to_owned() });
    let wanted = Reserve { owner, ..reserve(&id, data.len() as u64) };
    let reserved = node.request("POST", "/internal/v1/uploads").bearer_auth(token("one", Role::Server)).json(&wanted);
    assert_eq!(reserved.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let ada = token("ada", Role::Member);
    assert_eq!(node.patch(&id, 0, data.clone()).bearer_auth(&ada).send().await.unwrap().status(), 204);
    let path = format!("/v1/uploads/{id}");
    let get = async |token: &str| node.request("GET", &path).bearer_auth(token).send().await.unwrap();
    assert_eq!(get(&ada).await.status(), StatusCode::FORBIDDEN);
    node.coordinator.seen().readers.push((id.clone(), "bob".to_owned()));
    let bob = token("bob", Role::Member);
    assert_eq!(get(&bob).await.status(), StatusCode::NOT_FOUND, "it is not what bob has sent");
    node.coordinator.seen().readers.push((id.clone(), "ada".to_owned()));
    assert_eq!(get(&ada).await.bytes().await.unwrap(), data);
    assert_eq!(get(&token("eve", Role::Member)).await.status(), StatusCode::NOT_FOUND);
    let whole = get(&token("operator", Role::Administrator)).await;
    assert_eq!(whole.bytes().await.unwrap(), data);
}

/// Whose a file is that has no place yet is not known here: the node would ask for its end in its own name.
#[tokio::test]
async fn what_has_no_place_yet_is_ended_by_administrators_alone() {
    const SECRET: &str = "a secret of some length";
    let (folder, coordinator) = (Arc::new(tempfile::tempdir().unwrap()), FakeCoordinator::start().await);
    let mut config = config(folder.path(), coordinator.url());
    config.auth = Settings::of_secret(SECRET);
    // The coordinator of these tests speaks no TLS.
    config.tls.between_servers = Some(BetweenServers::Off);
    let node = TestNode::start_with(config, folder, coordinator).await;
    let whole = material(1);
    let nowhere = Located { holders: Vec::new(), receiving: None, joining: true };
    node.coordinator.seen().located.insert(whole.clone(), nowhere);
    let end = async |role: Role| {
        let mut claims = Claims::new("eve", role, now_s(), 60);
        claims.space = (role == Role::Uploader).then(|| "partners/eve".to_owned());
        let token = Signer::from_secret(SECRET).unwrap().sign(&claims).unwrap();
        let request = node.request("DELETE", &format!("/v1/uploads/{whole}")).bearer_auth(token);
        request.header("tus-resumable", "1.0.0").send().await.unwrap().status()
    };
    assert_eq!(end(Role::Uploader).await, StatusCode::SERVICE_UNAVAILABLE);
    assert!(node.coordinator.seen().deleted.is_empty());
    assert_eq!(end(Role::Administrator).await, StatusCode::NO_CONTENT);
    assert_eq!(node.coordinator.seen().deleted, [whole]);
}
