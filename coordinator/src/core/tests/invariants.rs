//! What must hold of the books after every command, worked out anew from the facts alone.

use crate::core::{
    keys,
    tables::{
        Arriving, ArrivingRecord, ByHash, Cases, CasesOfTeam, Concat, Damaged, EndingCases, Ends, InCase, InSpace,
        Joining, Keys, Leaving, MaterialRecord, Materials, MaterialsByAge, Meta, Nodes, OnNode, OwnerTotals,
        RequestRecord, Requests, Runs, RunsOnNode, Sessions, SessionsByEnd, SessionsOfUser, SpaceTotals, TeamRole,
        Teams, TeamsOfUser, Totals, TotalsRecord, Unsettled, Users, UsersByName, WaitingRuns, owner_text,
    },
    view::{Memory, Table, Typed, stored_key, stored_record},
};
use microtome_proto::{Generation, MaterialId, Timestamp, material::ReplicaState, run::RunState};
use std::collections::{BTreeMap, HashSet};

#[derive(Default)]
struct Expected(Memory);

impl Expected {
    fn add<T: Table>(&mut self, key: &T::Key, record: &T::Record) {
        let key = stored_key::<T>(key);
        let record = stored_record::<T>(&key, record).unwrap();
        assert!(self.0.insert(key, record).is_none(), "two records with one key");
    }
}

/// Panics where an invariant does not hold.
pub(super) fn check(view: &Memory) {
    let meta = view.get_record::<Meta>(&()).unwrap().unwrap_or_default();
    let nodes: HashSet<_> = view.scan_keys::<Nodes>(&[], None).map(Result::unwrap).collect();
    let mut expected = Expected::default();
    let mut generations = HashSet::new();
    let (mut materials, mut bytes) = (0, 0);
    let mut totals = BTreeMap::<_, TotalsRecord>::new();
    let mut spaces = BTreeMap::<String, TotalsRecord>::new();
    let mut owners = BTreeMap::<(String, String), TotalsRecord>::new();
    for entry in view.scan_records::<Materials>(&[], None) {
        let (id, material) = entry.unwrap();
        assert!(material.sequence <= meta.material_last, "{id} is not from the counter");
        if material.is_partial() {
            assert_eq!(material.population, 1, "{id}");
        } else {
            expected.add::<MaterialsByAge>(&material.sequence, &id);
        }
        if let Some(case) = material.terms.case.as_ref().filter(|_| !material.is_deleted()) {
            assert!(view.get_record::<Cases>(case).unwrap().is_some(), "{id} is in {case}, which is not there");
            expected.add::<InCase>(&(case.clone(), material.sequence), &id);
        }
        if material.joining().is_some() {
            expected.add::<Joining>(&id, &());
        }
        parts_belong_to_one(view, &id, &material);
        let counts = material.blake3.is_some() && material.terms.idle_s.is_some();
        assert_eq!(material.used_at.is_some(), counts, "{id}: {material:?}");
        if let Some(at) = ends_at(&material) {
            expected.add::<Ends>(&(at, id.clone()), &());
        }
        if let Some(request) = &material.request {
            expected.add::<Requests>(request, &RequestRecord::Material(id.clone()));
        }
        let deleted = material.deleted_at.is_some();
        if deleted {
            assert!(!material.replicas.is_empty(), "{id} is deleted and freed, and still there");
        } else if !material.is_partial() {
            materials += 1;
            bytes += material.size;
        }
        if let Some(space) = &material.terms.space {
            expected.add::<InSpace>(&(space.clone(), material.sequence), &id);
            if !deleted {
                let owner = material.owner.as_ref().map(|owner| (space.clone(), owner_text(owner)));
                let sums = owner.map(|owner| owners.entry(owner).or_default());
                for sum in sums.into_iter().chain([spaces.entry(space.clone()).or_default()]) {
                    sum.replicas += 1;
                    sum.bytes += material.size;
                }
            }
        }
        if let Some(hash) = material.blake3.clone().filter(|_| !deleted && !material.is_partial()) {
            expected.add::<ByHash>(&(material.terms.space.clone().unwrap_or_default(), hash, id.clone()), &());
        }
        let count = |state| material.replicas.iter().filter(|replica| replica.state == state).count();
        let receiving = count(ReplicaState::Receiving);
        let (verified, damaged) = (count(ReplicaState::Verified), count(ReplicaState::Damaged));
        assert!(receiving <= 1 && (verified + damaged == 0 || material.blake3.is_some()), "{id}: {material:?}");
        assert!(!deleted || count(ReplicaState::Dropping) == material.replicas.len(), "{id}: {material:?}");
        let waits = receiving == 1 || material.joining().is_some();
        assert!(deleted || material.blake3.is_some() || waits, "{id} waits for nothing: {material:?}");
        let wanted = material.population as usize;
        if deleted || verified != wanted || material.replicas.len() != wanted {
            expected.add::<Unsettled>(&id, &());
        }
        for replica in &material.replicas {
            let place = (replica.node.clone(), id.clone());
            assert!(nodes.contains(&replica.node), "{id} lies on an unknown node");
            assert!(replica.generation.0 <= meta.generation_last, "{id} has a generation that nobody gave");
            assert!(generations.insert(replica.generation), "generation {} twice", replica.generation);
            let replaces = replica.replaces.as_ref();
            assert!(replaces.is_none_or(|from| *from != replica.node && material.replica(from).is_some()), "{id}");
            expected.add::<OnNode>(&place, &());
            let arriving = |copying| ArrivingRecord { generation: replica.generation, size: material.size, copying };
            match replica.state {
                ReplicaState::Receiving => expected.add::<Arriving>(&place, &arriving(false)),
                ReplicaState::Copying => expected.add::<Arriving>(&place, &arriving(true)),
                ReplicaState::Damaged => expected.add::<Damaged>(&place, &replica.generation),
                ReplicaState::Dropping => expected.add::<Leaving>(&place, &replica.generation),
                ReplicaState::Verified => {
                    let totals = totals.entry(replica.node.clone()).or_default();
                    totals.replicas += 1;
                    totals.bytes += material.size;
                }
            }
        }
    }
    assert_eq!((meta.materials, meta.bytes), (materials, bytes));
    for (node, totals) in totals {
        expected.add::<Totals>(&node, &totals);
    }
    spaces.iter().for_each(|(space, sum)| expected.add::<SpaceTotals>(space, sum));
    owners.iter().for_each(|(owner, sum)| expected.add::<OwnerTotals>(owner, sum));
    keys_lead_to_what_is_there(view);
    for entry in view.scan_records::<Runs>(&[], None) {
        let (id, run) = entry.unwrap();
        if let Some(request) = &run.request {
            expected.add::<Requests>(request, &RequestRecord::Run(id.clone()));
        }
        assert!(!(run.state.is_final() || run.state == RunState::Waiting) || run.made.is_empty(), "{id}: {run:?}");
        if run.state == RunState::Waiting {
            assert_eq!((&run.node, run.attempt), (&None, Generation(0)), "{id}");
            expected.add::<WaitingRuns>(&id, &());
        } else if !run.state.is_final() {
            assert!(generations.insert(run.attempt) && run.attempt.0 <= meta.generation_last, "{id}: {run:?}");
            let node = run.node.clone().unwrap();
            expected.add::<RunsOnNode>(&(node, id.clone()), &run.attempt);
            for made in &run.made {
                let origin = view.get_record::<Materials>(made).unwrap().and_then(|material| material.origin);
                assert!(origin.is_none_or(|origin| origin.run == id && origin.attempt == run.attempt));
            }
        }
    }
    accounts(view, &mut expected);
    let derived = [
        InCase::TAG,
        UsersByName::TAG,
        SessionsOfUser::TAG,
        SessionsByEnd::TAG,
        TeamsOfUser::TAG,
        CasesOfTeam::TAG,
        EndingCases::TAG,
        MaterialsByAge::TAG,
        OnNode::TAG,
        Arriving::TAG,
        Leaving::TAG,
        Damaged::TAG,
        Unsettled::TAG,
        Joining::TAG,
        Ends::TAG,
        Totals::TAG,
        WaitingRuns::TAG,
        RunsOnNode::TAG,
        Requests::TAG,
        InSpace::TAG,
        ByHash::TAG,
        SpaceTotals::TAG,
        OwnerTotals::TAG,
    ];
    let kept: Memory =
        view.iter().filter(|(key, _)| derived.contains(&key[0])).map(|(k, r)| (k.clone(), r.clone())).collect();
    assert!(kept == expected.0, "indexes or sums differ from the facts:\nkept {kept:?}\nfrom facts {:?}", expected.0);
}

/// Under a key stands a material that has arrived and is not deleted, and that was made for it; and where one that was made
/// for a key has arrived, the key leads to it or to a later one.
fn keys_lead_to_what_is_there(view: &Memory) {
    for entry in view.scan_records::<Keys>(&[], None) {
        let ((space, key), id) = entry.unwrap();
        let material = view.get_record::<Materials>(&id).unwrap().unwrap_or_else(|| panic!("{key} leads to no {id}"));
        assert_eq!((material.terms.space.as_ref(), material.terms.key.as_ref()), (Some(&space), Some(&key)), "{id}");
        assert!(material.blake3.is_some() && !material.is_deleted(), "{key}: {material:?}");
    }
    for entry in view.scan_records::<Materials>(&[], None) {
        let (id, material) = entry.unwrap();
        let (Some(space), Some(key)) = (material.terms.space.clone(), material.terms.key.clone()) else { continue };
        if material.blake3.is_some() && !material.is_deleted() && material.terms.expires_at.is_none() {
            assert_eq!(view.get_record::<Keys>(&(space, key)).unwrap(), Some(id.clone()), "{id}: {material:?}");
        }
    }
}

/// Who belongs to a team is a user, and one of them administers it; sessions are of users who are there.
fn accounts(view: &Memory, expected: &mut Expected) {
    let (mut users, mut heads) = (0, 0);
    for entry in view.scan_records::<Users>(&[], None) {
        let (id, user) = entry.unwrap();
        expected.add::<UsersByName>(&user.name.to_lowercase(), &id);
        if let Some(request) = &user.request {
            expected.add::<Requests>(request, &RequestRecord::User(id));
        }
        users += 1;
        heads += usize::from(user.administrator && !user.disabled && !user.service);
    }
    assert!(heads > 0 || users == 0, "nobody administers the cluster");
    for entry in view.scan_records::<Sessions>(&[], None) {
        let (id, session) = entry.unwrap();
        let user = view.get_record::<Users>(&session.user).unwrap();
        assert!(user.is_some_and(|user| !user.disabled || user.service), "{id}: {session:?}");
        expected.add::<SessionsOfUser>(&(session.user, id.clone()), &());
        expected.add::<SessionsByEnd>(&(session.ends_at, id), &());
    }
    for entry in view.scan_records::<Teams>(&[], None) {
        let (id, team) = entry.unwrap();
        assert!(team.members.values().any(|role| *role == TeamRole::Administrator), "{id} is headless: {team:?}");
        for (user, role) in team.members {
            assert!(view.get_record::<Users>(&user).unwrap().is_some(), "{user} of {id} is not there");
            expected.add::<TeamsOfUser>(&(user, id.clone()), &role);
        }
        if let Some(request) = &team.request {
            expected.add::<Requests>(request, &RequestRecord::Team(id));
        }
    }
    for entry in view.scan_records::<Cases>(&[], None) {
        let (id, case) = entry.unwrap();
        if let Some(request) = &case.request {
            expected.add::<Requests>(request, &RequestRecord::Case(id.clone()));
        }
        if case.deleted_at.is_some() {
            let prefix = keys::numbered(id.as_str());
            assert!(
                view.scan_keys::<InCase>(&prefix, None).next().is_some(),
                "{id} is deleted and empty, and still there"
            );
            expected.add::<EndingCases>(&id, &());
        } else {
            assert!(view.get_record::<Teams>(&case.team).unwrap().is_some(), "{id} is of no team");
            expected.add::<CasesOfTeam>(&(case.team, id), &());
        }
    }
}

/// When it is to be looked whether it ends: at its age, or so long behind its last use that no read is forgotten.
fn ends_at(material: &MaterialRecord) -> Option<Timestamp> {
    let idle = material.terms.idle_s.zip(material.used_at).map(|(idle_s, used_at)| {
        let tenth_ms = (idle_s * 100).clamp(1_000, 3_600_000);
        used_at.plus_millis(idle_s * 1_000 + tenth_ms)
    });
    let ends = [material.terms.expires_at, idle].into_iter().flatten();
    ends.min().filter(|_| material.deleted_at.is_none())
}

/// What is to be put together has all its parts, and they are whole and its alone; what has taken up a part is to be put
/// together from it.
fn parts_belong_to_one(view: &Memory, id: &MaterialId, material: &MaterialRecord) {
    let record = |id: &MaterialId| view.get_record::<Materials>(id).unwrap();
    if let Some(taker) = material.taken_by() {
        let taker = record(taker).unwrap_or_else(|| panic!("{id} is a part of {taker}, which is not there"));
        assert!(taker.joining().is_some_and(|parts| parts.contains(id)), "{id} is no part of {taker:?}");
        assert!(material.blake3.is_some() && !material.is_deleted(), "{id} is taken up: {material:?}");
    }
    let size = |part: &MaterialId| {
        let part = record(part).unwrap_or_else(|| panic!("{id} lacks {part}"));
        assert_eq!(part.taken_by(), Some(id), "{part:?}");
        part.size
    };
    match (material.joining(), &material.concat) {
        (Some(parts), _) => assert_eq!(material.size, parts.iter().map(size).sum::<u64>(), "{id}: {material:?}"),
        (None, Some(Concat::Final { parts, .. })) => assert!(parts.is_empty(), "{id}: {material:?}"),
        _ => {}
    }
}

#[test]
fn no_two_tables_share_a_tag() {
    use crate::core::tables::{Audit, Instances, Revoked, Spaces};
    let tags = [
        Meta::TAG,
        Nodes::TAG,
        Instances::TAG,
        Totals::TAG,
        Materials::TAG,
        MaterialsByAge::TAG,
        OnNode::TAG,
        Arriving::TAG,
        Leaving::TAG,
        Damaged::TAG,
        Unsettled::TAG,
        Joining::TAG,
        Runs::TAG,
        WaitingRuns::TAG,
        RunsOnNode::TAG,
        Requests::TAG,
        Users::TAG,
        UsersByName::TAG,
        Sessions::TAG,
        SessionsOfUser::TAG,
        SessionsByEnd::TAG,
        Teams::TAG,
        TeamsOfUser::TAG,
        Cases::TAG,
        CasesOfTeam::TAG,
        EndingCases::TAG,
        InCase::TAG,
        Revoked::TAG,
        Audit::TAG,
        Spaces::TAG,
        SpaceTotals::TAG,
        OwnerTotals::TAG,
        InSpace::TAG,
        Keys::TAG,
        ByHash::TAG,
        Ends::TAG,
    ];
    assert_eq!(tags.iter().collect::<HashSet<_>>().len(), tags.len());
}
