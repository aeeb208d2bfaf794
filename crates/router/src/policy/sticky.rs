//! One route for one conversation: rendezvous hashing.
//!
//! Each route gets a number made of the conversation and the route, and the
//! highest wins (Thaler and Ravishankar 1998). Nothing is remembered, so it
//! holds over restarts and on every node, and when a route goes only the
//! conversations that were on it move, each to the route that was its second.
//!
//! The hash is written out here and pinned by a test: were it to change, a
//! release would move every conversation off its prompt cache.
//!
//! Invariants: with the same healthy routes a conversation has the same order;
//! taking a route away leaves the order of the others as it was; conversations
//! are spread evenly.

use super::Candidate;

pub(super) fn order(healthy: &mut [Candidate], conversation: Option<&str>) {
    let Some(conversation) = conversation else { return };
    // The highest first. They come in the configured order, which settles ties.
    healthy.sort_by_key(|candidate| std::cmp::Reverse(affinity(conversation, candidate)));
}

/// How strongly a conversation is bound to a route.
pub(super) fn affinity(conversation: &str, candidate: &Candidate) -> u64 {
    mix(fnv1a(FNV_OFFSET, conversation.as_bytes()) ^ candidate.fingerprint)
}

/// A number for a route: the same in every process and release.
pub(crate) fn fingerprint(provider: &str, key: &str, model: &str) -> u64 {
    // No part holds a byte of 0xff, so no two routes are the same text.
    let hash = [provider, key, model]
        .iter()
        .fold(FNV_OFFSET, |hash, part| fnv1a(fnv1a(hash, part.as_bytes()), &[0xff]));
    mix(hash)
}

/// FNV-1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>.
fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// The finalizer of SplitMix64: every bit of the input reaches every bit of
/// the result, which FNV alone does not do for the last bytes.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
