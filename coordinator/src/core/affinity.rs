//! Which node a sender's parts go to: the parts of one file come apart from each other, often at the same moment, and
//! nothing in them tells that they belong together. Whoever sends them does.
//!
//! Rendezvous hashing, weighted: each node draws a number from the sender and its own id, and the sender's is the one
//! with the highest. So a sender has the same node whoever leads, as long as that has room, then the same next one; and
//! senders are spread over the nodes as their disks are large.

use microtome_proto::NodeId;

/// The number that a node with a disk of `weight` bytes draws for a sender.
pub(super) fn drawn(sender: &str, node: &NodeId, weight: u64) -> f64 {
    // −w / ln(u) for a uniform u: the chance to be the highest is as large as the weight.
    let bits = mix(fnv(sender.as_bytes().iter().chain([&0]).chain(node.as_str().as_bytes())));
    let uniform = ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -(weight.max(1) as f64) / uniform.ln()
}

/// FNV-1a.
fn fnv<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The finish of SplitMix64: all bits hang on all others, which FNV's high ones do not.
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(sender: &str, nodes: &[(u64, u64)]) -> u64 {
        let drawn = |&(nth, weight): &(u64, u64)| drawn(sender, &NodeId::from_counter(nth), weight);
        nodes.iter().max_by(|a, b| drawn(a).total_cmp(&drawn(b))).unwrap().0
    }

    #[test]
    fn senders_are_spread_as_the_disks_are_large() {
        let nodes = [(1, 1 << 40), (2, 1 << 40), (3, 2 << 40)];
        let mut counts = [0; 3];
        for nth in 0..4000 {
            counts[chosen(&format!("lab|10.0.{}.{}", nth / 250, nth % 250), &nodes) as usize - 1] += 1;
        }
        for (count, expected) in counts.iter().zip([1000, 1000, 2000_i32]) {
            assert!((count - expected).abs() < 150, "{counts:?}");
        }
    }

    #[test]
    fn a_sender_keeps_its_node_while_others_come_and_go() {
        let all: Vec<_> = (1..=8).map(|nth| (nth, 1 << 40)).collect();
        for nth in 0..200 {
            let sender = format!("sender {nth}");
            let node = chosen(&sender, &all);
            assert_eq!(node, chosen(&sender, &all));
            let without = |gone: u64| all.iter().copied().filter(|(nth, _)| *nth != gone).collect::<Vec<_>>();
            for gone in (1..=8).filter(|gone| *gone != node) {
                assert_eq!(chosen(&sender, &without(gone)), node);
            }
            assert_ne!(chosen(&sender, &without(node)), node);
        }
    }
}
