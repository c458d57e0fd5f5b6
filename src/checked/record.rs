//! Record at the end of each block of a checked heap: the block's layout and its state.
//!
//! ```text
//!   block ─►┌────────────────────────┬──────────┬──────┬───────┐◄─ end of the cell, of the slab's
//!           │ the caller's bytes     │ 0xFD …   │ size │ check │   block, or of the mapping
//!           └────────────────────────┴──────────┴──────┴───────┘
//!                                      gap        record
//!
//!   check:  bit 0  live    bits 1–6  log₂ of the alignment    bit 7  sent    bit 8  filled
//!           others: a hash of size, these bits and the block's address
//! ```
//!
//! A freed block of a slab is filled, behind the words of the link. A slab's block that was never
//! allocated has 0 in `check`: see `slabs/slab.rs`.
//!
//! The heap finds the record by its own knowledge of the block, not by the caller's layout. It can
//! therefore distinguish a wrong layout from an overflow.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use crate::atomic::AtomicUsize;
use crate::cell::{WORD, mix};
use crate::misuse::{Misuse, MisuseKind};

/// Size of a record, in bytes.
pub(crate) const OVERHEAD: usize = 2 * WORD;

/// Minimum size of the bytes in front of a record: a freed block has a link and its copy there.
const LEAST: usize = 2 * WORD;

/// Minimum capacity of a block with its record, in bytes.
pub(super) const LEAST_CAPACITY: usize = LEAST + OVERHEAD;

/// Byte that fills the gap between the caller's bytes and the record.
const GAP: u8 = 0xFD;

/// Bit of the word `check`: the block is live.
const LIVE: usize = 1;

/// Position of the alignment's logarithm in the word `check`.
const ALIGN_SHIFT: u32 = 1;

/// Bit of the word `check`: another thread has freed the block, and the owner has not collected it
/// yet.
const SENT: usize = 0x80;

/// Bit of the word `check`: the block is free, lies in a slab, and is filled.
const FILLED: usize = 0x100;

/// Mask of the bits of `check` that are not hash.
const PLAIN_BITS: usize = 0x1FF;

/// Value of each byte of a filled block.
const FILL: u8 = 0xDF;

/// Returns the layout of a block that holds `layout` and a record; `None` if the size overflows.
pub(crate) fn guarded(layout: Layout) -> Option<Layout> {
    let size = layout.size().max(LEAST).checked_add(OVERHEAD)?;
    Layout::from_size_align(size, layout.align()).ok()
}

/// Record as it is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Record {
    /// Size that the caller requested, in bytes.
    pub(super) size: usize,
    /// Alignment and state, with a hash of them, of `size` and of the block's address.
    pub(super) check: usize,
}

impl Record {
    /// Returns the record of the block at address `block`, with these state bits: [`LIVE`],
    /// [`SENT`], [`FILLED`], or 0 for a free block.
    const fn new(block: usize, layout: Layout, state: usize) -> Self {
        let plain = (layout.align().trailing_zeros() as usize) << ALIGN_SHIFT | state;
        let unchecked = Self { size: layout.size(), check: plain };
        Self { check: unchecked.check_of(block), ..unchecked }
    }

    /// Returns the word `check` with the right hash for this record's size and plain bits.
    pub(super) const fn check_of(self, block: usize) -> usize {
        let plain = self.check & PLAIN_BITS;
        mix(block, mix(self.size, plain)) & !PLAIN_BITS | plain
    }

    /// Returns the layout, and `true` if the block is live; `None` if this is not a record of the
    /// block at address `block`.
    pub(super) fn decode(self, block: usize) -> Option<(Layout, bool)> {
        let state = self.check & (LIVE | SENT | FILLED);
        let align =
            1_usize.checked_shl(((self.check & PLAIN_BITS & !state) >> ALIGN_SHIFT) as u32)?;
        let layout = Layout::from_size_align(self.size, align).ok()?;
        (matches!(state, 0 | LIVE | SENT | FILLED) && self == Self::new(block, layout, state))
            .then_some((layout, state == LIVE))
    }

    /// Returns `true` if the block is in a remote free queue. The record is valid.
    pub(super) const fn is_sent(self) -> bool {
        self.check & SENT != 0
    }
}

/// Returns the requested size of a live block, in bytes, by its record. Any thread may call this:
/// the record does not change while the block is live.
///
/// # Safety
///
/// A checked heap gave the live block `capacity` bytes.
pub(crate) unsafe fn size_on_record(block: NonNull<u8>, capacity: usize) -> usize {
    // SAFETY: the block has `capacity` bytes (this function's clause); a checked heap allocates
    // every block with a record.
    unsafe { Guarded::new(block, capacity) }.record().size.min(capacity)
}

/// Block with a record at its end.
///
/// # Invariants
///
/// The `capacity` bytes at `block` are memory of the heap, at least [`LEAST_CAPACITY`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Guarded {
    /// Start of the block.
    pub(super) block: NonNull<u8>,
    /// Number of bytes that the heap gave to the block, record included.
    capacity: usize,
}

impl Guarded {
    /// Returns the block with its record's place.
    ///
    /// # Safety
    ///
    /// The `capacity` bytes at `block` are memory of the heap, and at least [`LEAST_CAPACITY`].
    /// `block` and `capacity` are multiples of a word's alignment.
    pub(super) unsafe fn new(block: NonNull<u8>, capacity: usize) -> Self {
        debug_assert!(capacity >= LEAST_CAPACITY);
        Self { block, capacity }
    }

    /// Returns the address of the block.
    pub(super) fn addr(self) -> usize {
        self.block.addr().get()
    }

    /// Returns the address of the record's first word.
    fn record_addr(self) -> usize {
        self.addr() + self.capacity - OVERHEAD
    }

    /// Returns the address of the record's second word, `check`.
    pub(super) fn check_addr(self) -> usize {
        self.record_addr() + WORD
    }

    /// Returns a pointer to the record.
    fn place(self) -> NonNull<Record> {
        // SAFETY: the block has `capacity` bytes, and ends with the record: the type's invariant.
        unsafe { self.block.byte_add(self.capacity - OVERHEAD) }.cast()
    }

    /// Reads the record. The words may be overwritten, and another thread may
    /// [send](Guarded::send) the block meanwhile.
    pub(super) fn record(self) -> Record {
        let size = self.place().cast::<usize>();
        // SAFETY: the record lies in memory of the heap (the type's invariant), and `size` is its
        // first word; any bits are a `usize`.
        let size = unsafe { size.read() };
        Record { size, check: self.check().load(Ordering::Relaxed) }
    }

    /// Returns the record's second word, which threads exchange.
    fn check(&self) -> &AtomicUsize {
        let words = self.place().cast::<usize>();
        // SAFETY: `check` is the record's second word, aligned memory of the heap (the type's
        // invariant). While several threads may use it, they do so by this reference only.
        unsafe { AtomicUsize::from_ptr(words.add(1).as_ptr()) }
    }

    /// Writes the record.
    ///
    /// # Safety
    ///
    /// No caller and no other thread uses the record's bytes: the block is freed, newly allocated,
    /// or live with a record there.
    pub(super) unsafe fn set(self, layout: Layout, live: bool) {
        let state = if live { LIVE } else { 0 };
        // SAFETY: nothing else uses the record's bytes: this method's clause.
        unsafe { self.place().write(Record::new(self.addr(), layout, state)) };
    }

    /// Fills a freed block of a slab, and writes its record. Its first words are the link's.
    ///
    /// # Safety
    ///
    /// The clause of [`set`](Guarded::set). No caller uses the block, which lies in a slab.
    pub(super) unsafe fn fill(self, layout: Layout) {
        // SAFETY: the bytes between the link and the record, which nothing uses: this method's
        // clause and the type's invariant.
        unsafe {
            self.block.byte_add(LEAST).write_bytes(FILL, self.capacity - OVERHEAD - LEAST);
            self.place().write(Record::new(self.addr(), layout, FILLED));
        }
    }

    /// Returns the report if a free block of a slab was written to since it was
    /// [filled](Guarded::fill). Its first words are verified as a link.
    pub(super) fn written_since_filled(self) -> Option<Misuse> {
        let (record, address) = (self.record(), self.addr());
        let misuse = |at, found, expected| {
            Some(Misuse { kind: MisuseKind::WriteAfterFree, block: address, at, found, expected })
        };
        match record.decode(address) {
            // The block was never allocated.
            None if record.check == 0 => None,
            None => misuse(self.check_addr(), record.check, record.check_of(address)),
            Some(_) if record.check & FILLED != 0 => {
                (LEAST..self.capacity - OVERHEAD).find_map(|offset| {
                    // SAFETY: a byte of the block, which is memory of the heap.
                    let found = unsafe { self.block.byte_add(offset).read() };
                    if found == FILL {
                        None
                    } else {
                        misuse(address + offset, found.into(), FILL.into())
                    }
                })
            }
            Some(_) => None,
        }
    }

    /// Marks a live block of this layout as sent to its owner. Returns `false` if another thread
    /// has freed it at the same time.
    ///
    /// # Safety
    ///
    /// The record is that of a live block. Other threads that free the block at the same time
    /// change the record by this method only.
    pub(super) unsafe fn send(self, layout: Layout) -> bool {
        let (live, sent) =
            (Record::new(self.addr(), layout, LIVE), Record::new(self.addr(), layout, SENT));
        let order = Ordering::Relaxed;
        self.check().compare_exchange(live.check, sent.check, order, order).is_ok()
    }

    /// Compares the record with a live block of this layout, and verifies the gap. Returns `None`
    /// if the record is not valid.
    pub(super) fn compare(self, layout: Layout) -> Option<Result<(), Misuse>> {
        let address = self.addr();
        let misuse =
            |kind, at, found, expected| Err(Misuse { kind, block: address, at, found, expected });
        let (asked, live) = self.record().decode(address)?;
        Some(if !live {
            Err(freed_by_record(self, asked))
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

    /// Returns the report of an overflow over the record of a block of this layout, at the first
    /// wrong byte or word.
    pub(super) fn overwritten(self, layout: Layout) -> Misuse {
        let (expected, found) = (Record::new(self.addr(), layout, LIVE), self.record());
        let (at, found, expected) = match self.first_overflow(layout.size()) {
            Some((at, found)) => (at, usize::from(found), Self::GAP),
            None if found.size != expected.size => (self.record_addr(), found.size, expected.size),
            None => (self.check_addr(), found.check, expected.check),
        };
        Misuse { kind: MisuseKind::Overflow, block: self.addr(), at, found, expected }
    }

    /// Fills the gap and writes the record of a live block.
    ///
    /// # Safety
    ///
    /// The clause of [`set`](Guarded::set). The heap allocated the block for this layout and a
    /// record, and no caller uses the bytes behind `layout.size()`.
    pub(super) unsafe fn begin(self, layout: Layout) {
        let gap = self.gap(layout.size());
        // SAFETY: no caller uses the gap, between the caller's bytes and the record, or the record:
        // this method's clauses.
        unsafe {
            gap.cast::<u8>().write_bytes(GAP, gap.len());
            self.set(layout, true);
        }
    }

    /// Returns the gap between the caller's `size` bytes and the record.
    fn gap(self, size: usize) -> NonNull<[u8]> {
        let room = self.capacity - OVERHEAD;
        let start = size.min(room);
        // SAFETY: `start` is at most the offset of the record in the block.
        NonNull::slice_from_raw_parts(unsafe { self.block.byte_add(start) }, room - start)
    }

    /// Returns the first overwritten byte of the gap behind the caller's `size` bytes: its address
    /// and its value.
    pub(super) fn first_overflow(self, size: usize) -> Option<(usize, u8)> {
        let gap = self.gap(size);
        (0..gap.len()).find_map(|index| {
            // SAFETY: `index` is inside the gap, which is memory of the heap.
            let (byte, found) = unsafe {
                let byte = gap.cast::<u8>().add(index);
                (byte, byte.read())
            };
            (found != GAP).then_some((byte.addr().get(), found))
        })
    }

    /// Expected value of each byte of the gap, as in a report.
    pub(super) const GAP: usize = GAP as usize;
}

/// Returns the report for a block whose record says that it is freed or sent.
pub(super) fn freed_by_record(guarded: Guarded, layout: Layout) -> Misuse {
    Misuse {
        kind: MisuseKind::DoubleFree,
        block: guarded.addr(),
        at: guarded.check_addr(),
        found: guarded.record().check,
        expected: Record::new(guarded.addr(), layout, LIVE).check,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_decodes_for_its_own_block_only() {
        for (size, align, live) in
            [(0, 1, true), (100, 8, false), (isize::MAX as usize / 2, 1 << (usize::BITS - 2), true)]
        {
            let layout = Layout::from_size_align(size, align).unwrap();
            let record = Record::new(0x1000, layout, if live { LIVE } else { 0 });
            assert_eq!(record.decode(0x1000), Some((layout, live)));
            assert_eq!(record.decode(0x1010), None);
            let sent = Record::new(0x1000, layout, SENT);
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
    fn guarded_layout_adds_a_record_or_overflows() {
        let layout = |size| Layout::from_size_align(size, 1).unwrap();
        assert_eq!(guarded(layout(isize::MAX as usize)), None);
        assert_eq!(guarded(layout(0)), Some(layout(LEAST + OVERHEAD)));
        assert_eq!(guarded(layout(100)), Some(layout(100 + OVERHEAD)));
    }
}
