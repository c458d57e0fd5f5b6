//! The records of a story: what a kernel and its programs did to memory, one record an event.
//!
//! ```text
//!   record     sequence │ kind │ count, numbers … │ length, text
//!   number     LEB128: seven bits a byte, the low ones first; bit 7 says that more follow
//! ```
//!
//! A record has a sequence number, counted from 0, so that a reader notices each loss. It describes
//! itself: a reader that does not know a kind skips it. What the numbers of each kind mean is
//! written at [`Kind`]. Nothing here allocates, and nothing needs the standard library.

#![no_std]

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// What a record tells. A *space* is the address of the level-4 table of an address space;
        /// a *heap* is any number that tells it from others of its process.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $name = $number,)* }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

kinds! {
    /// The story begins: version of the format, the kernel's space, frames of the machine, free
    /// frames, the frame of zeros, bytes of a page. Text: what is run.
    Begin = 1,
    /// Text that the kernel printed: a claim, a sentence, evidence.
    Text = 2,
    /// A process was made: its number, its parent's, its space. Text: the program's name.
    Process = 3,
    /// A process ended: its number, exit status, number of the signal (0 without one).
    Ended = 4,
    /// The page tables of a space are gone: its space.
    Gone = 5,
    /// The turn of a process begins: its number.
    Turn = 6,
    /// Areas of a space, in the place of all from a place in the list on: the space, the break, the
    /// place, and for each area start, end, permissions (1 read, 2 write, 4 execute), 1 if shared.
    /// Text: the names, a line each.
    Areas = 7,
    /// A break of the kernel moved: where it stood, where it stands. Text: its name.
    Break = 8,
    /// A system call begins: process, number of the call, return addresses from the innermost on.
    Called = 9,
    /// A system call is done: process, result. Text: the call as strace shows it.
    Returned = 10,
    /// A page fault of a process begins: process, address, access (0 read, 1 write, 2 execute),
    /// address of the instruction and return addresses.
    Trapped = 11,
    /// A page fault is served: address, access. Text: the area's name.
    Fault = 12,
    /// A frame was taken: its address, purpose (0 page, 1 page table).
    FrameTaken = 13,
    /// A frame went back: its address, purpose.
    FrameReturned = 14,
    /// The entry of a page changed: space, page, frame, and flags: 1 present, 2 writable, 4 ring 3,
    /// 8 no execute, 16 the frame of a shared object. Flags 0: not mapped.
    Entry = 15,
    /// A page table was entered or taken out: space, an address that it covers, its level (3, 2,
    /// 1), its frame (0: taken out).
    Table = 16,
    /// A call of a heap begins: process (0 the kernel), heap (of the kernel 1: what its arenas are
    /// made of; 2 and up: the arena of CPU 0 and up), what (0 allocate, 1 allocate zeroed, 2 free,
    /// 3 reallocate, 4 reserve, 5 trim), block, size, new size, return addresses. Text: the place
    /// of the call, if it is known.
    HeapCall = 17,
    /// That call is done: process, heap, result.
    HeapDone = 18,
    /// Cells changed: process, heap, index of the first, number of those that go, and for each that
    /// comes address, size, state: see [`cell`].
    Cells = 19,
    /// What a space is, to compare with: space, first address, last address, resident pages, page
    /// tables, free frames. What follows up to `SnapshotEnd` belongs to it.
    Snapshot = 20,
    /// Pages of the snapshot: space, and for each page, frame, flags, owners of the frame.
    SnapshotPages = 21,
    /// Page tables of the snapshot: space, and for each an address that it covers, level, frame.
    SnapshotTables = 22,
    /// The snapshot is complete: space.
    SnapshotEnd = 23,
    /// The story ends, complete.
    End = 24,
    /// A program has room for what it tells, in place of what it had: process, address, bytes.
    Room = 25,
}

impl Kind {
    /// Returns the kind with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| *kind as u8 == number)
    }
}

/// States of cells, as one number: bits 0 to 3 the use, from bit 4 on, for a slab, 12 bits of live
/// blocks, 12 bits of all blocks, and the size of a block.
pub mod cell {
    /// In use.
    pub const USED: u64 = 0;
    /// Free, in a bin.
    pub const FREE: u64 = 1;
    /// Free, at the break.
    pub const TOP: u64 = 2;
    /// A slab of equal blocks.
    pub const SLAB: u64 = 3;
    /// The heap's own.
    pub const INTERNAL: u64 = 4;
    /// Memory of other code.
    pub const HOLE: u64 = 5;

    /// Returns the state of a slab.
    #[must_use]
    pub const fn slab(block_size: usize, live: usize, total: usize) -> u64 {
        SLAB | (live as u64 & 0xfff) << 4 | (total as u64 & 0xfff) << 16 | (block_size as u64) << 28
    }
}

/// Maximum length of an encoded number, in bytes.
const LONGEST: usize = 10;

/// Writes a record, piece by piece.
pub fn encode(
    sequence: u64,
    kind: Kind,
    numbers: &[u64],
    text: &str,
    write: &mut impl FnMut(&[u8]),
) {
    number(sequence, write);
    write(&[kind as u8]);
    number(numbers.len() as u64, write);
    numbers.iter().for_each(|value| number(*value, write));
    number(text.len() as u64, write);
    write(text.as_bytes());
}

fn number(mut value: u64, write: &mut impl FnMut(&[u8])) {
    let mut bytes = [0; LONGEST];
    let mut len = 0;
    loop {
        let more = value > 0x7f;
        bytes[len] = (value & 0x7f) as u8 | u8::from(more) << 7;
        len += 1;
        value >>= 7;
        if !more {
            break;
        }
    }
    write(&bytes[..len]);
}

/// A record as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Records before it.
    pub sequence: u64,
    /// Number of its kind.
    pub kind: u8,
    /// Its text.
    pub text: &'a str,
    numbers: &'a [u8],
    count: u64,
}

impl Record<'_> {
    /// Returns its numbers.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        let mut rest = self.numbers;
        (0..self.count).map_while(move |_| take_number(&mut rest))
    }
}

/// The bytes are no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The stream ends inside of a record.
    Cut {
        /// Records before it.
        after: u64,
    },
    /// A record is missing, or there are bytes that are none.
    Lost {
        /// Records before it.
        after: u64,
    },
}

/// Records in bytes, one after the other. The last item is an error if the bytes do not end with a
/// whole record.
pub struct Records<'a> {
    rest: &'a [u8],
    next: u64,
}

impl<'a> Records<'a> {
    /// Reads these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, next: 0 }
    }

    fn read(&mut self) -> Option<Record<'a>> {
        let sequence = take_number(&mut self.rest)?;
        let kind = *self.rest.split_off_first()?;
        let count = take_number(&mut self.rest)?;
        let numbers = self.rest;
        for _ in 0..count {
            take_number(&mut self.rest)?;
        }
        let numbers = &numbers[..numbers.len() - self.rest.len()];
        let len = usize::try_from(take_number(&mut self.rest)?).ok()?;
        let text = self.rest.split_off(..len)?;
        Some(Record { sequence, kind, text: str::from_utf8(text).unwrap_or("�"), numbers, count })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let after = self.next;
        let record = self.read().ok_or(Malformed::Cut { after });
        let record = record.and_then(|record| {
            if record.sequence == after { Ok(record) } else { Err(Malformed::Lost { after }) }
        });
        if record.is_err() {
            self.rest = &[];
        }
        self.next += 1;
        Some(record)
    }
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..).step_by(7).take(LONGEST) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn bytes(records: &[(Kind, Vec<u64>, String)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (sequence, (kind, numbers, text)) in (0..).zip(records) {
            encode(sequence, *kind, numbers, text, &mut |part| bytes.extend_from_slice(part));
        }
        bytes
    }

    fn records() -> impl Strategy<Value = Vec<(Kind, Vec<u64>, String)>> {
        let kind = prop::sample::select(Kind::ALL);
        let number = prop_oneof![0..300_u64, any::<u64>()];
        let record = (kind, prop::collection::vec(number, 0..9), "[a-zäö\n]{0,9}");
        prop::collection::vec(record, 1..20)
    }

    proptest! {
        #[test]
        fn records_are_read_as_they_were_written(records in records()) {
            let bytes = bytes(&records);
            let read: Vec<_> = Records::new(&bytes).map(|record| {
                let record = record.unwrap();
                let numbers: Vec<u64> = record.numbers().collect();
                (Kind::from_number(record.kind).unwrap(), numbers, String::from(record.text))
            }).collect();
            prop_assert_eq!(read, records);
        }

        #[test]
        fn a_lost_record_is_noticed(records in records(), lost in any::<prop::sample::Index>()) {
            let lost = lost.index(records.len());
            let (before, after) = (bytes(&records[..lost]), bytes(&records[..=lost]));
            let all = bytes(&records);
            let rest = [&all[..before.len()], &all[after.len()..]].concat();
            let last = Records::new(&rest).last();
            let is_last = lost + 1 == records.len();
            prop_assert_eq!(last.is_none_or(|record| record.is_ok()), is_last);
        }

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Records::new(&bytes).count() <= bytes.len());
        }
    }

    #[test]
    fn a_stream_that_ends_inside_of_a_record_is_cut() {
        let bytes = bytes(&[(Kind::Turn, [1].into(), "x".into())]);
        for len in 1..bytes.len() {
            let read: Vec<_> = Records::new(&bytes[..len]).collect();
            assert_eq!(read, [Err(Malformed::Cut { after: 0 })]);
        }
    }

    #[test]
    fn numbers_of_kinds_differ() {
        for (index, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(Kind::from_number(*kind as u8), Some(*kind));
            assert_eq!(Kind::ALL[..index].iter().find(|other| *other == kind), None);
        }
        assert_eq!(Kind::from_number(0), None);
    }
}
