//! What an operator's act did, or would do, in words.

use crate::terminal::size;
use microtome_proto::operation::{Amount, Departure, Operated, Operation, Rebalanced};
use std::time::Duration;

/// Some copies.
pub(crate) fn amount(amount: Amount) -> String {
    format!("{} ({})", counted(amount.copies, "copy", "copies"), size(amount.bytes))
}

/// So many of something.
pub(crate) fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// So many seconds.
pub(crate) fn time(seconds: f64) -> String {
    let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    indicatif::HumanDuration(time).to_string()
}

/// What was done to a node, or would be, and what to do next.
pub(crate) fn operated(operated: &Operated) -> String {
    let node = format!("{} ({})", operated.name, operated.node);
    let mut lines = vec![headline(operated, &node)];
    if let Some(departure) = &operated.departure {
        lines.extend(departs(operated, departure));
    }
    if let Some(refusal) = &operated.refusal {
        lines.push(format!("it would be refused: {refusal}"));
    }
    lines.extend(next(operated));
    lines.join("\n")
}

fn headline(operated: &Operated, node: &str) -> String {
    let already = if operated.changes { "" } else { " already" };
    let would = if operated.dry_run { "nothing is changed; " } else { "" };
    let is = match operated.operation {
        _ if operated.dry_run && operated.changes => "would be",
        Operation::Drain => "is being",
        _ => "is",
    };
    let (what, meaning) = match operated.operation {
        Operation::Cordon => ("cordoned", ": nothing new goes there, what is there stays"),
        Operation::Uncordon => ("given work", ""),
        Operation::Drain => ("drained", ": nothing new goes there, what is there is moved away"),
        Operation::Remove => ("removed from the cluster", ", for good"),
    };
    format!("{would}{node} {is} {what}{already}{meaning}")
}

fn departs(operated: &Operated, departure: &Departure) -> Vec<String> {
    let is_removed = operated.operation == Operation::Remove;
    let mut lines = vec![format!("it holds {}", amount(departure.held))];
    if departure.to_copy.copies > 0 {
        let seconds = departure.seconds.map(|seconds| format!(", about {} at the present pace", time(seconds)));
        let (copies, room) = (amount(departure.to_copy), size(departure.room));
        lines.push(format!("to be made elsewhere, where {room} are free: {copies}{}", seconds.unwrap_or_default()));
    }
    if departure.only_here.copies > 0 {
        let fate = if is_removed { "nowhere else, and lost with it" } else { "nowhere else yet" };
        lines.push(format!("{fate}: {}", amount(departure.only_here)));
        if is_removed {
            lines.extend(departure.only_here_materials.iter().map(|material| format!("  {material}")));
        }
    }
    if departure.uploads > 0 {
        let fate = if is_removed { "broken off" } else { "still arriving, and moved once whole" };
        lines.push(format!("{fate}: {}", counted(departure.uploads, "upload", "uploads")));
    }
    if !departure.unplaced.is_empty() {
        let fate = if is_removed { "lacking from then on" } else { "to stay until there is a place" };
        lines.push(format!("{fate}: {}", unplaced(departure)));
    }
    lines
}

/// Copies without a place, and why.
pub(crate) fn unplaced(departure: &Departure) -> String {
    let reasons = departure.unplaced.iter().map(|one| format!("{}, because {}", amount(one.amount), one.why));
    reasons.collect::<Vec<_>>().join("; ")
}

/// What the operator may do next.
fn next(operated: &Operated) -> Option<String> {
    let node = &operated.node;
    match operated.operation {
        _ if operated.dry_run => None,
        Operation::Drain => Some(format!("{}, 'microtome remove {node}' takes it out in the end", goes_on(operated))),
        Operation::Remove => {
            Some("its program ends by itself; with an empty data folder it joins as a new node".to_owned())
        }
        Operation::Cordon | Operation::Uncordon => None,
    }
}

/// How to see and to end what goes on by itself.
pub(crate) fn goes_on(operated: &Operated) -> String {
    match operated.operation {
        Operation::Remove => "'microtome cluster' shows what is copied".to_owned(),
        _ => format!(
            "'microtome nodes' shows what is left, 'microtome uncordon {node}' cancels it",
            node = operated.node
        ),
    }
}

/// What rebalancing moves, or would.
pub(crate) fn rebalanced(told: &Rebalanced) -> String {
    let percent = |fraction: f64| format!("{:.1} %", fraction * 100.0);
    let mut lines = vec![if told.to_move.copies == 0 && told.evens_out {
        format!("the nodes are equally full, to within {} of the mean: nothing is to be moved", percent(told.tolerance))
    } else if told.to_move.copies == 0 {
        "nothing can be moved: what the fuller nodes hold is too large, or has nowhere else to go".to_owned()
    } else {
        let seconds = told.seconds.map(|seconds| format!(", about {} at the present pace", time(seconds)));
        let verb = if told.dry_run { "would be" } else { "are" };
        format!("{} {verb} moved{}", amount(told.to_move), seconds.unwrap_or_default())
    }];
    for node in &told.nodes {
        let (used, then) = (percent(node.used), percent(node.used_then));
        lines.push(format!("  {} ({}): {used} full, then {then}", node.name, node.node));
    }
    if told.to_move.copies > 0 && !told.evens_out {
        lines.push("the nodes will not be equally full: the rest is too large, or has nowhere else to go".to_owned());
    }
    if !told.waits_for.is_empty() {
        let nodes: Vec<_> = told.waits_for.iter().map(|node| node.as_str()).collect();
        lines.push(format!("nothing is moved before {} answer, or are given up", nodes.join(", ")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use microtome_proto::{
        node::{Lifecycle, Scheduling},
        operation::{NoPlace, Unplaced},
    };

    fn told(operation: Operation, dry_run: bool) -> Operated {
        Operated {
            node: "n-2".parse().unwrap(),
            name: "cellar".to_owned(),
            operation,
            dry_run,
            changes: true,
            scheduling: Scheduling::Active,
            lifecycle: Lifecycle::Removed,
            departure: None,
            refusal: None,
        }
    }

    #[test]
    fn an_act_tells_what_happened_and_what_comes_next() {
        let text = operated(&told(Operation::Cordon, false));
        assert_eq!(text, "cellar (n-2) is cordoned: nothing new goes there, what is there stays");
        let again = operated(&Operated { changes: false, ..told(Operation::Uncordon, true) });
        assert_eq!(again, "nothing is changed; cellar (n-2) is given work already");
        assert!(operated(&told(Operation::Drain, false)).contains("'microtome uncordon n-2' cancels it"));
    }

    #[test]
    fn a_departure_tells_what_moves_and_what_is_lost() {
        let some = |copies| Amount { copies, bytes: copies * 1024 };
        let departure = Departure {
            held: some(5),
            to_copy: some(2),
            only_here: some(1),
            only_here_materials: vec!["m-1".parse().unwrap()],
            uploads: 1,
            room: 1 << 30,
            unplaced: vec![Unplaced { why: NoPlace::NoRoom, amount: some(2) }],
            seconds: Some(120.0),
        };
        let drained = operated(&Operated { departure: Some(departure.clone()), ..told(Operation::Drain, true) });
        for part in [
            "would be drained",
            "it holds 5 copies (5.0 KiB)",
            "to be made elsewhere, where 1.0 GiB are free: 2 copies (2.0 KiB), about 2 minutes at the present pace",
            "still arriving, and moved once whole: 1 upload",
            "to stay until there is a place: 2 copies (2.0 KiB), because no other node has room",
        ] {
            assert!(drained.contains(part), "{part}: {drained}");
        }
        let removed = operated(&Operated { departure: Some(departure), ..told(Operation::Remove, false) });
        assert!(removed.contains("nowhere else, and lost with it: 1 copy (1.0 KiB)\n  m-1"), "{removed}");
    }
}
