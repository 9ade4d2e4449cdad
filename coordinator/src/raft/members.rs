//! Who belongs to the group: coordinators join and leave while it works.
//!
//! One that joins is brought up to date first, as a learner without a vote, and gets its vote then: so a vote is never with
//! one that has nothing yet. Each step may be repeated, and goes on where the one before ended.

use super::{Group, bootstrap::Standing, types::TypeConfig};
use microtome_proto::{Code, CoordinatorId, Problem, cluster::Coordinator, limits::COORDINATORS_MAX};
use openraft::{
    BasicNode, ChangeMembers, RaftMetrics,
    async_runtime::watch::WatchReceiver as _,
    errors::{ChangeMembershipError, ClientWriteError, RaftError},
};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::timeout;

/// How long a coordinator has to say who it is.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long a request waits until a learner is up to date, and until a change is agreed on.
const CHANGE_WITHIN: Duration = Duration::from_secs(15);

/// A member as the leader knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) coordinator: Coordinator,
    votes: bool,
}

/// What is left to be done for one that is to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    Nothing,
    Vote,
    LearnAndVote,
}

/// What there is to be done for one that is to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    Nothing,
    /// It never got its vote: it stopped, or was stopped, while it learned.
    Learner,
    Voter,
}

impl Group {
    /// Takes a coordinator in that runs at `url` with an empty folder.
    ///
    /// # Errors
    /// `conflict` where another one has its number or its address, or it is no empty coordinator of that number;
    /// `not_ready` where it is not up to date yet: repeat it.
    pub(crate) async fn add(&self, id: CoordinatorId, url: &str, dry_run: bool) -> Result<(), Problem> {
        let join = join(&self.members(), id, url)?;
        if join == Join::LearnAndVote {
            self.fits(id, url).await?;
        }
        if dry_run || join == Join::Nothing {
            return Ok(());
        }
        if join == Join::LearnAndVote {
            let learning = self.raft().add_learner(id, BasicNode { addr: url.to_owned() }, true);
            changed(timeout(CHANGE_WITHIN, learning).await)?;
        }
        self.has_learned(id).await?;
        let vote = self.raft().change_membership(ChangeMembers::AddVoterIds(BTreeSet::from([id])), false);
        changed(timeout(CHANGE_WITHIN, vote).await)?;
        tracing::info!(coordinator = id, %url, "a coordinator has joined");
        Ok(())
    }

    /// Waits until a learner has all that the log has now. What openraft waits for before is less: a lag as long as
    /// what is kept of the log, so in a young group nothing at all, and a vote with one that takes no entries stops a
    /// group of one.
    async fn has_learned(&self, id: CoordinatorId) -> Result<(), Problem> {
        let all = self.raft().metrics().borrow_watched().last_log_index;
        let has_all = |metrics: &RaftMetrics<TypeConfig>| {
            let matched = metrics.replication.as_ref().and_then(|matched| matched.get(&id)).and_then(Option::as_ref);
            matched.map(|matched| matched.index) >= all
        };
        let waited = self.raft().wait(Some(CHANGE_WITHIN)).metrics(has_all, "a learner has all of the log").await;
        waited.map(drop).map_err(|_| {
            let detail = format!("coordinator {id} learns the log, and has no vote yet: repeat it, or remove it again");
            Problem::new(Code::NotReady, detail)
        })
    }

    /// Takes a coordinator out for good.
    ///
    /// # Errors
    /// `conflict` where the others could not go on without it; `no_leader` where it is this one, which gives its place
    /// away first: ask again.
    pub(crate) async fn remove(&self, id: CoordinatorId, dry_run: bool) -> Result<(), Problem> {
        let mut members = self.members();
        self.look_who_lives(&mut members).await;
        let leave = leave(&members, id)?;
        if leave == Leave::Nothing || dry_run {
            return Ok(());
        }
        if id == self.id() {
            self.give_way().await;
            return Err(Problem::new(
                Code::NoLeader,
                format!("coordinator {id} leads, and gives its place away first"),
            ));
        }
        let leaving = BTreeSet::from([id]);
        let change = match leave {
            Leave::Learner => ChangeMembers::RemoveNodes(leaving),
            _ => ChangeMembers::RemoveVoters(leaving),
        };
        changed(timeout(CHANGE_WITHIN, self.raft().change_membership(change, false)).await)?;
        tracing::info!(coordinator = id, "a coordinator was removed");
        Ok(())
    }

    pub(super) fn members(&self) -> Vec<Member> {
        let voters: BTreeSet<_> = self.raft().metrics().borrow_watched().membership_config.voter_ids().collect();
        let coordinators = self.coordinators().into_iter();
        coordinators.map(|coordinator| Member { votes: voters.contains(&coordinator.id), coordinator }).collect()
    }

    /// Asks all others, now: a change that those who are left do not agree on would stay half done until they do.
    async fn look_who_lives(&self, members: &mut [Member]) {
        let asked = members.iter().map(|Member { coordinator, .. }| async move {
            coordinator.id == self.id() || self.standing_at(coordinator.id, &coordinator.url).await.is_ok()
        });
        let live = futures_util::future::join_all(asked).await;
        for (member, live) in members.iter_mut().zip(live) {
            member.coordinator.live = live;
        }
    }

    pub(super) async fn standing_at(&self, id: CoordinatorId, url: &str) -> reqwest::Result<Standing> {
        let address = format!("{url}/internal/v1/raft/standing?of={}", self.id());
        let request = self.peers().request(reqwest::Method::GET, &address, id).timeout(ANSWER_WITHIN);
        request.send().await?.error_for_status()?.json().await
    }

    /// Whether an empty coordinator of that number answers there.
    async fn fits(&self, id: CoordinatorId, url: &str) -> Result<(), Problem> {
        let standing = self.standing_at(id, url).await.map_err(|error| {
            let detail =
                format!("no coordinator answers at {url}: start it first, with an empty data folder ({error})");
            Problem::new(Code::Conflict, detail)
        })?;
        match () {
            () if standing.id != id => {
                Err(Problem::new(Code::Conflict, format!("at {url} coordinator {} runs, not {id}", standing.id)))
            }
            () if standing.protocol < self.protocol() => Err(Problem::new(
                Code::VersionGap,
                format!(
                    "coordinator {id} speaks protocol {}, the cluster works by {}",
                    standing.protocol,
                    self.protocol()
                ),
            )),
            () if standing.is_member => Err(Problem::new(
                Code::Conflict,
                format!("coordinator {id} at {url} belongs to a group already: start it with an empty data folder"),
            )),
            () => Ok(()),
        }
    }
}

fn join(members: &[Member], id: CoordinatorId, url: &str) -> Result<Join, Problem> {
    let conflict = |detail: String| Err(Problem::new(Code::Conflict, detail));
    if let Some(other) = members.iter().find(|member| member.coordinator.id != id && member.coordinator.url == url) {
        return conflict(format!("coordinator {} runs at {url} already", other.coordinator.id));
    }
    match members.iter().find(|member| member.coordinator.id == id) {
        Some(member) if member.coordinator.url != url => conflict(format!(
            "coordinator {id} is at {}: remove it first, or choose a number that nobody had",
            member.coordinator.url
        )),
        Some(member) => Ok(if member.votes { Join::Nothing } else { Join::Vote }),
        None if members.len() >= COORDINATORS_MAX => {
            conflict(format!("more than {COORDINATORS_MAX} coordinators only make writes slow"))
        }
        None => Ok(Join::LearnAndVote),
    }
}

/// What there is to be done; the others must be able to go on.
fn leave(members: &[Member], id: CoordinatorId) -> Result<Leave, Problem> {
    let Some(leaving) = members.iter().find(|member| member.coordinator.id == id) else { return Ok(Leave::Nothing) };
    let others = || members.iter().filter(|member| member.votes && member.coordinator.id != id);
    let (all, live) = (others().count(), others().filter(|member| member.coordinator.live).count());
    if live > all / 2 {
        return Ok(if leaving.votes { Leave::Voter } else { Leave::Learner });
    }
    let detail = match all {
        0 => format!("coordinator {id} is the only one"),
        _ => format!(
            "without coordinator {id} only {live} of {all} answer, fewer than a majority: bring them back first"
        ),
    };
    Err(Problem::new(Code::Conflict, detail))
}

type Written<T> = Result<Result<T, RaftError<TypeConfig, Refusal>>, tokio::time::error::Elapsed>;
type Refusal = ClientWriteError<TypeConfig>;

fn changed<T>(written: Written<T>) -> Result<(), Problem> {
    let refused = match written {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error,
        Err(_) => return Err(Problem::new(Code::NotReady, "the change is under way, but not done yet: repeat it")),
    };
    Err(match refused {
        RaftError::APIError(ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_))) => {
            Problem::new(Code::NotReady, "another change of coordinators is under way: repeat it")
        }
        RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => {
            Problem::new(Code::Conflict, error.to_string())
        }
        RaftError::APIError(_) => Problem::new(Code::NoLeader, "this coordinator does not lead any more"),
        RaftError::Fatal(fatal) => Problem::new(Code::NotReady, format!("this coordinator has stopped: {fatal}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: CoordinatorId, live: bool, votes: bool) -> Member {
        let coordinator = Coordinator { id, url: format!("http://c{id}"), leader: id == 1, live, lag: None };
        Member { coordinator, votes }
    }

    #[test]
    fn one_joins_under_a_number_and_an_address_of_its_own_and_goes_on_where_it_stood() {
        let members = [member(1, true, true), member(2, true, true), member(3, true, false)];
        assert_eq!(join(&members, 4, "http://c4"), Ok(Join::LearnAndVote));
        assert_eq!(join(&members, 3, "http://c3"), Ok(Join::Vote));
        assert_eq!(join(&members, 2, "http://c2"), Ok(Join::Nothing));
        for (id, url) in [(2, "http://other"), (4, "http://c2")] {
            assert_eq!(join(&members, id, url).unwrap_err().code, Code::Conflict, "{id} {url}");
        }
        let many: Vec<_> = (1..=COORDINATORS_MAX as u64).map(|id| member(id, true, true)).collect();
        assert!(join(&many, 99, "http://c99").is_err());
    }

    #[test]
    fn one_leaves_only_where_the_others_go_on() {
        let members = |live: &[bool]| -> Vec<_> { (1..).zip(live).map(|(id, &live)| member(id, live, true)).collect() };
        assert_eq!(leave(&members(&[true, true, true]), 3), Ok(Leave::Voter));
        assert_eq!(leave(&members(&[true, true, false]), 3), Ok(Leave::Voter), "the one that is dead");
        assert_eq!(leave(&members(&[true, true, true]), 9), Ok(Leave::Nothing));
        assert_eq!(leave(&members(&[true, true]), 2), Ok(Leave::Voter));
        assert_eq!(leave(&[member(1, true, true), member(2, false, false)], 2), Ok(Leave::Learner));
        for (live, id) in [(&[true][..], 1), (&[true, true, false], 2), (&[true, false], 1)] {
            assert_eq!(leave(&members(live), id).unwrap_err().code, Code::Conflict, "{live:?} {id}");
        }
    }
}
