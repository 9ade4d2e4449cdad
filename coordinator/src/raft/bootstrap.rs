//! How a group comes into being, and how a coordinator that lost its disk is kept from harming it.
//!
//! Each coordinator of the configuration that has never been in a group asks the others first. Where nobody is in a
//! group, and a majority is there to form one, it begins with the membership of the configuration: all that do so begin
//! alike. Where a group exists, it waits to be contacted, unless that group knows it already: then its folder was lost,
//! with votes and entries that it had vouched for.

use super::Group;
use crate::CoordinatorError;
use microtome_proto::{ClusterId, CoordinatorId, protocol};
use openraft::{
    BasicNode,
    async_runtime::watch::WatchReceiver as _,
    errors::{InitializeError, RaftError},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// How often the others are asked.
const ASK_EVERY: Duration = Duration::from_millis(150);
/// How long one may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_millis(700);
/// After this long without a majority the log says who is missing, and then again.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// What a coordinator says of itself, `GET /internal/v1/raft/standing?of=ID`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Who answers.
    pub(crate) id: CoordinatorId,
    /// Its cluster, once it knows it.
    #[serde(default)]
    pub(crate) cluster: Option<ClusterId>,
    /// Whether it is in a group.
    pub(crate) is_member: bool,
    /// Whether anything was written in that group since it began.
    pub(crate) has_history: bool,
    /// Whether it leads, and a majority has agreed on something since.
    pub(crate) leads: bool,
    /// For a leader: whether the asker has confirmed entries to it.
    pub(crate) knows_asker: bool,
    /// The protocol that it speaks.
    #[serde(default = "protocol::untold")]
    pub(crate) protocol: u32,
}

impl Group {
    /// What this coordinator says of itself to `asker`.
    pub(crate) async fn standing(&self, asker: CoordinatorId) -> Standing {
        let is_member = self.raft().is_initialized().await.unwrap_or(false);
        let metrics = self.raft().metrics();
        let metrics = metrics.borrow_watched();
        // Before a majority has agreed on an entry of its own term a leader does not know what was agreed on before: the one who
        // asks may have been among those who did.
        let agreed_in = metrics.last_applied.as_ref().map(|applied| applied.leader_id.term);
        let matched = metrics.replication.as_ref().and_then(|all| all.get(&asker));
        Standing {
            id: self.id(),
            cluster: self.peers().cluster(),
            is_member,
            has_history: metrics.last_log_index.is_some_and(|index| index > 0),
            leads: metrics.state.is_leader() && agreed_in == Some(metrics.current_term),
            knows_asker: matched.is_some_and(Option::is_some),
            protocol: self.peers().protocol,
        }
    }

    /// Brings this coordinator into its group: returns when it takes part.
    pub(crate) async fn bootstrap(&self) -> Result<(), CoordinatorError> {
        let stopped = |error: String| CoordinatorError::Stopped(error);
        if self.raft().is_initialized().await.map_err(|error| stopped(error.to_string()))? {
            self.take_part();
            return Ok(());
        }
        let members = self.peers().configured().clone();
        let mut complained = tokio::time::Instant::now();
        loop {
            let standings = self.ask(&members).await;
            match decide(self.id(), members.len(), &standings) {
                Decision::Begin => break,
                Decision::Follow => {
                    self.take_part();
                    return Ok(());
                }
                Decision::Lost => return Err(CoordinatorError::LostFolder(self.id())),
                Decision::Wait => {
                    if complained.elapsed() > COMPLAIN_EVERY {
                        complained = tokio::time::Instant::now();
                        let missing: Vec<_> = members.keys().filter(|id| !standings.contains_key(id)).collect();
                        tracing::warn!(?missing, "waiting for more coordinators to start");
                    }
                    tokio::time::sleep(ASK_EVERY).await;
                }
            }
        }
        self.take_part();
        let nodes: BTreeMap<_, _> = members.into_iter().map(|(id, url)| (id, BasicNode { addr: url })).collect();
        match self.raft().initialize(nodes).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(stopped(error.to_string())),
        }
    }

    async fn ask(&self, members: &BTreeMap<CoordinatorId, String>) -> BTreeMap<CoordinatorId, Standing> {
        let others = members.iter().filter(|(id, _)| **id != self.id());
        let asked = others.map(|(id, url)| async move {
            let url = format!("{url}/internal/v1/raft/standing?of={}", self.id());
            let request = self.peers().request(reqwest::Method::GET, &url, *id).timeout(ANSWER_WITHIN);
            let standing: Standing = request.send().await.ok()?.error_for_status().ok()?.json().await.ok()?;
            if standing.id != *id {
                tracing::warn!(%url, expected = id, found = standing.id, "another coordinator answers there");
                return None;
            }
            Some((*id, standing))
        });
        futures_util::future::join_all(asked).await.into_iter().flatten().collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Begin,
    Follow,
    Wait,
    Lost,
}

/// What one that has never been in a group does, by what the others say.
fn decide(own: CoordinatorId, members: usize, standings: &BTreeMap<CoordinatorId, Standing>) -> Decision {
    debug_assert!(!standings.contains_key(&own));
    if let Some(leader) = standings.values().find(|standing| standing.leads) {
        return if leader.knows_asker { Decision::Lost } else { Decision::Follow };
    }
    // A group with a history has had a leader; only a leader knows whether this one belongs to that history.
    if standings.values().any(|standing| standing.has_history) {
        return Decision::Wait;
    }
    if standings.values().any(|standing| standing.is_member) {
        return Decision::Follow;
    }
    if standings.len() + 1 > members / 2 { Decision::Begin } else { Decision::Wait }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        raft::{
            Tuning,
            network::Peers,
            open,
            types::{TypeConfig, Vote},
        },
        store::folder::Folder,
    };
    use axum::{Json, Router, http::StatusCode, routing::post};
    use openraft::{
        RaftMetrics,
        raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse},
    };
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    /// Everything that is awaited has come by then, also on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(240);

    /// Another coordinator: it votes for whoever asks, and takes entries while it `agrees`. Its base URL.
    async fn voter(agrees: &Arc<AtomicBool>) -> String {
        let agrees = Arc::clone(agrees);
        let vote = |Json(asked): Json<VoteRequest<TypeConfig>>| async move {
            Json(VoteResponse::<TypeConfig>::new(asked.vote, asked.last_log_id, true))
        };
        let append = move || async move {
            let taken = Json(AppendEntriesResponse::<TypeConfig>::Success);
            if agrees.load(Ordering::Acquire) { Ok(taken) } else { Err(StatusCode::SERVICE_UNAVAILABLE) }
        };
        let router = Router::new()
            .route("/internal/v1/raft/vote", post(vote))
            .route("/internal/v1/raft/pre-vote", post(vote))
            .route("/internal/v1/raft/append", post(append));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    async fn until(group: &Group, is_so: impl Fn(&RaftMetrics<TypeConfig>) -> bool + Send) {
        group.raft().wait(Some(PATIENCE)).metrics(is_so, "in time").await.unwrap();
    }

    /// One that was just elected did not know that the asker had confirmed entries before: its lost folder was let in.
    #[tokio::test(flavor = "multi_thread")]
    async fn one_that_was_elected_leads_only_when_something_was_agreed_on_in_its_term() {
        let agrees = Arc::new(AtomicBool::new(false));
        let members = BTreeMap::from([(1, "http://127.0.0.1:1".to_owned()), (2, voter(&agrees).await)]);
        let root = tempfile::tempdir().unwrap();
        let (folder, _lock) = Folder::open(root.path(), 1, "lab").unwrap();
        let peers = Peers::new(1, members.clone(), None, protocol::PROTOCOL, Default::default()).unwrap();
        let group = open(Arc::new(folder), Arc::new(peers), Tuning::default()).await.unwrap();
        let nodes: BTreeMap<_, _> = members.into_iter().map(|(id, url)| (id, BasicNode { addr: url })).collect();
        group.raft().initialize(nodes).await.unwrap();
        until(&group, |metrics| metrics.state.is_leader()).await;
        assert!(!group.standing(2).await.leads);
        agrees.store(true, Ordering::Release);
        until(&group, |metrics| metrics.last_applied.is_some_and(|applied| applied.leader_id.term > 0)).await;
        let standing = group.standing(2).await;
        assert!(standing.leads && standing.knows_asker);

        // Another one leads and falls silent: when this one leads again all that it has applied is of an earlier term.
        agrees.store(false, Ordering::Release);
        let term = group.position().0 + 1;
        let (vote, prev_log_id, entries, leader_commit) = (Vote::new_committed(term, 2), None, Vec::new(), None);
        group.append(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit }).await.unwrap();
        until(&group, |metrics| metrics.state.is_leader() && metrics.current_term > term).await;
        let standing = group.standing(2).await;
        assert!(!standing.leads && !standing.knows_asker);
        group.stop().await;
    }

    fn standing(id: u64, is_member: bool, has_history: bool, leads: bool, knows_asker: bool) -> (u64, Standing) {
        (id, Standing { id, cluster: None, is_member, has_history, leads, knows_asker, protocol: 1 })
    }

    #[test]
    fn a_group_begins_once_and_a_lost_folder_stays_out() {
        let decide = |standings: &[(u64, Standing)]| decide(1, 3, &standings.iter().cloned().collect());
        assert_eq!(decide(&[]), Decision::Wait);
        assert_eq!(decide(&[standing(2, false, false, false, false)]), Decision::Begin);
        assert_eq!(decide(&[standing(2, true, false, false, false)]), Decision::Follow);
        assert_eq!(decide(&[standing(2, true, true, true, false)]), Decision::Follow);
        assert_eq!(decide(&[standing(2, true, true, false, false)]), Decision::Wait);
        assert_eq!(decide(&[standing(2, true, true, true, true)]), Decision::Lost);
        let both = [standing(2, true, true, false, false), standing(3, true, true, true, true)];
        assert_eq!(decide(&both), Decision::Lost);
    }

    #[test]
    fn one_alone_begins_at_once() {
        assert_eq!(decide(1, 1, &BTreeMap::new()), Decision::Begin);
    }
}
