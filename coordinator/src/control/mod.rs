//! The leader's work: hearing nodes, and keeping things as they should be.
//!
//! It owns what the leader has heard ([`Observed`]), the loop that plans and proposes, finding a node for an upload or for
//! what is put together, and telling nodes that they have orders.
//! It decides nothing: planning is the core's, and what is proposed only counts once it came back through the log.

pub(crate) mod accounts;
mod joining;
mod placing;
mod prompt;
pub(crate) mod protocol;

pub(crate) use joining::NewJoin;
pub(crate) use placing::{Created, NewMaterial};

use crate::{
    Config,
    core::{
        command::{Command, Outcome},
        observed::{Observed, Timing},
        plan::{Agenda, Knobs, plan},
        present::Scene,
        tables::Meta,
        view::{Typed as _, View, ViewError},
    },
    raft::Group,
    store::folder::Folder,
};
use microtome_proto::{ClusterId, Code, NodeId, Problem, Timestamp, cluster::Healing};
use parking_lot::{Mutex, RwLock};
use prompt::Prompts;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Changes are planned for together when they come within this time.
const GATHER: Duration = Duration::from_millis(15);
/// Or within so many times as long as the last round took, up to a tick: writes that follow one another closely leave
/// most of the time to themselves, however large the books are.
const GATHER_ROUNDS: u32 = 4;
/// How long who asks what is being made whole waits for the planner to have seen the latest writes.
const FOUND_WITHIN: Duration = Duration::from_secs(2);

/// What a leader has heard in one term. Memory of an earlier term is never used.
#[derive(Default)]
struct Heard {
    term: u64,
    observed: Observed,
}

/// What the last round of planning found, when it had seen all entries of the log up to one.
#[derive(Debug, Clone, Default)]
struct Found {
    term: u64,
    applied: u64,
    healing: Healing,
}

/// The leader's memory and loop.
pub(crate) struct Control {
    group: Arc<Group>,
    folder: Arc<Folder>,
    cluster_name: String,
    timing: Timing,
    knobs: Knobs,
    tick: Duration,
    begin: Instant,
    heard: RwLock<Heard>,
    agenda: Mutex<Agenda>,
    found: watch::Sender<Found>,
    settling: tokio::sync::RwLock<()>,
    wake: Notify,
    prompts: Arc<Prompts>,
}

impl Control {
    pub(crate) fn new(group: Arc<Group>, folder: Arc<Folder>, config: &Config) -> Self {
        let prompts = Prompts::new(Arc::clone(group.peers()));
        Self {
            group,
            folder,
            cluster_name: config.cluster_name.clone(),
            timing: Timing { unreachable_after_ms: config.unreachable_after_ms, down_after_ms: config.down_after_ms },
            knobs: Knobs {
                copies_max: config.copies_max,
                copies_per_node_max: config.copies_per_node_max,
                ..Knobs::default()
            },
            tick: Duration::from_millis((config.heartbeat_ms / 2).max(1)),
            begin: Instant::now(),
            heard: RwLock::default(),
            agenda: Mutex::default(),
            found: watch::Sender::default(),
            settling: tokio::sync::RwLock::default(),
            wake: Notify::new(),
            prompts,
        }
    }

    /// How long silence may last.
    pub(crate) fn timing(&self) -> &Timing {
        &self.timing
    }

    /// The clock by which silence is counted, in milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Adds to what the leader has heard in its present term.
    pub(crate) fn hear<T>(&self, add: impl FnOnce(&mut Observed) -> T) -> T {
        let mut heard = self.heard.write();
        if let Some(term) = self.group.leads_in_term()
            && term != heard.term
        {
            *heard = Heard { term, observed: Observed::new(self.now_ms()) };
        }
        add(&mut heard.observed)
    }

    /// What the books and the leader's eyes show together.
    pub(crate) fn scene<T>(&self, look: impl FnOnce(Scene<'_>) -> T) -> T {
        if self.group.leads_in_term().is_some_and(|term| term != self.heard.read().term) {
            self.hear(|_| ());
        }
        let heard = self.heard.read();
        let (observed, now_ms, timing) = (&heard.observed, self.now_ms(), &self.timing);
        self.group.read(|view| look(Scene { view, observed, now_ms, timing }))
    }

    /// Held while a page of an inventory is settled: no report overtakes it half way.
    pub(crate) async fn settling(&self) -> impl Drop + '_ {
        self.settling.write().await
    }

    /// A node tells of one of its copies: pages of what it counted before are not settled any more.
    pub(crate) async fn overtake(&self, node: &NodeId) {
        let _settling = self.settling.read().await;
        self.hear(|observed| observed.replica_reported(node));
    }

    /// What was heard may need an answer at once.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Plans and proposes while this coordinator leads, until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut applied = self.group.applied();
        let mut tick = interval(self.tick);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut gather = GATHER;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
                () = self.wake.notified() => sleep(gather).await,
                () = self.group.changed() => {}
                Ok(()) = applied.changed() => sleep(gather).await,
            }
            if self.group.peers().cluster().is_none() {
                self.learn_cluster();
            }
            if self.group.leads_in_term().is_some() {
                let began = Instant::now();
                self.round().await;
                gather = GATHER.max(self.tick.min(began.elapsed() * GATHER_ROUNDS));
            }
        }
    }

    /// Keeps the cluster's id once it is in the books.
    fn learn_cluster(&self) {
        match self.group.read(cluster) {
            Ok(Some(cluster)) => {
                self.group.peers().belong_to(&cluster);
                if let Err(error) = self.folder.belong_to(&cluster) {
                    tracing::warn!(%error, "cannot keep the cluster's id");
                }
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "cannot read the state"),
        }
    }

    async fn round(self: &Arc<Self>) {
        let commands = match self.group.read(cluster) {
            Ok(Some(_)) => self.plan().await,
            Ok(None) => {
                let cluster = ClusterId::from_random(rand::random());
                Ok(vec![Command::Found { cluster, name: self.cluster_name.clone() }])
            }
            Err(error) => Err(error),
        };
        match commands {
            Ok(commands) if commands.is_empty() => {}
            Ok(commands) => self.carry_out(commands).await,
            Err(error) => tracing::error!(%error, "cannot plan: the state cannot be read"),
        }
    }

    /// Writes what was planned. Nodes that have something to do by it hear so at once.
    async fn carry_out(&self, commands: Vec<Command>) {
        let doers: Vec<_> = commands.iter().map(|command| command.doer().cloned()).collect();
        match self.group.propose_all(commands).await {
            Ok(outcomes) => {
                outcomes.iter().for_each(tell_refusal);
                let all = doers.iter().zip(&outcomes);
                let accepted = all.filter(|(_, outcome)| !matches!(outcome, Outcome::Refused { .. }));
                self.prompt(accepted.filter_map(|(doer, _)| doer.as_ref()));
            }
            Err(error) => tracing::debug!(%error, "planned work was not written"),
        }
    }

    async fn plan(self: &Arc<Self>) -> Result<Vec<Command>, ViewError> {
        let (term, applied) = (self.group.leads_in_term().unwrap_or(0), *self.group.applied().borrow());
        let now_ms = self.now_ms();
        self.hear(|observed| observed.tick(now_ms, &self.timing, self.knobs.failure_pause_ms));
        let control = Arc::clone(self);
        let planned = self.study(move |Scene { view, observed, now_ms, timing }| {
            let mut agenda = control.agenda.lock();
            agenda.note(control.group.take_touched());
            let planned = plan(view, &mut agenda, observed, (now_ms, Timestamp::now()), timing, &control.knobs);
            if planned.is_err() {
                // It may have been left half up to date.
                *agenda = Agenda::default();
            } else {
                control.found.send_replace(Found { term, applied, healing: agenda.healing() });
            }
            planned
        });
        planned.await
    }

    /// What is being made whole, with all that is applied by now. Where the planner falls behind, what it saw last.
    ///
    /// # Errors
    /// Before it has seen anything.
    pub(crate) async fn healing(&self) -> Result<Healing, Problem> {
        let (term, applied) = (self.group.leads_in_term(), *self.group.applied().borrow());
        let is_latest = |found: &Found| Some(found.term) == term && found.applied >= applied;
        let mut rounds = self.found.subscribe();
        // Late or not, what there is is told.
        let _ = timeout(FOUND_WITHIN, rounds.wait_for(is_latest)).await;
        let begins = || Problem::new(Code::NotReady, "this coordinator has just begun to lead");
        self.healing_found().ok_or_else(begins)
    }

    /// The same as it was found last, without waiting; none before that.
    pub(crate) fn healing_found(&self) -> Option<Healing> {
        let found = self.found.borrow();
        (Some(found.term) == self.group.leads_in_term()).then(|| found.healing.clone())
    }

    /// Looks at many materials: off the runtime's threads, and without keeping nodes from being heard.
    pub(crate) async fn study<T: Send + 'static>(
        self: &Arc<Self>,
        look: impl FnOnce(Scene<'_>) -> Result<T, ViewError> + Send + 'static,
    ) -> Result<T, ViewError> {
        let control = Arc::clone(self);
        let studied = tokio::task::spawn_blocking(move || {
            let (observed, now_ms, timing) =
                (&control.hear(|observed| observed.clone()), control.now_ms(), &control.timing);
            control.group.read(|view| look(Scene { view, observed, now_ms, timing }))
        });
        studied.await.unwrap_or_else(|error| Err(ViewError::Store(error.to_string())))
    }
}

/// The cluster's id, once it was founded.
pub(crate) fn cluster(view: &dyn View) -> Result<Option<ClusterId>, ViewError> {
    Ok(view.get_record::<Meta>(&())?.and_then(|meta| meta.cluster))
}

/// The state cannot be read: told to the operator in full, to the caller in short.
pub(crate) fn unreadable(error: &ViewError) -> Problem {
    tracing::error!(%error, "cannot read the state");
    Problem::new(Code::Internal, "the coordinator cannot read its state")
}

/// The books had changed since the plan was made: the next round sees them as they are.
fn tell_refusal(outcome: &Outcome) {
    if let Outcome::Refused { code, detail } = outcome {
        tracing::debug!(%code, detail, "planned work was refused");
    }
}
