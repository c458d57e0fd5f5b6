//! The slot form of a trace: calls on slots, in fixed-width records.
//!
//! ```text
//!   u32 calls │ u32 slots │ u64 peak of live bytes │ call, call, …
//!
//!   call:  u32 op │ u32 slot │ u64 size
//!   op:    0 malloc   1 calloc   2 realloc of the slot's block   3 free of the slot's block
//! ```
//!
//! Numbers are little-endian. A slot holds the block that its last call returned.

use super::{Act, Error, Op, Trace};

/// Length of the header, and of a call, in bytes.
const UNIT: usize = 16;

/// Alignment of every block: 8 bytes.
const ALIGN_LOG2: u8 = 3;

/// Returns whether `bytes` have slots, and the length that the header announces.
///
/// The recorder's raw records have no slots: the upper half of their first word is 0.
#[must_use]
pub fn is_slots(bytes: &[u8]) -> bool {
    header(bytes).is_some_and(|(calls, slots)| {
        let len = calls.checked_mul(UNIT).and_then(|len| len.checked_add(UNIT));
        slots > 0 && len == Some(bytes.len())
    })
}

/// Reads a trace in the slot form and checks it.
///
/// Requests for 0 bytes ask for 1. A `realloc` of an empty slot is a `malloc`, a `free` of one does
/// nothing, as in C. A call that overwrites a live block frees it first. Blocks that live to the
/// end are freed there.
///
/// # Errors
///
/// The bytes end too early, or a call is one that no program can have made.
pub fn read(bytes: &[u8]) -> Result<Trace, Error> {
    let (calls, slots) = header(bytes).ok_or(Error::Truncated)?;
    if !is_slots(bytes) {
        return Err(Error::Truncated);
    }
    let mut ops = Vec::with_capacity(calls);
    let mut is_full = vec![false; slots];
    for (index, call) in bytes[UNIT..].as_chunks::<UNIT>().0.iter().enumerate() {
        let invalid = |what| Error::Invalid { index, what };
        let (act, slot, size) = (number(call, 0), number(call, 4), word(call, 8));
        let size = u32::try_from(size).map_err(|_| invalid("a block of 4 GiB or more"))?;
        let full = is_full.get_mut(slot as usize).ok_or(invalid("a slot beyond the table"))?;
        let was_full = std::mem::replace(full, act != 3);
        let free = Op { act: Act::Free, align_log2: ALIGN_LOG2, slot, size: 0 };
        let act = match (act, was_full) {
            (0, _) | (2, false) => Act::Allocate,
            (1, _) => Act::AllocateZeroed,
            (2, true) => Act::Reallocate,
            (3, true) => Act::Free,
            (3, false) => continue,
            _ => return Err(invalid("an unknown op")),
        };
        if was_full && matches!(act, Act::Allocate | Act::AllocateZeroed) {
            ops.push(free);
        }
        ops.push(if act == Act::Free { free } else { Op { act, size: size.max(1), ..free } });
    }
    let left = (0..).zip(is_full).filter(|&(_, full)| full);
    ops.extend(left.map(|(slot, _)| Op { act: Act::Free, align_log2: ALIGN_LOG2, slot, size: 0 }));
    Trace::new(ops, slots)
}

/// Returns the number of calls and of slots.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let header = bytes.first_chunk::<UNIT>()?;
    Some((number(header, 0) as usize, number(header, 4) as usize))
}

/// Returns the 32-bit number at an offset.
fn number(unit: &[u8; UNIT], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|byte| unit[at + byte]))
}

/// Returns the 64-bit number at an offset.
fn word(unit: &[u8; UNIT], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|byte| unit[at + byte]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The slot form of some calls on `slots` slots.
    fn bytes(slots: u32, calls: &[(u32, u32, u64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((calls.len() as u32).to_le_bytes());
        bytes.extend(slots.to_le_bytes());
        bytes.extend(0_u64.to_le_bytes());
        for &(op, slot, size) in calls {
            bytes.extend(op.to_le_bytes());
            bytes.extend(slot.to_le_bytes());
            bytes.extend(size.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn calls_become_operations() {
        let trace =
            read(&bytes(2, &[(0, 0, 24), (1, 1, 0), (2, 0, 100), (3, 1, 0), (3, 0, 0)])).unwrap();
        let ops: Vec<_> = trace.ops().iter().map(|op| (op.act, op.slot, op.size)).collect();
        let expected = [
            (Act::Allocate, 0, 24),
            (Act::AllocateZeroed, 1, 1),
            (Act::Reallocate, 0, 100),
            (Act::Free, 1, 0),
            (Act::Free, 0, 0),
        ];
        assert_eq!(ops, expected);
        assert!(trace.ops().iter().all(|op| op.align_log2 == 3));
        assert_eq!((trace.slots(), trace.peak_live()), (2, 101));
    }

    #[test]
    fn null_is_reallocated_and_freed_as_in_c() {
        let trace = read(&bytes(1, &[(3, 0, 0), (2, 0, 8), (3, 0, 0), (3, 0, 0)])).unwrap();
        let acts: Vec<_> = trace.ops().iter().map(|op| op.act).collect();
        assert_eq!(acts, [Act::Allocate, Act::Free]);
    }

    #[test]
    fn overwritten_blocks_and_the_last_ones_are_freed() {
        let trace = read(&bytes(1, &[(0, 0, 8), (0, 0, 16)])).unwrap();
        let acts: Vec<_> = trace.ops().iter().map(|op| op.act).collect();
        assert_eq!(acts, [Act::Allocate, Act::Free, Act::Allocate, Act::Free]);
    }

    #[test]
    fn damaged_traces_are_refused() {
        let good = bytes(1, &[(0, 0, 8)]);
        assert!(is_slots(&good) && !is_slots(&good[..31]) && !is_slots(&[0; 15]));
        assert!(matches!(read(&good[..31]), Err(Error::Truncated)));
        for call in [(4, 0, 8), (0, 1, 8), (0, 0, 1 << 32)] {
            assert!(matches!(read(&bytes(1, &[call])), Err(Error::Invalid { index: 0, .. })));
        }
    }

    #[test]
    fn raw_records_are_not_in_the_slot_form() {
        for (act, records) in [(0, 1), (1, 1), (2, 1), (3, 2), (64 << 8, 513)] {
            let words = [act, 24, 0x1000, 0_u64];
            let record: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            assert!(!is_slots(&record.repeat(records)), "{act}");
        }
    }
}
