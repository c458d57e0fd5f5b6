//! Remote frees of a checked heap: the freeing thread verifies the block, and the owner verifies it
//! again when it collects the block.
//!
//! ```text
//!   another thread  ─► send: map, header ─► record: live and right ─► mark the record as sent ─┐
//!                                                                            remote free queue ▼
//!   the owner       ─► deallocate_sent: still as sent? ─► mark it as live, free it ◄───────────┘
//! ```
//!
//! The freeing thread reads the segment map, the class and the words of a segment, and the block
//! with its header. It writes only the record's word with the state, by an atomic exchange: if two
//! threads free a block at the same time, the heap reports one of them. It does not walk another
//! heap, so it cannot distinguish an address inside a cell from a block whose header was
//! overwritten. A further free of a block that is marked as sent is reported as a double free.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::place::freed_by_header;
use super::record::{Guarded, LEAST_CAPACITY, freed_by_record};
use super::{Checker, Look};
use crate::cell::{CELL_ALIGN, Cell, Form, WORD};
use crate::chunks::broken_header;
use crate::misuse::{Misuse, MisuseKind};
use crate::profile::Profile;
use crate::provider::{Map, Source};
use crate::segments::SegmentMap;

/// Verifies a block of another heap and marks it as sent.
///
/// # Errors
///
/// The misuse. The caller must not queue the block. A live block with an overflow counts as freed.
///
/// # Safety
///
/// The address lies in a segment. If it is a block, the caller gave it up and no longer uses it.
pub(crate) unsafe fn send<F: Form>(
    map: &SegmentMap,
    block: NonNull<u8>,
    layout: Option<Layout>,
) -> Result<(), Misuse> {
    let (guarded, layout) = match examine::<F>(map, block, layout) {
        Ok(examined) => examined,
        Err((misuse, guarded)) => {
            if let (MisuseKind::Overflow, Some(guarded)) = (misuse.kind, guarded) {
                // SAFETY: the caller gave the block up (this function's clause), and the heap does
                // not reuse it: it counts as freed.
                unsafe { guarded.set(layout.unwrap_or(Layout::new::<u8>()), false) };
            }
            return Err(misuse);
        }
    };
    // SAFETY: `examine` verified that the record is that of a live block.
    if unsafe { guarded.send(layout) } { Ok(()) } else { Err(freed_by_record(guarded, layout)) }
}

/// Verifies that a block of another heap is live, and has this layout if it is known.
///
/// # Errors
///
/// The misuse.
pub(crate) fn examine_foreign<F: Form>(
    map: &SegmentMap,
    block: NonNull<u8>,
    layout: Option<Layout>,
) -> Result<(), Misuse> {
    examine::<F>(map, block, layout).map(drop).map_err(|(misuse, _)| misuse)
}

/// Changes the layout on the record of a live block of another heap.
///
/// # Safety
///
/// The caller owns the block. [`examine_foreign`] has verified it, and it has room for `layout` and
/// a record.
pub(crate) unsafe fn relabel<F: Form>(map: &SegmentMap, block: NonNull<u8>, layout: Layout) {
    if let Ok(guarded) = locate::<F>(map, block) {
        // SAFETY: the caller owns the block, which has room for `layout` and a record: this
        // function's clause.
        unsafe { guarded.begin(layout) };
    }
}

/// Returns the live block at an address, and its layout.
///
/// # Errors
///
/// The misuse, with the block if one begins there.
fn examine<F: Form>(
    map: &SegmentMap,
    block: NonNull<u8>,
    layout: Option<Layout>,
) -> Result<(Guarded, Layout), (Misuse, Option<Guarded>)> {
    let guarded = locate::<F>(map, block).map_err(|misuse| (misuse, None))?;
    let asked = guarded.record().decode(guarded.addr()).map(|(asked, _)| asked);
    let layout = layout.or(asked).unwrap_or(Layout::new::<u8>());
    let verdict = guarded.compare(layout).unwrap_or_else(|| Err(guarded.overwritten(layout)));
    verdict.map(|()| (guarded, layout)).map_err(|misuse| (misuse, Some(guarded)))
}

/// Returns the memory of the live or freed block at an address in a segment, by the segment map and
/// the block's header only.
///
/// # Errors
///
/// The misuse, if no block begins there.
fn locate<F: Form>(map: &SegmentMap, block: NonNull<u8>) -> Result<Guarded, Misuse> {
    let address = block.addr().get();
    let never = |around| Misuse::never_allocated(address, around);
    let capacity = if let Some(class) = map.class_at(address) {
        let around = map.block_around(address);
        if around != Some(address) {
            return Err(never(around));
        }
        class.size()
    } else {
        let cells = map.cells_around(address).ok_or_else(|| never(None))?;
        if address % CELL_ALIGN != 0 || !cells.contains(&(address - WORD)) {
            return Err(never(None));
        }
        capacity_of_cell(Cell::<F>::at_payload(block), cells.end)?
    };
    // SAFETY: the map or the header says that the bytes lie in the segment; the capacity of a block
    // of a checked heap is at least `LEAST_CAPACITY`.
    Ok(unsafe { Guarded::new(block, capacity) })
}

/// Returns the payload of a used cell in a segment, in bytes. `end`: end of the segment's cells.
///
/// # Errors
///
/// The misuse, if the header was overwritten or says that the cell is free.
fn capacity_of_cell<F: Form>(cell: Cell<F>, end: usize) -> Result<usize, Misuse> {
    // SAFETY: `locate` verified that the header lies in a segment, which is memory of a heap.
    let word = unsafe { cell.header_in_memory() };
    let (header, sealed) = (word.unsealed(), word.unsealed().sealed(cell.addr()));
    if header.is_fencepost() || sealed != word {
        return Err(broken_header(cell, word.bits(), sealed.bits()));
    }
    // The fencepost of the region follows the last cell.
    let most = end - Cell::<F>::fencepost_offset(end) - cell.addr();
    let (size, least) = (header.size(), LEAST_CAPACITY + WORD);
    if size < least || size > most {
        return Err(broken_header(cell, size, if size < least { least } else { most }));
    }
    if header.is_used() { Ok(size - WORD) } else { Err(freed_by_header(cell, header)) }
}

impl<B: Source, M: Map, P: Profile> Checker<'_, B, M, P> {
    /// Frees a block of this heap that another thread has [sent](send). If the block was written to
    /// since, reports that, returns `false`, and does not reuse the block.
    ///
    /// # Safety
    ///
    /// If the address is a block, no caller uses it.
    pub(crate) unsafe fn deallocate_sent(&mut self, block: NonNull<u8>) -> bool {
        if self.0.has_stopped() {
            return true;
        }
        match self.look().examine_sent(block) {
            Ok((guarded, layout)) => {
                // SAFETY: `examine_sent` verified the block, and no caller uses it: this function's
                // clause.
                unsafe { guarded.set(layout, true) };
                self.deallocate(block, layout);
                true
            }
            Err(misuse) => {
                self.report(&misuse);
                false
            }
        }
    }
}

impl<B: Source, M: Map, P: Profile> Checker<'_, B, M, P> {
    /// Verifies that a live block begins at an address in a list of blocks to be freed: only then
    /// its first word is a link. Reports the misuse and returns `false` if none does. `from`: the
    /// block that leads there; `None`: the list itself.
    pub(crate) fn verify_listed(&mut self, block: NonNull<u8>, from: Option<NonNull<u8>>) -> bool {
        if self.0.has_stopped() {
            return false;
        }
        if self.look().usable_size(block) > 0 {
            return true;
        }
        let layout = self.look().layout_on_record(block);
        let Err(misuse) = self.look().examine(block, layout) else { return true };
        let wild = from.filter(|_| misuse.kind == MisuseKind::NeverAllocated).map(|from| {
            let (from, found) = (from.addr().get(), block.addr().get());
            Misuse { kind: MisuseKind::WriteAfterFree, block: from, at: from, found, expected: 0 }
        });
        self.report(&wild.unwrap_or(misuse));
        false
    }
}

impl<B, M: Map, P: Profile> Look<'_, B, M, P> {
    /// Returns a block that was sent and not written to since, and its layout.
    ///
    /// # Errors
    ///
    /// The misuse, if the block was not sent or was written to.
    fn examine_sent(&self, block: NonNull<u8>) -> Result<(Guarded, Layout), Misuse> {
        let (guarded, _) =
            self.locate(block).map_err(|reason| self.diagnose(block, None, reason))?;
        let (record, address) = (guarded.record(), guarded.addr());
        let written = |at, found, expected| {
            Err(Misuse { kind: MisuseKind::WriteAfterFree, block: address, at, found, expected })
        };
        match record.decode(address) {
            Some((layout, _)) if record.is_sent() => match guarded.first_overflow(layout.size()) {
                Some((at, found)) => written(at, usize::from(found), Guarded::GAP),
                None => Ok((guarded, layout)),
            },
            Some((layout, false)) => Err(freed_by_record(guarded, layout)),
            _ => written(guarded.check_addr(), record.check, record.check_of(address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::MIN_CELL;
    use crate::profile::{Checked, Plain};

    #[test]
    fn a_wrong_size_is_reported_with_the_limit_it_exceeds() {
        let mut memory = [0_u128; 2];
        let cell = Cell::<Checked<Plain>>::at_payload(NonNull::from(&mut memory[1]).cast());
        let end = cell.addr() + 5000 / CELL_ALIGN * CELL_ALIGN;
        let most = end - Cell::<()>::fencepost_offset(end) - cell.addr();
        let capacity = |size| {
            // SAFETY: the header lies in `memory`; the test reads nothing behind it.
            unsafe { cell.write_used(size, true) };
            capacity_of_cell(cell, end).map_err(|misuse| {
                assert_eq!((misuse.kind, misuse.found), (MisuseKind::Header, size));
                misuse.expected
            })
        };
        let least = LEAST_CAPACITY + WORD;
        assert_eq!(capacity(MIN_CELL), Err(least));
        assert_eq!(capacity(least.next_multiple_of(CELL_ALIGN)), Ok(LEAST_CAPACITY + WORD));
        assert_eq!(capacity(most), Ok(most - WORD));
        assert_eq!(capacity(most + CELL_ALIGN), Err(most));
    }
}
