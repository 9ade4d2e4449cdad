//! What connects a node to its coordinators: it registers, tells what it holds, beats, and hands their orders on.
//!
//! It owns the rhythm and nothing else. Without any coordinator the node goes on serving what it holds; this goes on
//! trying.

mod orders;
mod report;

use crate::{Node, NodeError, tasks::blocking};
use microtome_client::ClientError;
use microtome_proto::{
    Code, Generation, MaterialId, NodeId, Problem,
    internal::{Heartbeat, HeartbeatAnswer, Held, Inventory, Register, Registered},
    limits::{DAMAGED_MAX, INVENTORY_PAGE_MAX},
    protocol::{self, PROTOCOL},
};
use orders::Orders;
use report::Reporter;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior};

/// How long a call is tried before it counts as failed; the loop around it goes on for ever.
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// Pause after a failed registration: first, and at most.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);
/// Bounds on the rhythm that a coordinator may ask for; the first holds also where it has orders.
const HEARTBEAT_RANGE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(60));

/// What a node says of itself when it registers.
pub(crate) struct Introduction {
    pub(crate) name: String,
    pub(crate) zone: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    /// Base URLs of coordinators from the configuration: never forgotten.
    pub(crate) coordinators: Vec<String>,
}

/// The connection to the coordinators.
pub(crate) struct Agent {
    node: Arc<Node>,
    introduction: Introduction,
    reporter: Reporter,
    orders: Orders,
    reached: Option<bool>,
    /// Whether the coordinators could not be written down.
    forgets: bool,
    /// Whether the coordinator has not heard yet all that is here.
    inventory_due: bool,
    /// The protocol of the coordinator that it registered with.
    spoken: u32,
}

impl Agent {
    pub(crate) fn new(node: Arc<Node>, introduction: Introduction) -> Self {
        let reporter = Reporter::new(Arc::clone(&node));
        let orders = Orders::new(Arc::clone(&node));
        Self {
            node,
            introduction,
            reporter,
            orders,
            reached: None,
            forgets: false,
            inventory_due: true,
            spoken: PROTOCOL,
        }
    }

    /// Goes on until the node stops.
    ///
    /// # Errors
    /// [`NodeError::Refused`] where the data folder belongs to another cluster, [`NodeError::Removed`] where the node was
    /// removed from this one, [`NodeError::Folder`] where its id cannot be written down.
    pub(crate) async fn run(mut self) -> Result<(), NodeError> {
        let stop = self.node.stop.clone();
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            failed = self.go_on() => failed,
        }
    }

    async fn go_on(&mut self) -> Result<(), NodeError> {
        loop {
            let registered = self.register().await?;
            self.inventory_due = true;
            self.beat(&registered).await?;
            tokio::time::sleep(PAUSE_FIRST).await;
        }
    }

    async fn register(&mut self) -> Result<Registered, NodeError> {
        let mut pause = PAUSE_FIRST;
        loop {
            let registration = Register {
                instance: self.node.identity.instance(),
                cluster: self.node.identity.cluster(),
                name: self.introduction.name.clone(),
                url: self.node.url.clone(),
                zone: self.introduction.zone.clone(),
                labels: self.introduction.labels.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                protocol: PROTOCOL,
                report: self.reporter.report().await,
            };
            match self.node.cluster.with_deadline(CALL_WITHIN).register(&registration).await {
                Ok(registered) if !protocol::work_together(registered.protocol, PROTOCOL) => {
                    let detail =
                        format!("the coordinator speaks protocol {}, this node {PROTOCOL}", registered.protocol);
                    self.failed(&ClientError::Problem(Problem::new(Code::VersionGap, detail)));
                }
                Ok(registered) => {
                    let (node, answer) = (Arc::clone(&self.node), registered.clone());
                    blocking(move || node.identity.registered(&answer))
                        .await
                        .map_err(|cause| NodeError::Folder { folder: self.node.layout.root().to_owned(), cause })?;
                    self.follow(&registered.coordinators).await;
                    tracing::info!(node = %registered.node, cluster = %registered.cluster, "registered");
                    self.reached = Some(true);
                    self.spoken = registered.protocol;
                    self.node.spoken.store(registered.protocol, Ordering::Relaxed);
                    return Ok(registered);
                }
                Err(ClientError::Problem(problem)) if problem.code == Code::WrongCluster => {
                    return Err(NodeError::Refused(problem));
                }
                Err(error) if error.code() == Some(Code::Gone) => return Err(self.removed()),
                Err(error) => self.failed(&error),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }

    /// Tells all that is here, page by page.
    async fn tell_inventory(&mut self, id: &NodeId) -> Result<(), ClientError> {
        let coordinators = self.node.cluster.with_deadline(CALL_WITHIN);
        let count = match self.spoken {
            protocol::FIRST => None,
            _ => Some(coordinators.begin_inventory(id).await?.count),
        };
        // What is under way is looked up first: an upload that becomes a copy in between is told twice, not never.
        let mut incoming = self.incoming();
        let held = self.held();
        let mut pages = held.chunks(INVENTORY_PAGE_MAX).peekable();
        let mut after = None;
        loop {
            let page = pages.next().unwrap_or_default();
            let last = pages.peek().is_none();
            if last {
                incoming.extend(self.incoming());
            }
            let told = if last { incoming.clone().into_iter().collect() } else { Vec::new() };
            let inventory = Inventory { after: after.take(), held: page.to_vec(), last, incoming: told, count };
            after = page.last().map(|held| held.material.clone());
            let settled = coordinators.inventory(id, &inventory).await?;
            let told: HashMap<_, _> = page.iter().map(|held| (&held.material, held.generation)).collect();
            for material in settled.drop {
                let generation = told.get(&material).or_else(|| incoming.get(&material));
                if let Some(&generation) = generation {
                    tracing::info!(%material, "a copy that is not wanted any more is dropped");
                    self.orders.free(material, generation);
                }
            }
            if last {
                self.inventory_due = false;
                return Ok(());
            }
        }
    }

    /// Whole copies, but for those that are being freed. Which these are is looked up first: no other is begun meanwhile, and
    /// one that ends meanwhile is not here any more.
    fn held(&self) -> Vec<Held> {
        let freeing = self.orders.freeing();
        let mut held = self.node.blobs.held();
        held.retain(|held| !freeing.contains(&held.material));
        held
    }

    fn incoming(&self) -> BTreeMap<MaterialId, Generation> {
        let all = self.node.uploads.progress().into_iter().chain(self.node.clones.progress());
        all.map(|incoming| (incoming.material, incoming.generation)).collect()
    }

    /// Copies of which something is damaged.
    fn damaged(&self) -> Vec<(MaterialId, Generation)> {
        let damaged = self.node.blobs.damaged().into_iter();
        let mut damaged: Vec<_> =
            damaged.map(|blob| (blob.manifest().material.clone(), blob.manifest().generation)).collect();
        damaged.sort_unstable();
        damaged.truncate(DAMAGED_MAX);
        damaged
    }

    /// Beats until the coordinator does not know the node any more.
    async fn beat(&mut self, registered: &Registered) -> Result<(), NodeError> {
        let (shortest, longest) = HEARTBEAT_RANGE;
        let every = Duration::from_millis(registered.heartbeat_ms).clamp(shortest, longest);
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Instant::now();
        loop {
            let node = Arc::clone(&self.node);
            tokio::select! {
                _ = ticks.tick() => {}
                () = node.orders_due.notified() => {
                    tokio::time::sleep_until(last + HEARTBEAT_RANGE.0).await;
                    ticks.reset();
                }
            }
            last = Instant::now();
            match self.tell(&registered.node).await {
                Err(error) if error.code() == Some(Code::NotFound) => {
                    tracing::warn!(%error, "the coordinator does not know this node; registering again");
                    return Ok(());
                }
                Err(error) if error.code() == Some(Code::Gone) => return Err(self.removed()),
                Err(error) => self.failed(&error),
                Ok(()) => {}
            }
        }
    }

    async fn tell(&mut self, id: &NodeId) -> Result<(), ClientError> {
        self.inventory_due |= self.node.differs.swap(false, Ordering::Relaxed);
        let mut told = Ok(());
        if self.inventory_due {
            let node = Arc::clone(&self.node);
            // No upload is admitted meanwhile.
            let mut has_told = node.has_told.write().await;
            told = self.tell_inventory(id).await;
            *has_told = told.is_ok();
        }
        // Whatever keeps it from being heard, the node is there.
        self.beat_once(id).await?;
        match told {
            Ok(()) => {}
            // A copy came or went meanwhile: all is told with the next heartbeat.
            Err(error) if error.code() == Some(Code::Conflict) => tracing::debug!(%error, "counting again"),
            Err(error) => tracing::warn!(%error, "what is here could not be told; it is with the next heartbeat"),
        }
        Ok(())
    }

    async fn beat_once(&mut self, id: &NodeId) -> Result<(), ClientError> {
        let beat = Heartbeat {
            instance: self.node.identity.instance(),
            report: self.reporter.report().await,
            incoming: self.node.uploads.progress().into_iter().chain(self.node.clones.progress()).collect(),
            damaged: self.damaged(),
            runs: self.node.runs.beats(),
            uses: self.node.readers.lock().tell(self.node.blobs.reads()),
            revoked_version: self.node.auth.revoked_version(),
        };
        let answer = self.node.cluster.with_deadline(CALL_WITHIN).heartbeat(id, &beat).await?;
        self.node.readers.lock().heard(&beat.uses, &answer.reads_due);
        self.take(answer).await;
        Ok(())
    }

    async fn take(&mut self, answer: HeartbeatAnswer) {
        if self.reached != Some(true) {
            tracing::info!("a coordinator answers again");
            self.reached = Some(true);
        }
        self.follow(&answer.coordinators).await;
        self.inventory_due |= answer.inventory_wanted;
        if let Some(revoked) = answer.revoked {
            tracing::info!(version = revoked.version, tokens = revoked.tokens.len(), "tokens that were taken back");
            self.node.auth.revoke(revoked.version, revoked.tokens);
        }
        for order in answer.orders {
            self.orders.carry_out(order);
        }
    }

    /// The leader is asked first from now on. Addresses from the configuration stay: what the coordinators call
    /// themselves may not be reachable from here. All are remembered over a start, where the disk takes it: a node with a
    /// full one goes on without.
    async fn follow(&mut self, coordinators: &[String]) {
        let own = &self.introduction.coordinators;
        let all = coordinators.iter().chain(own.iter().filter(|url| !coordinators.contains(url)));
        self.node.cluster.set_servers(all.cloned());
        if !self.node.identity.has_others_than(coordinators) {
            return;
        }
        let (node, told) = (Arc::clone(&self.node), coordinators.to_vec());
        let remembered = blocking(move || node.identity.remember(&told)).await;
        if let (Err(error), false) = (&remembered, self.forgets) {
            tracing::warn!(%error, "the coordinators cannot be written down; it is tried again with each heartbeat");
        }
        self.forgets = remembered.is_err();
    }

    fn removed(&self) -> NodeError {
        NodeError::Removed(self.node.layout.root().to_owned())
    }

    /// One line for each change, not for each try.
    fn failed(&mut self, error: &ClientError) {
        if self.reached == Some(false) {
            tracing::debug!(%error, "still no coordinator");
            return;
        }
        self.reached = Some(false);
        let servers = self.node.cluster.servers().join(", ");
        match error {
            ClientError::Problem(problem) => {
                tracing::warn!("no coordinator at {servers} takes this node: {problem}; trying again");
            }
            _ => tracing::warn!("cannot reach any coordinator at {servers}; trying again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, blobs::tests::publish, start};
    use microtome_proto::token::Settings;
    use tokio_util::sync::CancellationToken;

    /// Its end may be told before a list on which it still stands, and would be undone by that.
    #[tokio::test]
    async fn a_copy_that_is_being_freed_is_not_told_as_held() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            listen: "127.0.0.1:0".to_owned(),
            url: None,
            data_dir: dir.path().to_owned(),
            coordinators: vec!["http://127.0.0.1:1".to_owned()],
            name: Some("test".to_owned()),
            zone: None,
            labels: BTreeMap::new(),
            auth: Settings::default(),
            tls: Default::default(),
            reserve_bytes: Some(0),
            uploads_expire_after: None,
            checks: None,
            runs_max: 1,
            scrub_bytes_per_s: 0,
            scrub_every: Duration::from_secs(86_400),
        };
        let url = "http://127.0.0.1:2".to_owned();
        let (node, _, _lock) = start::open(&config, url, Default::default(), CancellationToken::new()).unwrap();
        let copies = [1, 2].map(|number| publish(&node.blobs, number).manifest().held());
        let introduction = Introduction {
            name: "test".to_owned(),
            zone: None,
            labels: BTreeMap::new(),
            coordinators: config.coordinators.clone(),
        };
        let agent = Agent::new(Arc::clone(&node), introduction);
        assert_eq!(agent.held(), copies);

        // Held up in the middle.
        let still = node.clones.still().await;
        agent.orders.free(copies[0].material.clone(), copies[0].generation);
        assert_eq!(node.blobs.held(), copies, "it is here yet");
        assert_eq!(agent.held(), copies[1..]);
        drop(still);
        node.tasks.close();
        node.tasks.wait().await;
        assert_eq!(node.blobs.held(), copies[1..]);
        assert!(agent.orders.freeing().is_empty());
        assert_eq!(agent.held(), copies[1..]);
    }
}
