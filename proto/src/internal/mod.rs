//! What nodes and coordinators say to each other, under `/internal/v1`. Only tokens with the role `server` may call it.
//!
//! A node pulls: it registers, sends its inventory once after each start, then heartbeats; each answer carries *orders*,
//! which state what should be true of this node and is not yet. Orders repeat until they are met, so a node may lose,
//! refuse or repeat any of them.
//!
//! | call | request | answer |
//! |---|---|---|
//! | coordinator `POST /internal/v1/nodes` | [`Register`] | [`Registered`] |
//! | coordinator `POST /internal/v1/nodes/{id}/inventory/begin` | – | [`Counting`] |
//! | coordinator `POST /internal/v1/nodes/{id}/inventory` | [`Inventory`] | [`Settled`] |
//! | coordinator `POST /internal/v1/nodes/{id}/heartbeat` | [`Heartbeat`] | [`HeartbeatAnswer`] |
//! | coordinator `POST /internal/v1/nodes/{id}/replicas/{material}` | [`ReplicaReport`] | 204 |
//! | coordinator `POST /internal/v1/nodes/{id}/runs/{run}` | [`RunReport`] | 204 |
//! | coordinator `GET /internal/v1/materials/{id}` | – | [`Located`] |
//! | coordinator `POST /internal/v1/materials/{id}/reader` | [`Reader`] | 204, or why not |
//! | node `POST /internal/v1/uploads` | [`Reserve`] | 204, or 507 `no_space` where nothing of it is there |
//! | node `GET /internal/v1/blobs/{id}/leaves` | – | the leaves of the hash tree, 32 bytes a group |
//! | node `GET /internal/v1/blobs/{id}/data` with `Range` | – | bytes of the file |

mod heartbeat;
mod orders;
mod readers;
mod registration;
mod upload;

pub use heartbeat::{Heartbeat, HeartbeatAnswer, Incoming, Read, RevokedTokens, RunBeat, Uses};
pub use orders::{Order, ReplicaReport, RunReport};
pub use readers::{ASKED_BY, Located, Reader};
pub use registration::{Counting, Held, Inventory, Register, Registered, Settled};
pub use upload::{Belonging, Reserve, SIZE_DEFERRED};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Generation, MaterialId,
        limits::{
            CHECK_TOLD_LEN_MAX, CHECKS_TOLD_MAX, CONTROL_BODY_LEN_MAX, DAMAGED_MAX, INVENTORY_PAGE_MAX, ORDERS_MAX,
            UPLOADS_MAX, USES_MAX,
        },
        node::NodeReport,
        run::Progress,
    };

    #[test]
    fn an_order_to_join_goes_there_and_back() {
        let wanted = Reserve {
            material: "m-a".parse().unwrap(),
            generation: Generation(7),
            size: 1 << 40,
            name: "a.svs".to_owned(),
            media_type: "image/tiff".to_owned(),
            blake3: None,
            concat: Some("final;/v1/uploads/m-b".to_owned()),
            owner: None,
            metadata: None,
            belonging: Belonging::default(),
        };
        assert!(wanted.is_final());
        let order = Order::Join { wanted, parts: vec!["m-b".parse().unwrap()] };
        let json = serde_json::to_value(&order).unwrap();
        assert_eq!(
            (&json["order"], &json["material"], &json["size"]),
            (&"join".into(), &"m-a".into(), &(1_u64 << 40).into())
        );
        assert_eq!(serde_json::from_value::<Order>(json).unwrap(), order);
    }

    /// A body of which a coordinator takes too little would silence the node that sends it.
    #[test]
    fn the_most_that_a_node_tells_is_taken() {
        let (material, generation) = ("m-0123456789".parse::<MaterialId>().unwrap(), Generation(u64::MAX >> 16));
        let check = Some("\"".repeat(CHECK_TOLD_LEN_MAX));
        let incoming = Incoming { material: material.clone(), generation, offset: 1 << 40, check: None };
        let checked = Incoming { check, ..incoming.clone() };
        let read = Read { material: material.clone(), ago_ms: u64::MAX };
        let uses = Uses {
            read: vec![read; USES_MAX],
            open: vec![material.clone(); USES_MAX],
            more_read: true,
            more_open: true,
            known_for_ms: u64::MAX,
        };
        let progress = Progress { value: 0.123_456_789, label: "x".repeat(100) };
        let run = RunBeat { run: "r-0123456789".parse().unwrap(), attempt: generation, progress, bytes_moved: 1 << 40 };
        let beat = Heartbeat {
            instance: "f".repeat(32),
            report: NodeReport::default(),
            incoming: [vec![incoming; UPLOADS_MAX + ORDERS_MAX], vec![checked; CHECKS_TOLD_MAX]].concat(),
            damaged: vec![(material.clone(), generation); DAMAGED_MAX],
            runs: vec![run; ORDERS_MAX],
            uses,
            revoked_version: u64::MAX,
        };
        let held = Held { material: material.clone(), generation, size: 1 << 40, blake3: "f".repeat(64) };
        let page = Inventory {
            after: Some(material.clone()),
            held: vec![held; INVENTORY_PAGE_MAX],
            last: true,
            incoming: vec![(material, generation); UPLOADS_MAX + ORDERS_MAX],
            count: Some(u64::MAX),
        };
        for bytes in [serde_json::to_vec(&beat).unwrap(), serde_json::to_vec(&page).unwrap()] {
            assert!(bytes.len() < CONTROL_BODY_LEN_MAX, "{}", bytes.len());
        }
    }
}
