//! Acts of operators on nodes: what each means in the books, what it would do, and what it is refused for.

use super::{
    command::Command,
    departure::{Way, departure},
    present::Scene,
    tables::Nodes,
    view::{Typed, ViewError},
};
use microtome_proto::{
    Code, NodeId, Problem,
    node::{Lifecycle, Scheduling},
    operation::{Departure, How, Operated, Operation},
};

/// The command that an act is.
pub fn command(node: &NodeId, operation: Operation, how: How) -> Command {
    let schedule = |scheduling| Command::ScheduleNode { node: node.clone(), scheduling };
    match operation {
        Operation::Cordon => schedule(Scheduling::Cordoned),
        Operation::Uncordon => schedule(Scheduling::Active),
        Operation::Drain => schedule(Scheduling::Draining),
        Operation::Remove => Command::RemoveNode { node: node.clone(), force: how.force },
    }
}

/// What an act would do now, and why it is refused, if it is. None where there is no such node.
///
/// # Errors
/// Where the state cannot be read.
pub fn foresee(
    scene: &Scene<'_>,
    node: &NodeId,
    operation: Operation,
    how: How,
) -> Result<Option<(Operated, Option<Problem>)>, ViewError> {
    let Some(record) = scene.view.get_record::<Nodes>(node)? else { return Ok(None) };
    let is_member = record.lifecycle == Lifecycle::Member;
    let (scheduling, lifecycle) = match command(node, operation, how) {
        Command::ScheduleNode { scheduling, .. } if is_member => (scheduling, record.lifecycle),
        Command::RemoveNode { .. } => (record.scheduling, Lifecycle::Removed),
        _ => (record.scheduling, record.lifecycle),
    };
    let way = match operation {
        Operation::Drain => Some(Way::Drained),
        Operation::Remove => Some(Way::Removed),
        Operation::Cordon | Operation::Uncordon => None,
    };
    let departure = way.filter(|_| is_member).map(|way| departure(scene, node, way)).transpose()?;
    let refusal = match &departure {
        _ if !is_member && operation != Operation::Remove => Some(gone(node)),
        Some(departure) if operation == Operation::Remove && departure.loses() && !how.force => {
            Some(loses(node, &record.name, departure))
        }
        _ => None,
    };
    let operated = Operated {
        node: node.clone(),
        operation,
        dry_run: how.dry_run,
        changes: (scheduling, lifecycle) != (record.scheduling, record.lifecycle),
        name: record.name,
        scheduling,
        lifecycle,
        departure,
        refusal: refusal.as_ref().map(|refusal| refusal.detail.clone()),
    };
    Ok(Some((operated, refusal)))
}

fn gone(node: &NodeId) -> Problem {
    let way_out = "Start it with an empty data folder: it then joins as a new node.";
    let problem = Problem::new(Code::Gone, format!("node {node} was removed from the cluster, for good"));
    Problem { way_out: way_out.to_owned(), ..problem }
}

fn loses(node: &NodeId, name: &str, departure: &Departure) -> Problem {
    let (copies, bytes) = (departure.only_here.copies, departure.only_here.bytes);
    let mut lost = Vec::new();
    if copies > 0 {
        lost.push(format!("copies that exist on no other node ({copies}, {bytes} bytes in all)"));
    }
    if departure.uploads > 0 {
        lost.push(format!("uploads that still arrive there ({})", departure.uploads));
    }
    let detail = format!("with node {node} ({name}) would be lost: {}", lost.join(", and "));
    let way_out = format!(
        "Drain it first ('microtome drain {node} --wait'); to remove it at once and lose them, add --force (?force=true)."
    );
    Problem { way_out, ..Problem::new(Code::Conflict, detail) }
}
