//! Who leads, how far the others are, and giving the lead away: raft's standing, as this coordinator knows it.

use super::{Group, types::TypeConfig};
use microtome_proto::{CoordinatorId, cluster::Coordinator};
use openraft::{BasicNode, Instant as _, RaftMetrics, async_runtime::watch::WatchReceiver as _};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a leader that stops waits for another one.
const TRANSFER_WITHIN: Duration = Duration::from_secs(2);
/// A follower that has not answered for longer is told as not live.
const LIVE_WITHIN: Duration = Duration::from_secs(2);

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Leader {
    /// This coordinator.
    Own,
    /// Another one, at this base URL.
    Other(CoordinatorId, String),
    /// Nobody, as far as is known here.
    Unknown,
}

impl Group {
    /// Who leads.
    pub(crate) fn leader(&self) -> Leader {
        self.look(|metrics| self.leader_in(metrics))
    }

    /// The term in which this coordinator leads, if it does.
    pub(crate) fn leads_in_term(&self) -> Option<u64> {
        self.look(|metrics| (self.leader_in(metrics) == Leader::Own).then_some(metrics.current_term))
    }

    /// Waits until somebody else leads than `before`, at most until `deadline`.
    pub(crate) async fn leader_after(&self, before: &Leader, deadline: Instant) -> Leader {
        let mut metrics = self.raft().metrics();
        loop {
            let leader = self.leader_in(&metrics.borrow_watched());
            let changed = leader != *before && leader != Leader::Unknown;
            if changed || !matches!(timeout_at(deadline, metrics.changed()).await, Ok(Ok(()))) {
                return leader;
            }
        }
    }

    /// Returns when raft's standing changes: its leader, its term, or that it has stopped.
    pub(crate) async fn changed(&self) {
        let mut metrics = self.raft().server_metrics();
        let _ = metrics.borrow_and_update();
        let _ = metrics.changed().await;
    }

    /// Raft's term, and the index of the last entry applied.
    pub(crate) fn position(&self) -> (u64, u64) {
        self.look(|metrics| (metrics.current_term, metrics.last_applied.map_or(0, |applied| applied.index)))
    }

    /// All coordinators, as this one knows them.
    pub(crate) fn coordinators(&self) -> Vec<Coordinator> {
        self.look(|metrics| {
            let nodes = metrics.membership_config.nodes();
            nodes.map(|(id, node)| self.coordinator(*id, node, metrics)).collect()
        })
    }

    /// Base URLs of all coordinators, the leader's first.
    pub(crate) fn urls(&self) -> Vec<String> {
        let mut all = self.coordinators();
        all.sort_by_key(|coordinator| !coordinator.leader);
        all.into_iter().map(|coordinator| coordinator.url).collect()
    }

    /// Has another one lead, if this one does.
    pub(super) async fn give_way(&self) {
        if let Some(heir) = self.look(|metrics| self.heir(metrics)) {
            let deadline = Instant::now() + TRANSFER_WITHIN;
            if self.raft().trigger().transfer_leader(heir).await.is_ok() {
                self.leader_after(&Leader::Own, deadline).await;
            }
        }
    }

    fn look<T>(&self, look: impl FnOnce(&RaftMetrics<TypeConfig>) -> T) -> T {
        let metrics = self.raft().metrics();
        look(&metrics.borrow_watched())
    }

    fn leader_in(&self, metrics: &RaftMetrics<TypeConfig>) -> Leader {
        match metrics.current_leader {
            Some(leader) if leader == self.id() && metrics.state.is_leader() => Leader::Own,
            Some(leader) if leader != self.id() => {
                let node = metrics.membership_config.get_node(&leader);
                self.peers().url(leader, node).map_or(Leader::Unknown, |url| Leader::Other(leader, url))
            }
            _ => Leader::Unknown,
        }
    }

    fn coordinator(&self, id: CoordinatorId, node: &BasicNode, metrics: &RaftMetrics<TypeConfig>) -> Coordinator {
        let is_own = id == self.id();
        let heard = metrics.heartbeat.as_ref().and_then(|all| all.get(&id)).and_then(Option::as_ref);
        let matched = metrics.replication.as_ref().and_then(|all| all.get(&id)).and_then(Option::as_ref);
        let lag = matched.map(|matched| metrics.last_log_index.unwrap_or(0).saturating_sub(matched.index));
        Coordinator {
            id,
            url: self.peers().url(id, Some(node)).unwrap_or_default(),
            leader: metrics.current_leader == Some(id),
            live: is_own || heard.is_some_and(|heard| heard.elapsed() < LIVE_WITHIN),
            lag: if is_own { Some(0) } else { lag },
        }
    }

    /// The follower with a vote that is furthest, where this coordinator leads.
    fn heir(&self, metrics: &RaftMetrics<TypeConfig>) -> Option<CoordinatorId> {
        if self.leader_in(metrics) != Leader::Own {
            return None;
        }
        let matched = metrics.replication.as_ref()?;
        let others = metrics.membership_config.voter_ids().filter(|id| *id != self.id());
        others.filter_map(|id| Some((matched.get(&id).copied()??, id))).max().map(|(_, id)| id)
    }
}
