//! The record at the end of each block: with which layout it was asked for, and whether it is live.
//!
//! ```text
//!   block ─►┌────────────────────────┬──────────┬──────┬───────┐◄─ the end of the cell, of the block of a run, or of the mapping
//!           │ the caller's bytes     │ 0xFD …   │ size │ check │
//!           └────────────────────────┴──────────┴──────┴───────┘
//!                                  alignment, whether it is live, freed, or on its way, and the rest a hash of all that and the address
//! ```
//!
//! It is found by what the heap knows of the block, not by what the caller says, so a wrong layout
//! is told from an overflow.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::{Misuse, MisuseKind};
use crate::atomic::AtomicUsize;
use crate::cell::{WORD, mix};

/// What the record takes.
pub(crate) const OVERHEAD: usize = 2 * WORD;

/// The least that is in front of it: a freed block holds a link there, and a copy of it.
const LEAST: usize = 2 * WORD;

/// The shortest block that holds both.
pub(super) const LEAST_CAPACITY: usize = LEAST + OVERHEAD;

/// What is between the caller's bytes and the record.
const GAP: u8 = 0xFD;

/// Bits of the word `check` that are not hash.
const LIVE: usize = 1;
const ALIGN_SHIFT: u32 = 1;
/// Not live any more, and not freed either: another thread has given the block up, and it is on its
/// way to its heap.
const SENT: usize = 0x80;
const PLAIN_BITS: usize = 0xFF;

/// The layout of a block that holds one of this layout and its record; `None` if no address space
/// is large enough.
pub(crate) fn guarded(layout: Layout) -> Option<Layout> {
    let size = layout.size().max(LEAST).checked_add(OVERHEAD)?;
    Layout::from_size_align(size, layout.align()).ok()
}

/// A record, as it stands in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Record {
    pub(super) size: usize,
    pub(super) check: usize,
}

impl Record {
    /// The record of the block at `block`.
    pub(super) const fn new(block: usize, layout: Layout, live: bool) -> Self {
        Self::with(block, layout, if live { LIVE } else { 0 })
    }

    /// The record of a block that is on its way to its heap.
    pub(super) const fn sent(block: usize, layout: Layout) -> Self {
        Self::with(block, layout, SENT)
    }

    const fn with(block: usize, layout: Layout, state: usize) -> Self {
        let plain = (layout.align().trailing_zeros() as usize) << ALIGN_SHIFT | state;
        let unchecked = Self { size: layout.size(), check: plain };
        Self { check: unchecked.check_of(block), ..unchecked }
    }

    /// What `check` must be with this size and its own bits that are not hash.
    pub(super) const fn check_of(self, block: usize) -> usize {
        let plain = self.check & PLAIN_BITS;
        mix(block, mix(self.size, plain)) & !PLAIN_BITS | plain
    }

    /// The layout, and whether the block is live; `None` if this is no record of the block at
    /// `block`.
    pub(super) fn decode(self, block: usize) -> Option<(Layout, bool)> {
        let state = self.check & (LIVE | SENT);
        let align =
            1_usize.checked_shl(((self.check & PLAIN_BITS & !state) >> ALIGN_SHIFT) as u32)?;
        let layout = Layout::from_size_align(self.size, align).ok()?;
        (state != LIVE | SENT && self == Self::with(block, layout, state))
            .then_some((layout, state == LIVE))
    }

    /// Whether the block of a right record is on its way to its heap.
    pub(super) const fn is_sent(self) -> bool {
        self.check & SENT != 0
    }
}

/// How many bytes the caller of a live block has, by its record.
///
/// # Safety
///
/// The heap gave the block `capacity` bytes. (The record stays as it is as long as the block is
/// live: any thread may read it.)
#[cfg(not(feature = "tiny"))]
pub(crate) unsafe fn size_on_record(block: NonNull<u8>, capacity: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe { Guarded::new(block, capacity) }.record().size.min(capacity)
}

/// A block, with its record at its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guarded {
    pub(super) block: NonNull<u8>,
    /// Bytes that the heap gave to the block.
    capacity: usize,
}

impl Guarded {
    /// # Safety
    ///
    /// The block's `capacity` bytes are memory of the heap, and at least [`LEAST_CAPACITY`];
    /// `block` is aligned for a word.
    pub(super) unsafe fn new(block: NonNull<u8>, capacity: usize) -> Self {
        debug_assert!(capacity >= LEAST_CAPACITY);
        Self { block, capacity }
    }

    pub(super) fn addr(self) -> usize {
        self.block.addr().get()
    }

    /// Address of the record's first word.
    pub(super) fn record_addr(self) -> usize {
        self.addr() + self.capacity - OVERHEAD
    }

    /// Address of its second one.
    pub(super) fn check_addr(self) -> usize {
        self.record_addr() + WORD
    }

    fn place(self) -> NonNull<Record> {
        // SAFETY: inside the block, which holds a record.
        unsafe { self.block.byte_add(self.capacity - OVERHEAD) }.cast()
    }

    pub(super) fn record(self) -> Record {
        // SAFETY: the heap's memory, by `new`; any bits are a record.
        unsafe { self.place().read() }
    }

    /// Writes the record.
    ///
    /// # Safety
    ///
    /// The block is the heap's, or was just taken or examined, and its record means nothing to
    /// anybody else.
    pub(super) unsafe fn set(self, layout: Layout, live: bool) {
        // SAFETY: the caller's promise.
        unsafe { self.place().write(Record::new(self.addr(), layout, live)) };
    }

    /// Notes that a live block of this layout goes to its heap. False: somebody else has given it
    /// up meanwhile.
    ///
    /// # Safety
    ///
    /// The record is that of a live block, unless others free it at the same time, who change it by
    /// this as well.
    pub(super) unsafe fn send(self, layout: Layout) -> bool {
        let (live, sent) =
            (Record::new(self.addr(), layout, true), Record::sent(self.addr(), layout));
        let check = self.place().cast::<usize>();
        // SAFETY: the second word of the record.
        let check = unsafe { check.add(1) };
        // SAFETY: a word of the heap's, aligned.
        let check = unsafe { AtomicUsize::from_ptr(check.as_ptr()) };
        check.compare_exchange(live.check, sent.check, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// What the record says against a live block of this layout. `None`: it is no record.
    pub(super) fn compare(self, layout: Layout) -> Option<Result<(), Misuse>> {
        let address = self.addr();
        let misuse =
            |kind, at, found, expected| Err(Misuse { kind, block: address, at, found, expected });
        let (asked, live) = self.record().decode(address)?;
        Some(if !live {
            Err(Misuse::freed_by_record(self, asked))
        } else if asked.size() != layout.size() {
            misuse(MisuseKind::WrongSize, address, layout.size(), asked.size())
        } else if asked.align() != layout.align() {
            misuse(MisuseKind::WrongAlignment, address, layout.align(), asked.align())
        } else if let Some((at, found)) = self.first_overflow(layout.size()) {
            misuse(MisuseKind::Overflow, at, usize::from(found), Self::GAP)
        } else {
            Ok(())
        })
    }

    /// Where it shows that the record of a block of this layout was overwritten.
    pub(super) fn overwritten(self, layout: Layout) -> Misuse {
        let (expected, found) = (Record::new(self.addr(), layout, true), self.record());
        let (at, found, expected) = match self.first_overflow(layout.size()) {
            Some((at, found)) => (at, usize::from(found), Self::GAP),
            None if found.size != expected.size => (self.record_addr(), found.size, expected.size),
            None => (self.check_addr(), found.check, expected.check),
        };
        Misuse { kind: MisuseKind::Overflow, block: self.addr(), at, found, expected }
    }

    /// Writes the record of a live block, and what is in front of it.
    ///
    /// # Safety
    ///
    /// As for [`set`](Guarded::set); the block was taken for this layout, and what is behind the
    /// caller's bytes is nobody's.
    pub(super) unsafe fn begin(self, layout: Layout) {
        let gap = self.gap(layout.size());
        // SAFETY: behind the caller's bytes, up to the record.
        unsafe { gap.cast::<u8>().write_bytes(GAP, gap.len()) };
        // SAFETY: the caller's promise.
        unsafe { self.set(layout, true) };
    }

    /// Between the caller's `size` bytes and the record.
    fn gap(self, size: usize) -> NonNull<[u8]> {
        let room = self.capacity - OVERHEAD;
        let start = size.min(room);
        // SAFETY: inside the block.
        NonNull::slice_from_raw_parts(unsafe { self.block.byte_add(start) }, room - start)
    }

    /// The first byte behind the caller's `size` bytes that was written to: where, and what it is.
    pub(super) fn first_overflow(self, size: usize) -> Option<(usize, u8)> {
        let gap = self.gap(size);
        (0..gap.len()).find_map(|index| {
            // SAFETY: inside the gap.
            let byte = unsafe { gap.cast::<u8>().add(index) };
            // SAFETY: as above; `begin` wrote it.
            let found = unsafe { byte.read() };
            (found != GAP).then_some((byte.addr().get(), found))
        })
    }

    /// What the bytes of the gap should be.
    pub(super) const GAP: usize = GAP as usize;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_tells_its_layout_and_only_for_its_own_block() {
        for (size, align, live) in
            [(0, 1, true), (100, 8, false), (isize::MAX as usize / 2, 1 << (usize::BITS - 2), true)]
        {
            let layout = Layout::from_size_align(size, align).unwrap();
            let record = Record::new(0x1000, layout, live);
            assert_eq!(record.decode(0x1000), Some((layout, live)));
            assert_eq!(record.decode(0x1010), None);
            let sent = Record::sent(0x1000, layout);
            assert_eq!(
                (sent.decode(0x1000), sent.is_sent(), record.is_sent()),
                (Some((layout, false)), true, false)
            );
            for bit in 0..usize::BITS {
                assert_eq!(
                    Record { size: record.size ^ 1 << bit, ..record }.decode(0x1000),
                    None,
                    "bit {bit} of the size"
                );
                assert_eq!(
                    Record { check: record.check ^ 1 << bit, ..record }.decode(0x1000),
                    None,
                    "bit {bit} of the check"
                );
            }
        }
    }

    #[test]
    fn what_no_address_space_holds_with_a_record_has_no_layout() {
        let layout = |size| Layout::from_size_align(size, 1).unwrap();
        assert_eq!(guarded(layout(isize::MAX as usize)), None);
        assert_eq!(guarded(layout(0)), Some(layout(LEAST + OVERHEAD)));
        assert_eq!(guarded(layout(100)), Some(layout(100 + OVERHEAD)));
    }
}
