//! Yesterday's bytes stay readable: records and log entries as version 0.1.0 wrote them.

use super::support::*;
use crate::core::{
    command::{Command, Proposal, SpaceCommand},
    tables::{
        InCase, Keys, Leaving, MaterialRecord, Materials, Meta, Nodes, ReplicaRecord, RunRecord, Runs, SessionRecord,
        SpaceRecord, TeamRecord, UserRecord, Users,
    },
    view::{Memory, Typed, ViewError, stored_key},
};
use microtome_proto::{
    Generation,
    material::{Condition, ReplicaState},
    run::RunState,
};

fn stored(key: Vec<u8>, record: &str) -> Memory {
    Memory::from([(key, [b"\x01", record.as_bytes()].concat())])
}

#[test]
fn materials_of_version_1() {
    let id = "m-abc".parse().unwrap();
    assert_eq!(stored_key::<Materials>(&id), b"mm-abc\0");
    let view = stored(
        b"mm-abc\0".to_vec(),
        r#"{"sequence":7,"name":"a.svs","size":5,"media_type":"image/tiff","announced":null,"blake3":"00","population":2,
            "origin":{"run":"r-1","attempt":3},"request":"key","created_at":"2025-01-01T00:00:00.000Z","deleted_at":null,
            "replicas":[{"node":"n-1","state":"verified","generation":4}]}"#,
    );
    let record = view.get_record::<Materials>(&id).unwrap().unwrap();
    assert_eq!((record.sequence, record.replicas[0].state), (7, ReplicaState::Verified));
    // The least that a record can have: all else has a default.
    let least = r#"{"sequence":7,"name":"a.svs","size":5,"media_type":"image/tiff","population":2,
                    "created_at":"2025-01-01T00:00:00.000Z"}"#;
    let record: MaterialRecord = serde_json::from_str(least).unwrap();
    assert!(record.replicas.is_empty() && record.blake3.is_none());
    // Where nothing is moved, it is written as it was then.
    let replica = r#"{"node":"n-1","state":"verified","generation":4}"#;
    let read: ReplicaRecord = serde_json::from_str(replica).unwrap();
    assert_eq!((serde_json::to_string(&read).unwrap().as_str(), read.replaces), (replica, None));
}

#[test]
fn other_records_of_version_1() {
    let view = stored(stored_key::<Meta>(&()), r#"{"cluster":"c-1","name":"lab","generation_last":9}"#);
    assert_eq!(view.get_record::<Meta>(&()).unwrap().unwrap().generation_last, 9);
    let node = "n-12".parse().unwrap();
    assert_eq!(stored_key::<Nodes>(&node), b"n\x04n-12");
    let view = stored(
        b"n\x04n-12".to_vec(),
        r#"{"instance":"i","name":"a","url":"http://a","version":"0.1.0","scheduling":"cordoned","lifecycle":"member",
            "registered_at":"2025-01-01T00:00:00.000Z"}"#,
    );
    assert!(view.get_record::<Nodes>(&node).unwrap().is_some());
    let run: RunRecord = serde_json::from_str(
        r#"{"pipeline":"tissue","name":"t","inputs":["m-abc"],"parameters":{},"state":"waiting","attempt":0,
            "created_at":"2025-01-01T00:00:00.000Z"}"#,
    )
    .unwrap();
    assert_eq!(run.state, RunState::Waiting);
    assert_eq!(stored_key::<Runs>(&"r-1".parse().unwrap()), b"r\xfc\x8d\xd2\xce");
    assert_eq!(stored_key::<Leaving>(&(node, "m-abc".parse().unwrap())), b"-\x04n-12m-abc\0");
}

#[test]
fn log_entries_of_version_1() {
    let entry = r#"{"at":"2025-01-01T00:00:00.000Z","command":{"do":"replica_verified","material":"m-abc","node":"n-1",
                    "generation":4,"size":5,"blake3":"00"}}"#;
    let proposal: Proposal = serde_json::from_str(entry).unwrap();
    assert!(matches!(proposal.command, Command::ReplicaVerified { generation: Generation(4), .. }));
    let entry = r#"{"at":"2025-01-01T00:00:00.000Z","command":{"do":"remove_node","node":"n-1"}}"#;
    let proposal: Proposal = serde_json::from_str(entry).unwrap();
    assert!(matches!(proposal.command, Command::RemoveNode { force: false, .. }), "no version before proposed any");
}

#[test]
fn parts_and_what_is_put_together_since_protocol_3() {
    let record = |concat: &str| {
        let json = format!(
            r#"{{"sequence":7,"name":"a.svs","size":5,"media_type":"image/tiff","population":1,{concat}
                "created_at":"2026-12-01T00:00:00.000Z"}}"#
        );
        serde_json::from_str::<MaterialRecord>(&json).unwrap()
    };
    let (part, taken) = (r#""concat":{"is":"partial"},"#, r#""concat":{"is":"partial","taken_by":"m-abc"},"#);
    assert!(record(part).is_partial() && record(part).taken_by().is_none());
    assert_eq!(record(taken).taken_by().unwrap().as_str(), "m-abc");
    let whole = record(r#""concat":{"is":"final","parts":["m-a","m-b"],"given":"final;/v1/uploads/m-a"},"#);
    assert_eq!((whole.joining().unwrap().len(), whole.is_partial()), (2, false));
    // All others are written as before.
    assert!(!serde_json::to_string(&record("")).unwrap().contains("concat"));
    let entry = r#"{"at":"2026-12-01T00:00:00.000Z","command":{"do":"join_parts","request":null,"name":"a.svs",
                    "media_type":"image/tiff","blake3":null,"population":1,"parts":["m-a"],
                    "given":"final;/v1/uploads/m-a","node":"n-1"}}"#;
    let proposal: Proposal = serde_json::from_str(entry).unwrap();
    assert!(matches!(proposal.command, Command::JoinParts { .. }));
    let entry = r#"{"at":"2026-11-01T00:00:00.000Z","command":{"do":"create_material","request":null,"name":"a.svs",
                    "size":5,"media_type":"image/tiff","blake3":null,"population":2,"origin":null,"node":"n-1"}}"#;
    let proposal: Proposal = serde_json::from_str(entry).unwrap();
    assert!(
        matches!(proposal.command, Command::CreateMaterial { partial: false, .. }),
        "no version before knew of parts"
    );
}

#[test]
fn spaces_and_what_lies_in_them_since_protocol_4() {
    let entry = r#"{"at":"2026-12-01T00:00:00.000Z","command":{"do":"space","change":"describe","space":"lab",
                    "patch":{"visibility":"anonymous","members":{"user:u-1":"writer","team:t-1":null},"quota_bytes":null},
                    "anew":true}}"#;
    let proposal: Proposal = serde_json::from_str(entry).unwrap();
    let Command::Space(SpaceCommand::Describe { patch, anew: true, .. }) = &proposal.command else { panic!() };
    assert_eq!((patch.members.len(), patch.quota_bytes, patch.expires_in_s), (2, Some(None), None));
    // As it is written it is read again.
    let again: Proposal = serde_json::from_value(serde_json::to_value(&proposal).unwrap()).unwrap();
    assert_eq!(again, proposal);
    let entry = r#"{"at":"2026-12-01T00:00:00.000Z","command":{"do":"create_material","request":null,"name":"a.svs",
                    "size":5,"media_type":"image/tiff","blake3":null,"population":2,"origin":null,"node":"n-1",
                    "terms":{"space":"lab","key":"a/b","condition":{"any_of":["00"]}}}}"#;
    let proposal: Proposal = serde_json::from_str(entry).unwrap();
    let Command::CreateMaterial { terms, .. } = proposal.command else { panic!() };
    assert_eq!(terms.condition, Some(Condition::AnyOf(vec!["00".to_owned()])));
    assert_eq!(stored_key::<Keys>(&("lab".to_owned(), "a/b".to_owned())), b"Klab\0a/b\0");
    let space: SpaceRecord = serde_json::from_str(r#"{"visibility":"public","quota_bytes":5}"#).unwrap();
    assert_eq!((space.quota_bytes, space.members.len()), (Some(5), 0));
}

#[test]
fn users_teams_and_who_asked_since_protocol_4() {
    let entries = [
        r#"{"at":"2026-12-01T00:00:00.000Z","by":{"name":"u-1","address":"10.0.0.7"},"command":{"do":"account","account":"set_member","team":"t-1","user":"u-2","role":"administrator"}}"#,
        r#"{"at":"2026-12-01T00:00:00.000Z","command":{"do":"account","account":"start_session","session":"s-1","user":"u-2","proven":"00","refresh":"00","ends_at":"2026-12-31T00:00:00.000Z"}}"#,
        r#"{"at":"2026-12-01T00:00:00.000Z","command":{"do":"account","account":"tidy"}}"#,
    ];
    for entry in entries {
        let proposal: Proposal = serde_json::from_str(entry).unwrap();
        assert!(matches!(&proposal.command, Command::Account(_)) && proposal.command.protocol() == 4);
        assert_eq!(serde_json::to_string(&proposal).unwrap(), entry);
    }
    let user = r#"{"name":"ada","password":"$argon2id$v=19$…","created_at":"2026-12-01T00:00:00.000Z"}"#;
    let record: UserRecord = serde_json::from_str(user).unwrap();
    assert_eq!(serde_json::to_string(&record).unwrap(), user);
    assert!(!format!("{record:?}").contains("argon2"));
    let session =
        r#"{"user":"u-2","refresh":"00","created_at":"2026-12-01T00:00:00.000Z","ends_at":"2026-12-31T00:00:00.000Z"}"#;
    let record: SessionRecord = serde_json::from_str(session).unwrap();
    assert_eq!(serde_json::to_string(&record).unwrap(), session);
    let team = r#"{"name":"t","members":{"u-1":"administrator"},"created_at":"2026-12-01T00:00:00.000Z"}"#;
    let record: TeamRecord = serde_json::from_str(team).unwrap();
    assert_eq!(serde_json::to_string(&record).unwrap(), team);
    assert_eq!(stored_key::<Users>(&"u-12".parse().unwrap()), b"U\x04u-12");
    assert_eq!(stored_key::<InCase>(&("case-1".parse().unwrap(), 1)), b"k\x06case-1\xff\xff\xff\xff\xff\xff\xff\xfe");
}

#[test]
fn a_record_that_is_newer_or_broken_is_an_error_never_a_default() {
    let world = World::new();
    let key = stored_key::<Meta>(&());
    for bytes in [&b""[..], b"\x02{}", b"\x01{", b"\x01[1]"] {
        let mut view = world.view.clone();
        view.insert(key.clone(), bytes.to_vec());
        let error = view.get_record::<Meta>(&()).unwrap_err();
        assert!(matches!(error, ViewError::Record { .. }), "{error}");
    }
    let view = Memory::from([(b"nx".to_vec(), b"\x01{}".to_vec())]);
    assert!(view.scan_keys::<Nodes>(&[], None).next().unwrap().is_err());
}
