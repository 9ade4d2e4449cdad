//! Users, sessions, teams and cases: who may do what, role by role, and what ends with what.

use super::support::*;
use crate::core::{
    access::{self, Principal},
    apply::apply,
    command::{AccountCommand, Actor, Command, Outcome, Proposal},
    tables::{
        Audit, Cases, EndingCases, Hidden, InCase, Materials, Meta, Revoked, SessionRecord, Sessions, SessionsByEnd,
        SessionsOfUser, TeamRole, Teams, TeamsOfUser, Users, UsersByName,
    },
    view::Typed as _,
};
use microtome_proto::{
    CaseId, Code, MaterialId, NodeId, SessionId, TeamId, Timestamp, UserId,
    limits::{AUDIT_MAX, REVOKED_MAX, SESSIONS_MAX},
    material::{Owner, Terms},
    page::PageQuery,
};

fn account(command: AccountCommand) -> Command {
    Command::Account(command)
}

fn password(text: &str) -> Hidden {
    Hidden(format!("hash of {text}"))
}

/// What tells the books which hash a password was held against.
fn proof(text: &str) -> Hidden {
    Hidden(blake3::hash(password(text).0.as_bytes()).to_hex().to_string())
}

fn create_user(name: &str, administrator: bool) -> Command {
    account(AccountCommand::CreateUser {
        request: None,
        name: name.to_owned(),
        service: false,
        administrator,
        password: Some(password(name)),
    })
}

pub(super) fn user(world: &mut World, name: &str) -> UserId {
    let Outcome::User { user } = world.accept(create_user(name, false)) else { panic!() };
    user
}

pub(super) fn team(world: &mut World, administrator: &UserId) -> TeamId {
    let (request, name, administrator) = (None, "team".to_owned(), administrator.clone());
    let made = world.accept(account(AccountCommand::CreateTeam { request, name, administrator }));
    let Outcome::Team { team } = made else { panic!() };
    team
}

fn create_case(team: &TeamId) -> Command {
    account(AccountCommand::CreateCase {
        request: None,
        team: team.clone(),
        name: "case".to_owned(),
        description: String::new(),
        created_by: "somebody".to_owned(),
        expires_in_s: None,
        idle_expires_in_s: None,
    })
}

pub(super) fn case(world: &mut World, team: &TeamId) -> CaseId {
    let Outcome::Case { case } = world.accept(create_case(team)) else { panic!() };
    case
}

/// A material of a case, with a verified copy on each of these nodes.
fn material_in(world: &mut World, case: &CaseId, nodes: &[NodeId]) -> MaterialId {
    let terms = Terms { case: Some(case.clone()), ..Terms::default() };
    let made = world.accept(with_terms(terms, create(5, u32::try_from(nodes.len()).unwrap(), &nodes[0])));
    let Outcome::Material { material, generation, .. } = made else { panic!() };
    world.verify(&material, &nodes[0], generation);
    for node in &nodes[1..] {
        world.copy(&material, node);
    }
    material
}

pub(super) fn with_terms(wanted: Terms, mut command: Command) -> Command {
    if let Command::CreateMaterial { terms, .. } = &mut command {
        *terms = wanted;
    }
    command
}

fn set(team: &TeamId, user: &UserId, role: TeamRole) -> Command {
    account(AccountCommand::SetMember { team: team.clone(), user: user.clone(), role })
}

fn leave(team: &TeamId, user: &UserId) -> Command {
    account(AccountCommand::RemoveMember { team: team.clone(), user: user.clone() })
}

fn change(user: &UserId, administrator: Option<bool>, disabled: Option<bool>) -> Command {
    let user = user.clone();
    account(AccountCommand::UpdateUser { user, name: None, password: None, administrator, disabled })
}

fn login(user: &UserId, name: &str, nth: u128, ends_at: Timestamp) -> Command {
    account(AccountCommand::StartSession {
        session: SessionId::from_random(nth),
        user: user.clone(),
        proven: proof(name),
        refresh: format!("refresh {nth}.0"),
        ends_at,
        rehashed: None,
    })
}

fn refresh(nth: u128, old: u32, new: u32) -> Command {
    account(AccountCommand::RefreshSession {
        session: SessionId::from_random(nth),
        old: format!("refresh {nth}.{old}"),
        new: format!("refresh {nth}.{new}"),
        ends_at: Timestamp::from_millis(2_000_000_000_000),
    })
}

fn session(world: &World, nth: u128) -> Option<SessionRecord> {
    world.view.get_record::<Sessions>(&SessionId::from_random(nth)).unwrap()
}

fn far() -> Timestamp {
    Timestamp::from_millis(2_000_000_000_000)
}

#[test]
fn a_case_is_read_by_its_team_changed_by_its_administrators_and_not_there_for_others() {
    let mut world = World::new();
    let nodes = world.nodes(1);
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| user(&mut world, name));
    let Outcome::User { user: root } = world.accept(create_user("root", true)) else { panic!() };
    let team = team(&mut world, &ada);
    world.accept(set(&team, &bob, TeamRole::Member));
    let case = case(&mut world, &team);
    let material = material_in(&mut world, &case, &nodes);
    let rights = |world: &World, principal: &Principal| {
        let record = world.view.get_record::<Materials>(&material).unwrap().unwrap();
        let rights = principal.rights_on(&world.view, &material, &record).unwrap();
        let role = principal.role_in_case(&world.view, &case).unwrap().map(|(role, _)| role);
        ((rights.read, rights.change, rights.delete), role)
    };
    let of = |id: &UserId| Principal::User(id.clone());
    let (all, reads, nothing) = ((true, true, true), (true, false, false), (false, false, false));
    assert_eq!(rights(&world, &of(&ada)), (all, Some(TeamRole::Administrator)));
    assert_eq!(rights(&world, &of(&bob)), (reads, Some(TeamRole::Member)));
    assert_eq!(rights(&world, &of(&eve)), (nothing, None));
    assert_eq!(rights(&world, &of(&root)), (all, Some(TeamRole::Administrator)));
    assert_eq!(rights(&world, &Principal::Member(lab())), (nothing, None));
    assert_eq!(rights(&world, &Principal::Nobody), (nothing, None));
    let shown = |world: &World, principal: &Principal| {
        let query = PageQuery::default();
        let (teams, cases) = (world.scene().teams(principal, &query), world.scene().cases(principal, &query));
        (teams.unwrap().items.len(), cases.unwrap().items.len())
    };
    assert_eq!(shown(&world, &of(&bob)), (1, 1));
    assert_eq!(shown(&world, &of(&eve)), (0, 0));
    assert_eq!(shown(&world, &of(&root)), (1, 1));

    // Whoever is taken out, or shut out, reads no more from then on.
    world.accept(leave(&team, &bob));
    assert_eq!(rights(&world, &of(&bob)), (nothing, None));
    world.accept(set(&team, &bob, TeamRole::Member));
    world.accept(change(&bob, None, Some(true)));
    assert_eq!(rights(&world, &of(&bob)), (nothing, None));
}

#[test]
fn a_team_is_never_without_an_administrator() {
    let mut world = World::new();
    let [ada, bob] = ["ada", "bob"].map(|name| user(&mut world, name));
    world.accept(create_user("root", true));
    let team = team(&mut world, &ada);
    world.accept(set(&team, &bob, TeamRole::Member));
    for command in [leave(&team, &ada), set(&team, &ada, TeamRole::Member)] {
        assert_eq!(world.refused(command), Code::Conflict);
    }
    let gone = account(AccountCommand::DeleteUser { user: ada.clone() });
    let Outcome::Refused { code: Code::Conflict, detail } = world.apply(gone.clone()) else { panic!() };
    assert!(detail.contains("'team'") && detail.contains(team.as_str()), "{detail}");
    world.accept(set(&team, &bob, TeamRole::Administrator));
    world.accept(gone);
    let record = world.view.get_record::<Teams>(&team).unwrap().unwrap();
    assert_eq!(record.members.into_iter().collect::<Vec<_>>(), [(bob.clone(), TeamRole::Administrator)]);
    assert_eq!(world.view.get_record::<TeamsOfUser>(&(ada.clone(), team.clone())).unwrap(), None);
    assert_eq!(world.refused(leave(&team, &bob)), Code::Conflict);
    assert_eq!(world.refused(set(&team, &ada, TeamRole::Member)), Code::NotFound);
    // A team that has cases stays.
    let case = case(&mut world, &team);
    let end = account(AccountCommand::DeleteTeam { team: team.clone() });
    assert_eq!(world.refused(end.clone()), Code::Conflict);
    world.accept(account(AccountCommand::DeleteCase { case }));
    world.accept(end);
    assert_eq!(world.view.get_record::<TeamsOfUser>(&(bob, team)).unwrap(), None);
}

#[test]
fn a_deleted_case_frees_the_bytes_of_all_its_materials_on_every_replica_and_ends_with_the_last() {
    let mut world = World::new();
    let nodes = world.nodes(3);
    let ada = user(&mut world, "ada");
    let team = team(&mut world, &ada);
    let (case, other) = (case(&mut world, &team), case(&mut world, &team));
    let materials: Vec<_> = (0..5).map(|_| material_in(&mut world, &case, &nodes[..2])).collect();
    let kept = material_in(&mut world, &other, &nodes);
    let beating: Vec<_> = nodes.iter().collect();
    world.work(10, &beating);
    world.knobs.commands_max = 2;
    world.accept(account(AccountCommand::DeleteCase { case: case.clone() }));
    // From then on it is not there, and nothing comes into it.
    assert_eq!(Principal::User(ada.clone()).role_in_case(&world.view, &case).unwrap(), None);
    let terms = Terms { case: Some(case.clone()), ..Terms::default() };
    assert_eq!(world.refused(with_terms(terms, create(5, 1, &nodes[0]))), Code::Gone);
    assert_eq!(world.refused(account(AccountCommand::DeleteCase { case: case.clone() })), Code::Gone);

    let begun = world.work(1, &beating);
    assert_eq!(begun.iter().filter(|command| matches!(command, Command::DeleteMaterial { .. })).count(), 2);
    assert!(world.view.get_record::<Cases>(&case).unwrap().is_some());
    // Copies are freed as those of any deleted material are: by the nodes that have them, also by one that comes back later.
    world.work(10, &[&nodes[0], &nodes[2]]);
    assert_eq!(world.view.get_record::<Cases>(&case).unwrap(), None);
    assert_eq!(world.view.get_record::<EndingCases>(&case).unwrap(), None);
    for material in &materials {
        let record = world.view.get_record::<Materials>(material).unwrap();
        let record = record.expect("it waits for its nodes");
        assert!(record.is_deleted());
        for replica in record.replicas {
            world.accept(gone(material, &replica.node, replica.generation));
        }
        assert_eq!(world.view.get_record::<Materials>(material).unwrap(), None);
    }
    assert!(!world.view.get_record::<Materials>(&kept).unwrap().unwrap().is_deleted());
    assert_eq!(world.view.scan_keys::<InCase>(&[], None).count(), 1);
    let terms = Terms { case: Some(case), ..Terms::default() };
    assert_eq!(world.refused(with_terms(terms, create(5, 1, &nodes[0]))), Code::NotFound);
}

#[test]
fn names_differ_whatever_their_case_and_go_with_their_users() {
    let mut world = World::new();
    let ada = user(&mut world, "Ada");
    let root = world.accept(create_user("root", true));
    assert!(matches!(root, Outcome::User { .. }));
    for (name, code) in [
        ("ADA", Code::Conflict),
        ("", Code::BadRequest),
        ("a\u{7}", Code::BadRequest),
        (" ada", Code::BadRequest),
        ("u-7", Code::BadRequest),
        (&"x".repeat(65), Code::BadRequest),
    ] {
        assert_eq!(world.refused(create_user(name, false)), code, "{name}");
    }
    user(&mut world, &"é".repeat(64));
    let rename = |name: &str| {
        let (name, user) = (Some(name.to_owned()), ada.clone());
        account(AccountCommand::UpdateUser { user, name, password: None, administrator: None, disabled: None })
    };
    world.accept(rename("ada"));
    world.accept(rename("lovelace"));
    assert_eq!(world.view.get_record::<UsersByName>(&"ada".to_owned()).unwrap(), None);
    assert_eq!(world.refused(rename("Root")), Code::Conflict);
    world.accept(account(AccountCommand::DeleteUser { user: ada.clone() }));
    assert_eq!(world.view.get_record::<UsersByName>(&"lovelace".to_owned()).unwrap(), None);
    assert_ne!(user(&mut world, "lovelace"), ada, "an id is not used again");
}

#[test]
fn there_is_always_somebody_who_can_log_in_and_administer_the_cluster() {
    let mut world = World::new();
    let first = AccountCommand::FirstUser { name: "admin".to_owned(), password: password("admin") };
    let Outcome::User { user: admin } = world.accept(account(first.clone())) else { panic!() };
    assert_eq!(world.refused(account(first)), Code::Conflict);
    // A program that administers is nobody who logs in.
    let (request, name) = (None, "robot".to_owned());
    let robot = AccountCommand::CreateUser { request, name, service: true, administrator: true, password: None };
    world.accept(account(robot));
    let gone = account(AccountCommand::DeleteUser { user: admin.clone() });
    for command in [gone.clone(), change(&admin, Some(false), None), change(&admin, None, Some(true))] {
        assert_eq!(world.refused(command), Code::Conflict);
    }
    let Outcome::User { user: other } = world.accept(create_user("other", true)) else { panic!() };
    world.accept(change(&other, None, Some(true)));
    assert_eq!(world.refused(gone.clone()), Code::Conflict);
    world.accept(change(&other, None, Some(false)));
    world.accept(gone);
    assert_eq!(world.refused(change(&other, Some(false), None)), Code::Conflict);
}

#[test]
fn a_refresh_token_is_good_once_and_once_more_for_who_never_got_the_answer() {
    let mut world = World::new();
    let ada = user(&mut world, "ada");
    let goes_on = |nth| Outcome::Session { session: SessionId::from_random(nth), user: ada.clone() };
    // The usual way.
    world.accept(login(&ada, "ada", 1, far()));
    assert_eq!(world.apply(refresh(1, 0, 1)), goes_on(1));
    assert_eq!(world.apply(refresh(1, 1, 2)), goes_on(1));
    assert_eq!(world.refused(refresh(1, 0, 3)), Code::Unauthorized, "older ones tell nothing");
    assert!(session(&world, 1).is_some());
    // An answer that got lost: nobody has what was in it.
    world.now_ms += 29_000;
    assert_eq!(world.apply(refresh(1, 1, 3)), goes_on(1));
    assert_eq!(world.apply(refresh(1, 3, 5)), goes_on(1));
    assert_eq!(world.refused(refresh(1, 2, 4)), Code::Unauthorized);
    // A copy that somebody else has taken: within half a minute a second time, or later.
    assert_eq!(world.apply(refresh(1, 3, 6)), goes_on(1));
    assert_eq!(world.apply(refresh(1, 3, 7)), Outcome::Stolen { user: ada.clone() });
    assert_eq!(session(&world, 1), None);
    world.accept(login(&ada, "ada", 2, far()));
    world.accept(refresh(2, 0, 1));
    world.now_ms += 31_000;
    assert_eq!(world.apply(refresh(2, 0, 2)), Outcome::Stolen { user: ada.clone() });
    assert_eq!(world.refused(refresh(2, 1, 3)), Code::Unauthorized);
    // The copy was taken half a minute within the first time, and whoever got the first answer goes on.
    world.accept(login(&ada, "ada", 3, far()));
    assert_eq!(world.apply(refresh(3, 0, 1)), goes_on(3));
    assert_eq!(world.apply(refresh(3, 0, 2)), goes_on(3));
    assert_eq!(world.apply(refresh(3, 1, 4)), Outcome::Stolen { user: ada.clone() });
    assert_eq!(world.refused(refresh(3, 2, 5)), Code::Unauthorized);
    assert_eq!(world.view.scan_keys::<SessionsOfUser>(&[], None).count(), 0);
    assert_eq!(world.view.scan_keys::<SessionsByEnd>(&[], None).count(), 0);
}

#[test]
fn sessions_end_with_passwords_with_who_is_shut_out_and_by_themselves() {
    let mut world = World::new();
    let ada = user(&mut world, "ada");
    let begin = |world: &mut World, nth| world.accept(login(&ada, "ada", nth, far()));
    begin(&mut world, 1);
    begin(&mut world, 2);
    let keep = Some(SessionId::from_random(1));
    let renew = |old: &str, new: &str, keep: &Option<SessionId>| {
        let (proven, password, keep) = (proof(old), password(new), keep.clone());
        account(AccountCommand::ChangePassword { user: ada.clone(), proven, password, keep })
    };
    assert_eq!(world.refused(renew("other", "new", &keep)), Code::WrongLogin);
    world.accept(renew("ada", "new", &keep));
    assert!(session(&world, 1).is_some() && session(&world, 2).is_none());
    // A login that was proven by the password before comes too late.
    assert_eq!(world.refused(login(&ada, "ada", 3, far())), Code::WrongLogin);
    world.accept(login(&ada, "new", 3, far()));
    world.accept(change(&ada, None, Some(true)));
    assert_eq!(world.view.scan_keys::<Sessions>(&[], None).count(), 0);
    assert_eq!(world.refused(login(&ada, "new", 4, far())), Code::Conflict);
    // Nodes look at no session: they are told, of what may still be carried about. What ended before is the user's own.
    let told = world.view.scan_records::<Revoked>(&[], None).map(Result::unwrap);
    let told: Vec<_> = told.map(|(id, until)| (id, until.millis_since(world.at()))).collect();
    let id = |nth| SessionId::from_random(nth).to_string();
    assert_eq!(told, [(id(1), 930_000), (id(3), 930_000)]);
    world.accept(change(&ada, None, Some(false)));
    // The oldest goes where there are too many, and what has ended is forgotten.
    for nth in 0..SESSIONS_MAX as u128 + 1 {
        world.now_ms += 1_000;
        world.accept(login(&ada, "new", 100 + nth, world.at().plus_millis(5_000)));
    }
    assert!(session(&world, 100).is_none() && session(&world, 101).is_some());
    assert_eq!(world.view.scan_keys::<Sessions>(&[], None).count(), SESSIONS_MAX);
    world.accept(account(AccountCommand::Tidy));
    assert_eq!(world.view.scan_keys::<Sessions>(&[], None).count(), 5);
    world.accept(create_user("root", true));
    world.accept(account(AccountCommand::DeleteUser { user: ada.clone() }));
    assert_eq!(world.view.scan_keys::<Sessions>(&[], None).count(), 0);
    assert_eq!(world.refused(login(&ada, "new", 500, far())), Code::NotFound);
}

#[test]
fn tokens_are_for_service_accounts_and_those_taken_back_are_forgotten_when_they_end() {
    let mut world = World::new();
    let (request, name) = (None, "robot".to_owned());
    let robot = AccountCommand::CreateUser { request, name, service: true, administrator: false, password: None };
    let Outcome::User { user: robot } = world.accept(account(robot)) else { panic!() };
    let ada = user(&mut world, "ada");
    let make = |user: &UserId, nth| {
        let (session, user, label) = (SessionId::from_random(nth), user.clone(), "nightly".to_owned());
        account(AccountCommand::StartTokenSession { session, user, label, ends_at: far() })
    };
    world.accept(make(&robot, 1));
    assert_eq!(world.refused(make(&ada, 2)), Code::Conflict);
    let version = |world: &World| world.view.get_record::<Meta>(&()).unwrap().unwrap().revoked_version;
    let revoke = |token: &str, until: Timestamp| {
        account(AccountCommand::RevokeToken { token: token.to_owned(), until, bearer: String::new() })
    };
    world.accept(revoke("one", world.at().plus_millis(1_000)));
    world.accept(revoke("one", world.at().plus_millis(1_000)));
    assert_eq!(version(&world), 1, "the same once more changes nothing");
    world.accept(revoke("two", far()));
    world.now_ms += 1_000;
    world.accept(account(AccountCommand::Tidy));
    assert_eq!(world.view.scan_keys::<Revoked>(&[], None).map(Result::unwrap).collect::<Vec<_>>(), ["two"]);
    assert_eq!(version(&world), 3);
    world.accept(account(AccountCommand::Tidy));
    assert_eq!(version(&world), 3);
    for nth in 1..REVOKED_MAX {
        // The other half is the administrators'.
        if [0, 1].contains(&(REVOKED_MAX / 2).abs_diff(nth)) {
            assert_eq!(access::may_revoke_own(&world.view).unwrap(), nth < REVOKED_MAX / 2, "{nth}");
        }
        world.put::<Revoked>(&nth.to_string(), &far());
    }
    assert_eq!(world.refused(revoke("one too many", far())), Code::Conflict);
    world.put::<Revoked>(&"two".to_owned(), &world.at());
    world.accept(revoke("one too many", far()));
}

#[test]
fn what_is_done_for_somebody_is_in_the_trail_and_what_the_cluster_does_is_not() {
    let mut world = World::new();
    let nodes = world.nodes(1);
    let ada = user(&mut world, "ada");
    let by = Actor { name: ada.to_string(), address: "10.0.0.7:1".to_owned() };
    let act = |world: &mut World, command: Command| {
        let proposal = Proposal { at: world.at(), by: Some(by.clone()), command };
        let (changes, outcome) = apply(&world.view, &proposal).unwrap();
        world.write(changes);
        outcome
    };
    let Outcome::Material { material, .. } = act(&mut world, create(5, 1, &nodes[0])) else { panic!() };
    act(&mut world, delete(&material));
    act(&mut world, delete(&"m-none".parse().unwrap()));
    act(&mut world, change(&ada, Some(true), None));
    world.accept(create(5, 1, &nodes[0]));
    let page = world.scene().audit(&PageQuery { limit: Some(2), cursor: None }).unwrap();
    let told: Vec<_> =
        page.items.iter().map(|entry| (entry.act.as_str(), entry.object.as_str(), entry.by.as_str())).collect();
    assert_eq!(
        told,
        [("update_user", ada.as_str(), ada.as_str()), ("delete_material", material.as_str(), ada.as_str())]
    );
    assert_eq!(page.items[0].detail, "administrator true");
    let rest = world.scene().audit(&PageQuery { limit: None, cursor: page.next_cursor }).unwrap();
    assert_eq!(rest.items.len(), 1);
    assert_eq!((rest.items[0].act.as_str(), rest.items[0].address.as_str()), ("create_material", "10.0.0.7:1"));
    // A password's hash is in no entry.
    let text = format!("{:?}", create_user("eve", false));
    assert!(!text.contains("hash of"), "{text}");

    let mut meta = world.view.get_record::<Meta>(&()).unwrap().unwrap();
    meta.audit_last = AUDIT_MAX;
    world.put::<Meta>(&(), &meta);
    act(&mut world, create(5, 1, &nodes[0]));
    let entries: Vec<_> = world.view.scan_keys::<Audit>(&[], None).map(Result::unwrap).collect();
    assert_eq!(entries, [AUDIT_MAX + 1, 3, 2], "the oldest one is gone");
}

#[test]
fn a_run_is_seen_by_who_reads_its_inputs_and_cancelled_by_who_made_it() {
    let mut world = World::new();
    let nodes = world.nodes(1);
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| user(&mut world, name));
    let team = team(&mut world, &ada);
    world.accept(set(&team, &bob, TeamRole::Member));
    let case = case(&mut world, &team);
    let material = material_in(&mut world, &case, &nodes);
    let mut submit = create_run(None, vec![material.clone()]);
    if let Command::CreateRun { owner, .. } = &mut submit {
        *owner = Some(Owner { space: String::new(), name: bob.to_string() });
    }
    let Outcome::Run { run } = world.accept(submit) else { panic!() };
    let rights = |world: &World, principal: &Principal| {
        let rights = principal.rights_on_run(&world.view, &world.run(&run)).unwrap();
        let listed = world.scene().runs(principal, &PageQuery::default()).unwrap().items.len();
        (rights.read, rights.change, listed)
    };
    assert_eq!(rights(&world, &Principal::User(bob.clone())), (true, true, 1));
    assert_eq!(rights(&world, &Principal::User(ada.clone())), (true, true, 1));
    assert_eq!(rights(&world, &Principal::User(eve.clone())), (false, false, 0));
    world.accept(set(&team, &eve, TeamRole::Member));
    assert_eq!(rights(&world, &Principal::User(eve)), (true, false, 1));
    assert_eq!(rights(&world, &Principal::Administrator), (true, true, 1));
    world.accept(delete(&material));
    let freed = world.view.get_record::<Materials>(&material).unwrap().unwrap().replicas;
    world.accept(gone(&material, &nodes[0], freed[0].generation));
    assert_eq!(rights(&world, &Principal::User(ada)), (false, false, 0));
    assert_eq!(rights(&world, &Principal::User(bob)), (true, true, 1));
}

#[test]
fn a_request_with_a_key_makes_one_user_one_team_and_one_case() {
    let mut world = World::new();
    let keyed = |command: &Command, key: &str| {
        let mut command = command.clone();
        if let Command::Account(
            AccountCommand::CreateUser { request, .. }
            | AccountCommand::CreateTeam { request, .. }
            | AccountCommand::CreateCase { request, .. },
        ) = &mut command
        {
            *request = Some(key.to_owned());
        }
        command
    };
    let ada = keyed(&create_user("ada", false), "a");
    let Outcome::User { user } = world.accept(ada.clone()) else { panic!() };
    assert_eq!(world.accept(ada), Outcome::User { user: user.clone() });
    let make = AccountCommand::CreateTeam { request: None, name: "team".to_owned(), administrator: user.clone() };
    let make = keyed(&account(make), "b");
    let Outcome::Team { team } = world.accept(make.clone()) else { panic!() };
    assert_eq!(world.accept(make.clone()), Outcome::Team { team: team.clone() });
    let make_case = keyed(&create_case(&team), "c");
    let Outcome::Case { case } = world.accept(make_case.clone()) else { panic!() };
    assert_eq!(world.accept(make_case.clone()), Outcome::Case { case: case.clone() });
    assert_eq!(world.refused(keyed(&make_case, "b")), Code::Conflict);
    // The keys go with what they made.
    world.accept(account(AccountCommand::DeleteCase { case }));
    world.accept(account(AccountCommand::DeleteTeam { team: team.clone() }));
    assert_ne!(world.accept(make), Outcome::Team { team });
    assert!(world.view.get_record::<Users>(&user).unwrap().is_some());
}
