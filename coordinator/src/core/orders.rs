//! What a node is told in the answer to its heartbeat: what the books say of it and its heartbeat does not show yet.
//!
//! Level-triggered: an order repeats until it is met or the books change, so none needs to arrive.

use super::{
    joins::Parts,
    keys,
    observed::{Observed, Seen, Timing, UPLOAD_UNTOLD_MS},
    roster::Roster,
    tables::{Arriving, Leaving, MaterialRecord, Materials, Runs, RunsOnNode},
    view::{Typed, View, ViewError},
};
use microtome_proto::{
    Generation, MaterialId, NodeId, Timestamp,
    internal::{Order, Reserve},
    limits::ORDERS_MAX,
    material::ReplicaState,
};
use std::collections::BTreeSet;

/// What the node is to do, the most urgent first: stop, run, copy or put together, drop.
///
/// # Errors
/// Where the state cannot be read.
pub fn orders(
    view: &dyn View,
    node: &NodeId,
    observed: &Observed,
    now_ms: u64,
    timing: &Timing,
) -> Result<Vec<Order>, ViewError> {
    let seen = observed.seen(node);
    let mut orders = Vec::new();
    run_orders(view, node, seen, &mut orders)?;
    for entry in view.scan_records::<Arriving>(&keys::node(node), None) {
        let ((_, material), arriving) = entry?;
        if orders.len() >= ORDERS_MAX {
            break;
        }
        orders.extend(if arriving.copying {
            copy_order(view, material, arriving.generation, observed, now_ms, timing)?
        } else {
            join_order(view, node, material, arriving.generation)?
        });
    }
    drop_orders(view, node, seen, &mut orders)?;
    orders.truncate(ORDERS_MAX);
    Ok(orders)
}

/// Whether the books have an upload at a node for a while already that the node does not tell of: it never heard of it, or has
/// all of it and was not heard. It is to tell all that it holds.
///
/// # Errors
/// Where the state cannot be read.
pub fn misses_upload(view: &dyn View, node: &NodeId, observed: &Observed, at: Timestamp) -> Result<bool, ViewError> {
    let Some(seen) = observed.seen(node) else { return Ok(false) };
    for entry in view.scan_records::<Arriving>(&keys::node(node), None) {
        let ((_, material), arriving) = entry?;
        let is_told = seen.incoming.get(&material).is_some_and(|told| told.generation == arriving.generation);
        if arriving.copying || is_told || observed.moved_lately(&material) {
            continue;
        }
        let record = view.get_record::<Materials>(&material)?;
        // Nothing of what is put together need be there before all its parts are.
        let record = record.filter(|record| record.joining().is_none());
        if record.is_some_and(|record| at.millis_since(record.created_at) >= UPLOAD_UNTOLD_MS) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn run_orders(view: &dyn View, node: &NodeId, seen: Option<&Seen>, orders: &mut Vec<Order>) -> Result<(), ViewError> {
    let mut own = BTreeSet::new();
    let mut wanted = Vec::new();
    for entry in view.scan_records::<RunsOnNode>(&keys::node(node), None) {
        let ((_, run), attempt) = entry?;
        let is_told = seen.and_then(|seen| seen.runs.get(&run)).is_some_and(|told| told.attempt == attempt);
        if !is_told && let Some(record) = view.get_record::<Runs>(&run)? {
            wanted.push(Order::Run {
                run: run.clone(),
                attempt,
                pipeline: record.pipeline,
                inputs: record.inputs,
                parameters: record.parameters,
            });
        }
        own.insert((run, attempt));
    }
    for told in seen.iter().flat_map(|seen| seen.runs.values()) {
        if !own.contains(&(told.run.clone(), told.attempt)) {
            orders.push(Order::Stop { run: told.run.clone(), attempt: told.attempt });
        }
    }
    orders.append(&mut wanted);
    Ok(())
}

/// None while no node that answers has a copy. One that is damaged is a source, too: what is proven of it is as good.
fn copy_order(
    view: &dyn View,
    material: MaterialId,
    generation: Generation,
    observed: &Observed,
    now_ms: u64,
    timing: &Timing,
) -> Result<Option<Order>, ViewError> {
    let Some(record) = view.get_record::<Materials>(&material)? else { return Ok(None) };
    let holders = record.readable().map(|replica| &replica.node);
    let roster = Roster::of(view, observed, now_ms, timing, holders)?;
    let mut sources: Vec<_> = roster.iter().map(|(_, peer)| peer).filter(|peer| peer.is_up()).collect();
    sources.sort_by_key(|peer| peer.load());
    let sources: Vec<_> = sources.into_iter().map(|peer| peer.record.url.clone()).collect();
    let (concat, owner) = (record.concat_header(), record.owner.clone());
    let MaterialRecord { size, name, media_type, blake3: Some(blake3), .. } = record else { return Ok(None) };
    let order = Order::Copy { material, generation, size, blake3, name, media_type, sources, concat, owner };
    Ok(matches!(&order, Order::Copy { sources, .. } if !sources.is_empty()).then_some(order))
}

/// None for an upload that a client sends, and while the node lacks a part.
fn join_order(
    view: &dyn View,
    node: &NodeId,
    material: MaterialId,
    generation: Generation,
) -> Result<Option<Order>, ViewError> {
    let Some(record) = view.get_record::<Materials>(&material)? else { return Ok(None) };
    let Some(ids) = record.joining() else { return Ok(None) };
    if Parts::read(view, ids)?.is_none_or(|parts| parts.missing_at(node).next().is_some()) {
        return Ok(None);
    }
    let (parts, concat, belonging) = (ids.to_vec(), record.concat_header(), record.belonging());
    let MaterialRecord { size, name, media_type, announced: blake3, owner, .. } = record;
    let wanted =
        Reserve { material, generation, size, name, media_type, blake3, concat, owner, metadata: None, belonging };
    Ok(Some(Order::Join { wanted, parts }))
}

/// Copies to be freed, and half copies that the books do not know any more.
fn drop_orders(view: &dyn View, node: &NodeId, seen: Option<&Seen>, orders: &mut Vec<Order>) -> Result<(), ViewError> {
    for (material, arrival) in seen.iter().flat_map(|seen| &seen.incoming) {
        let record = view.get_record::<Materials>(material)?;
        let replica = record.as_ref().and_then(|record| record.replica(node));
        let is_own = replica
            .is_some_and(|replica| replica.generation <= arrival.generation && replica.state != ReplicaState::Dropping);
        if !is_own {
            orders.push(Order::Drop { material: material.clone(), generation: arrival.generation });
        }
    }
    for entry in view.scan_records::<Leaving>(&keys::node(node), None) {
        let ((_, material), generation) = entry?;
        if orders.len() >= ORDERS_MAX {
            break;
        }
        let order = Order::Drop { material, generation };
        if !orders.contains(&order) {
            orders.push(order);
        }
    }
    Ok(())
}
