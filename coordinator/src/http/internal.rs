//! What nodes tell and ask: `/internal/v1/nodes` and `/internal/v1/materials`.

use super::{App, Shared, check, runs::check_object};
use crate::{
    control::{accounts::revoked_since, cluster, unreadable},
    core::{
        command::{Command, Life, Outcome},
        orders::{misses_upload, orders},
        settle::settle,
        tables::{NodeRecord, Nodes},
        uses,
        view::Typed as _,
    },
};
use axum::{extract::State, http::StatusCode};
use microtome_proto::{
    ClusterId, Code, MaterialId, NodeId, Problem, RunId, Timestamp,
    internal::{
        Counting, Heartbeat, HeartbeatAnswer, Inventory, Located, Reader, Register, Registered, ReplicaReport,
        RevokedTokens, RunReport, Settled,
    },
    limits::{INVENTORY_PAGE_MAX, LABELS_MAX, ORDERS_MAX, RUN_OUTPUTS_MAX},
    node::Lifecycle,
    protocol,
};
use microtome_server::extract::{Json, Path};

/// Longest reason that a node may give, in bytes.
const REASON_LEN_MAX: usize = 4 << 10;

/// `POST /internal/v1/nodes`.
pub(super) async fn register(
    State(app): Shared,
    Json(node): Json<Register>,
) -> Result<axum::Json<Registered>, Problem> {
    check_registration(&node)?;
    let spoken = app.group.peers().protocol;
    if !protocol::work_together(node.protocol, spoken) {
        let detail = format!("node {} speaks protocol {}, the coordinators {spoken}", node.name, node.protocol);
        return Err(Problem::new(Code::VersionGap, detail));
    }
    app.group.linearize().await?;
    let own = app.cluster_id()?;
    if let Some(other) = node.cluster.filter(|other| *other != own) {
        return Err(Problem::new(Code::WrongCluster, format!("the node belongs to {other}, this cluster is {own}")));
    }
    let command = Command::RegisterNode {
        instance: node.instance,
        name: node.name,
        url: node.url,
        zone: node.zone,
        labels: node.labels,
        version: node.version,
    };
    let Outcome::Node { node: id } = app.group.propose(command).await?.accepted()? else {
        return Err(Problem::new(Code::Internal, "a command had an outcome that is not its own"));
    };
    let (now_ms, timing) = (app.control.now_ms(), *app.control.timing());
    app.control.hear(|observed| observed.registered(&id, now_ms, Timestamp::now(), &node.report, &timing));
    app.control.wake();
    Ok(axum::Json(Registered {
        node: id,
        cluster: own,
        heartbeat_ms: app.config.heartbeat_ms,
        coordinators: app.group.urls(),
        protocol: spoken,
    }))
}

/// `POST /internal/v1/nodes/{id}/inventory/begin`.
pub(super) async fn begin_inventory(
    State(app): Shared,
    Path(id): Path<NodeId>,
) -> Result<axum::Json<Counting>, Problem> {
    app.group.linearize().await?;
    app.member(&id)?;
    let count = rand::random();
    app.control.hear(|observed| observed.inventory_began(&id, Some(count)));
    Ok(axum::Json(Counting { count }))
}

/// `POST /internal/v1/nodes/{id}/inventory`.
pub(super) async fn inventory(
    State(app): Shared,
    Path(id): Path<NodeId>,
    Json(page): Json<Inventory>,
) -> Result<axum::Json<Settled>, Problem> {
    if page.held.len() > INVENTORY_PAGE_MAX {
        return Err(check::bad(format!("{} copies: a page has at most {INVENTORY_PAGE_MAX}", page.held.len())));
    }
    if !page.held.is_sorted_by(|a, b| a.material < b.material) {
        return Err(check::bad("the copies must be in ascending order of materials"));
    }
    app.group.linearize().await?;
    app.member(&id)?;
    let _settling = app.control.settling().await;
    match page.count {
        Some(count) if app.control.hear(|observed| observed.is_counting(&id, count)) => {}
        Some(_) => return Err(Problem::new(Code::Conflict, format!("{id} has changed since it counted: count again"))),
        None if page.after.is_none() => app.control.hear(|observed| observed.inventory_began(&id, None)),
        None => {}
    }
    let settled = app.group.read(|view| settle(view, &id, &page));
    let (commands, answer) = settled.map_err(|error| unreadable(&error))?;
    for command in commands {
        app.group.propose(command).await?.accepted()?;
    }
    if page.last {
        app.control.hear(|observed| observed.inventory_settled(&id));
        app.control.wake();
    }
    Ok(axum::Json(answer))
}

/// `POST /internal/v1/nodes/{id}/heartbeat`.
pub(super) async fn heartbeat(
    State(app): Shared,
    Path(id): Path<NodeId>,
    Json(beat): Json<Heartbeat>,
) -> Result<axum::Json<HeartbeatAnswer>, Problem> {
    app.group.linearize_by_lease().await?;
    if app.member(&id)?.instance != beat.instance {
        return Err(Problem::new(Code::WrongCluster, format!("{id} is another node's id")));
    }
    let now_ms = app.control.now_ms();
    let timing = *app.control.timing();
    let at = Timestamp::now();
    let due = app.books(|view| uses::due(view, at, &beat.uses))?;
    let reads_due = due.keys().cloned().collect();
    app.control.hear(|observed| {
        observed.beat(&id, now_ms, at, &beat, &timing);
        observed.read(&id, due);
    });
    let (orders, settled) = app.glance(|scene| {
        let orders = orders(scene.view, &id, scene.observed, scene.now_ms, scene.timing)?;
        let settled = scene.observed.seen(&id).is_none_or(|seen| seen.settled);
        let misses = misses_upload(scene.view, &id, scene.observed, Timestamp::now())?;
        Ok::<_, crate::core::view::ViewError>((orders, settled && !misses))
    })?;
    let revoked = match app.auth.is_on() {
        true => app.books(|view| revoked_since(view, beat.revoked_version))?,
        false => None,
    };
    let revoked = revoked.map(|(version, tokens)| RevokedTokens { version, tokens });
    debug_assert!(orders.len() <= ORDERS_MAX);
    Ok(axum::Json(HeartbeatAnswer {
        coordinators: app.group.urls(),
        leader: app.group.id(),
        inventory_wanted: !settled,
        reads_due,
        orders,
        revoked,
    }))
}

/// `POST /internal/v1/nodes/{id}/replicas/{material}`.
pub(super) async fn replica(
    State(app): Shared,
    Path((node, material)): Path<(NodeId, MaterialId)>,
    Json(report): Json<ReplicaReport>,
) -> Result<StatusCode, Problem> {
    app.control.overtake(&node).await;
    let command = match report {
        ReplicaReport::Verified { generation, size, blake3 } => {
            let blake3 = check::blake3(&blake3)?;
            Command::ReplicaVerified { material, node, generation, size, blake3 }
        }
        ReplicaReport::Dropped { generation } => Command::ReplicaGone { material, node, generation },
        ReplicaReport::Failed { generation, reason } => {
            let reason = shortened(reason);
            tracing::warn!(%material, %node, reason, "a node cannot keep a copy");
            let now_ms = app.control.now_ms();
            app.control.hear(|observed| observed.replica_failed(&material, &node, now_ms));
            Command::ReplicaGone { material, node, generation }
        }
        ReplicaReport::Refused { generation, reason } => {
            let reason = shortened(reason);
            tracing::info!(%material, %node, reason, "a node's check refuses an upload");
            Command::Life(Life::Refuse { material, node, generation })
        }
    };
    app.group.propose(command).await?.accepted()?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /internal/v1/nodes/{id}/runs/{run}`.
pub(super) async fn run(
    State(app): Shared,
    Path((node, run)): Path<(NodeId, RunId)>,
    Json(report): Json<RunReport>,
) -> Result<StatusCode, Problem> {
    let command = match report {
        RunReport::Started { attempt } => Command::RunStarted { run, attempt },
        RunReport::Done { attempt, outputs, result, bytes_moved } => {
            check_object("result", &result)?;
            if outputs.len() > RUN_OUTPUTS_MAX {
                return Err(check::bad(format!("{} outputs: at most {RUN_OUTPUTS_MAX} are allowed", outputs.len())));
            }
            outputs.iter().try_for_each(|output| check::name("an output's name", &output.name))?;
            Command::RunDone { run, attempt, outputs, result, bytes_moved }
        }
        RunReport::Failed { attempt, reason } => Command::RunFailed { run, attempt, reason: shortened(reason) },
        RunReport::Refused { attempt, reason } => {
            let reason = shortened(reason);
            tracing::warn!(%run, %node, reason, "a node cannot carry out a run");
            let now_ms = app.control.now_ms();
            app.control.hear(|observed| observed.run_refused(&run, &node, now_ms));
            Command::RequeueRun { run, attempt, reason }
        }
    };
    app.group.propose(command).await?.accepted()?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /internal/v1/materials/{id}`.
pub(super) async fn locate(State(app): Shared, Path(id): Path<MaterialId>) -> Result<axum::Json<Located>, Problem> {
    app.located(&id).await.map(axum::Json)
}

/// `POST /internal/v1/materials/{id}/reader`.
pub(super) async fn reader(
    State(app): Shared,
    Path(id): Path<MaterialId>,
    Json(reader): Json<Reader>,
) -> Result<StatusCode, Problem> {
    app.group.linearize_by_lease().await?;
    app.must_read(&reader, &id).map(|()| StatusCode::NO_CONTENT)
}

impl App {
    fn cluster_id(&self) -> Result<ClusterId, Problem> {
        let found = self.group.read(cluster).map_err(|error| unreadable(&error))?;
        found.ok_or_else(|| Problem::new(Code::NotReady, "the cluster is being founded"))
    }

    fn member(&self, id: &NodeId) -> Result<NodeRecord, Problem> {
        let found = self.group.read(|view| view.get_record::<Nodes>(id)).map_err(|error| unreadable(&error))?;
        let record = found.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no node {id}")))?;
        match record.lifecycle {
            Lifecycle::Member => Ok(record),
            Lifecycle::Removed => Err(Problem::new(Code::Gone, format!("{id} was removed from the cluster"))),
        }
    }
}

fn check_registration(node: &Register) -> Result<(), Problem> {
    let digits = node.instance.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if node.instance.len() != 32 || !digits {
        return Err(check::bad("instance must be 32 hexadecimal digits"));
    }
    check::name("name", &node.name)?;
    check::base_url(&node.url)?;
    check::name("version", &node.version)?;
    node.zone.as_deref().map_or(Ok(()), |zone| check::name("zone", zone))?;
    if node.labels.len() > LABELS_MAX {
        return Err(check::bad(format!("{} labels: at most {LABELS_MAX} are allowed", node.labels.len())));
    }
    for (key, value) in &node.labels {
        check::name("a label's name", key)?;
        if !value.is_empty() {
            check::name("a label's value", value)?;
        }
    }
    Ok(())
}

fn shortened(mut reason: String) -> String {
    let end = (0..=REASON_LEN_MAX.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
    reason.truncate(end.unwrap_or(0));
    reason
}
