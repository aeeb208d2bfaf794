//! A page of postings as bytes.
//!
//! For each term: its distance from the term before, how many rows follow,
//! and the rows: the first as it is, the others as distances. All numbers are
//! LEB128. The page's key holds the first term and row.

use super::write::Posting;

/// Bytes of a page, such that it fills a page of the file (4096) beside its key.
pub(super) const PAGE_BYTES: usize = 3_950;

/// Most bytes of a LEB128 number.
const NUMBER: usize = 10;

/// Packs postings, sorted by term and row, from the first on until the page is
/// full. The bytes, and how many postings are in them.
pub(super) fn pack(postings: &[Posting]) -> (Vec<u8>, usize) {
    let mut bytes = Vec::with_capacity(PAGE_BYTES);
    let mut packed = 0;
    let mut before = postings.first().map_or(0, |posting| posting.term);
    while let Some(first) = postings.get(packed).filter(|_| bytes.len() + 4 * NUMBER < PAGE_BYTES) {
        let rest = postings.get(packed..).unwrap_or_default();
        let same = rest.iter().take_while(|posting| posting.term == first.term).count();
        // The rows come first, as their number is not known before they fit.
        let mut rows = Vec::new();
        let mut row = 0;
        let mut taken = 0_usize;
        for posting in rest.iter().take(same) {
            if bytes.len() + rows.len() + 4 * NUMBER > PAGE_BYTES {
                break;
            }
            put(&mut rows, posting.row.wrapping_sub(row));
            row = posting.row;
            taken += 1;
        }
        put(&mut bytes, first.term.wrapping_sub(before));
        put(&mut bytes, u64::try_from(taken).unwrap_or(u64::MAX));
        bytes.append(&mut rows);
        before = first.term;
        packed += taken;
    }
    (bytes, packed)
}

/// Unpacks a page whose first term is `term`. `None` for one that is damaged.
pub(super) fn unpack(mut term: u64, mut bytes: &[u8]) -> Option<Vec<Posting>> {
    let mut postings = Vec::new();
    while !bytes.is_empty() {
        term = term.wrapping_add(take(&mut bytes)?);
        let rows = take(&mut bytes)?;
        // A row takes a byte at least.
        if rows > u64::try_from(bytes.len()).ok()? {
            return None;
        }
        let mut row = 0_u64;
        for _ in 0..rows {
            row = row.wrapping_add(take(&mut bytes)?);
            postings.push(Posting { term, row });
        }
    }
    Some(postings)
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(
            mut numbers in prop::collection::btree_set((0_u64..40, any::<u32>()), 0..4_000),
            spread in prop::sample::select(vec![1_u64, 1 << 20, u64::MAX / 41]),
        ) {
            let mut postings = Vec::new();
            while let Some((term, row)) = numbers.pop_first() {
                postings.push(Posting { term: term * spread, row: u64::from(row) });
            }
            let mut rest = postings.as_slice();
            let mut found = Vec::new();
            while let Some(first) = rest.first() {
                let (bytes, packed) = pack(rest);
                prop_assert!(packed > 0 && bytes.len() <= PAGE_BYTES, "{packed} in {}", bytes.len());
                found.extend(unpack(first.term, &bytes).expect("a page"));
                rest = &rest[packed..];
            }
            prop_assert_eq!(found, postings);
        }

        #[test]
        fn any_bytes_are_a_page_or_are_not(bytes in prop::collection::vec(any::<u8>(), 0..5_000), term: u64) {
            if let Some(postings) = unpack(term, &bytes) {
                prop_assert!(postings.len() <= bytes.len());
            }
        }
    }
}
