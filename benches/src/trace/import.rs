//! From the recorder's raw records to a trace.

use std::collections::HashMap;

use super::{Act, Error, Op, Trace, format, slots};

/// One record of `benches/recorder`, which says what its words are.
type Record = [u64; 4];

/// Makes a trace of at most about `limit` operations from raw records, or of all calls of a file in
/// the slot form.
///
/// If there are more, whole blocks are left out, all but every n-th in the order of allocation, so
/// that what remains is as the program was from beginning to end: the same sizes, lifetimes and
/// phases, with a heap that is smaller. Blocks that live to the end are freed there. Requests for 0
/// bytes ask for 1.
///
/// # Errors
///
/// The records are not whole, or not those of a program.
pub fn import(raw: &[u8], limit: usize) -> Result<Trace, Error> {
    if slots::is_slots(raw) {
        return slots::read(raw);
    }
    let (records, rest) = raw.as_chunks::<{ size_of::<Record>() }>();
    if !rest.is_empty() {
        return Err(Error::Truncated);
    }
    let mut importer =
        Importer { keep_every: records.len().div_ceil(limit.max(1)).max(1), ..Importer::default() };
    for (index, record) in records.iter().enumerate() {
        let is_known = importer.record(std::array::from_fn(|word| {
            u64::from_ne_bytes(std::array::from_fn(|byte| record[word * 8 + byte]))
        }));
        if !is_known {
            return Err(Error::Invalid { index, what: "no act of the recorder" });
        }
    }
    importer.finish()
}

#[derive(Default)]
struct Importer {
    keep_every: usize,
    /// Blocks seen so far, kept or not.
    seen: usize,
    /// Live blocks by address: the slot and the alignment of each that is kept.
    live: HashMap<u64, Option<(u32, u8)>>,
    free_slots: Vec<u32>,
    slots: u32,
    ops: Vec<Op>,
}

impl Importer {
    /// Returns `false` if the recorder knows no such act.
    fn record(&mut self, [act, size, block, old]: Record) -> bool {
        let (act, align) = (act & 0xFF, act >> 8);
        match act {
            2 => self.free(block),
            3 if old == 0 => self.allocate(Act::Allocate, 0, size, block),
            3 if block == 0 && size == 0 => self.free(old),
            3 => self.reallocate(old, block, size),
            0 | 1 => self.allocate(
                if act == 1 { Act::AllocateZeroed } else { Act::Allocate },
                align,
                size,
                block,
            ),
            // Where the break is: no call.
            4 => {}
            _ => return false,
        }
        true
    }

    fn allocate(&mut self, act: Act, align: u64, size: u64, block: u64) {
        if block == 0 {
            return;
        }
        self.seen += 1;
        if !self.seen.is_multiple_of(self.keep_every) {
            self.live.insert(block, None);
            return;
        }
        // 16 is what a plain `malloc` gives.
        let align_log2 = (align.max(16).ilog2() as u8).min(format::MAX_ALIGN_LOG2);
        let slot = self.free_slots.pop().unwrap_or(self.slots);
        self.slots = self.slots.max(slot + 1);
        self.live.insert(block, Some((slot, align_log2)));
        self.ops.push(Op { act, align_log2, slot, size: bytes(size) });
    }

    fn free(&mut self, block: u64) {
        if let Some(Some((slot, align_log2))) = self.live.remove(&block) {
            self.free_slots.push(slot);
            self.ops.push(Op { act: Act::Free, align_log2, slot, size: 0 });
        }
    }

    fn reallocate(&mut self, old: u64, block: u64, size: u64) {
        if block == 0 {
            return;
        }
        let Some(kept) = self.live.remove(&old) else {
            return self.allocate(Act::Allocate, 0, size, block);
        };
        self.live.insert(block, kept);
        if let Some((slot, align_log2)) = kept {
            self.ops.push(Op { act: Act::Reallocate, align_log2, slot, size: bytes(size) });
        }
    }

    fn finish(mut self) -> Result<Trace, Error> {
        let mut left: Vec<(u32, u8)> = self.live.values().flatten().copied().collect();
        left.sort_unstable();
        self.ops.extend(left.into_iter().map(|(slot, align_log2)| Op {
            act: Act::Free,
            align_log2,
            slot,
            size: 0,
        }));
        Trace::new(self.ops, self.slots as usize)
    }
}

/// A size as a trace has it.
fn bytes(size: u64) -> u32 {
    u32::try_from(size.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(records: &[Record]) -> Vec<u8> {
        records.iter().flatten().flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn records_become_operations() {
        let trace = import(
            &raw(&[
                [0, 24, 0x1000, 0],
                [1, 0, 0x2000, 0],
                [3, 100, 0x3000, 0x1000],
                [4, 0x9000, 4096, 1],
                [2, 0, 0x9999, 0],
                [64 << 8, 64, 0x4000, 0],
                [2, 0, 0x3000, 0],
                [3, 8, 0x5000, 0],
            ]),
            1000,
        )
        .unwrap();
        let acts: Vec<_> =
            trace.ops().iter().map(|op| (op.act, op.slot, op.size, op.align_log2)).collect();
        assert_eq!(
            acts,
            [
                (Act::Allocate, 0, 24, 4),
                (Act::AllocateZeroed, 1, 1, 4),
                (Act::Reallocate, 0, 100, 4),
                (Act::Allocate, 2, 64, 6),
                (Act::Free, 0, 0, 4),
                (Act::Allocate, 0, 8, 4),
                (Act::Free, 0, 0, 4),
                (Act::Free, 1, 0, 4),
                (Act::Free, 2, 0, 6),
            ]
        );
    }

    #[test]
    fn thinning_keeps_whole_blocks() {
        let records: Vec<Record> = (0..1000)
            .flat_map(|i| [[0, i + 1, 0x1000 + i * 16, 0], [2, 0, 0x1000 + i * 16, 0]])
            .collect();
        let trace = import(&raw(&records), 200).unwrap();
        assert_eq!(trace.ops().len(), 200);
    }

    #[test]
    fn half_a_record_is_refused() {
        assert!(matches!(import(&[0; 33], 10), Err(Error::Truncated)));
    }

    #[test]
    fn other_bytes_are_no_records() {
        let records = [[0, 24, 0x1000, 0], [5, 24, 0x2000, 0]];
        assert!(matches!(import(&raw(&records), 10), Err(Error::Invalid { index: 1, .. })));
    }
}
