//! A block that another thread gives up: looked at there, and once more when it has come home.
//!
//! ```text
//!   another thread   ─► send: the block, by map and header ─► its record: live, and right ─► the record says: sent ─┐
//!                                                                                              outbox, remote list ▼
//!   its own thread   ─► deallocate_sent: still as it was sent? ─► live again, and freed as any block ◄──────────────┘
//! ```
//!
//! From outside nothing is read but the map, the byte of the page, and the block with its header;
//! and nothing is written but the word of the record that says that the block is live, which is
//! exchanged: if two free a block at the same time from outside, one of them is reported. So
//! nobody's heap is walked, and what takes a walk to tell apart is not: an address inside of a
//! block that is a cell, from a block whose header was overwritten. Where a record says *sent*,
//! whoever frees the block again is told that it is free.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::neighbours::broken_header;
use super::record::{Guarded, LEAST_CAPACITY};
use super::{Misuse, MisuseKind};
use crate::cell::{CELL_ALIGN, Cell, WORD};
use crate::heap::Heap;
use crate::provider::{Break, Map};
use crate::small::Run;
use crate::small::segments::SegmentMap;

/// Looks at a block of another heap, and notes in it that it is on its way.
///
/// # Errors
///
/// What is wrong with it. Then it is not to be sent; if it was live, it counts as freed.
///
/// # Safety
///
/// Nobody uses the block any more, if it is one. The address lies in a segment.
pub(crate) unsafe fn send(
    map: &SegmentMap,
    block: NonNull<u8>,
    layout: Option<Layout>,
) -> Result<(), Misuse> {
    let (guarded, layout) = match examine(map, block, layout) {
        Ok(examined) => examined,
        Err((misuse, guarded)) => {
            if let (MisuseKind::Overflow, Some(guarded)) = (misuse.kind, guarded) {
                // SAFETY: the caller gave the block up, and nobody else gets it: it is reported,
                // and counts as freed.
                unsafe { guarded.set(layout.unwrap_or(Layout::new::<u8>()), false) };
            }
            return Err(misuse);
        }
    };
    // SAFETY: a live block, by its record.
    if unsafe { guarded.send(layout) } {
        Ok(())
    } else {
        Err(Misuse::freed_by_record(guarded, layout))
    }
}

/// Looks at a block of another heap that is to be read or moved: it is live, and has this layout,
/// if that is known.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn examine_foreign(
    map: &SegmentMap,
    block: NonNull<u8>,
    layout: Option<Layout>,
) -> Result<(), Misuse> {
    examine(map, block, layout).map(drop).map_err(|(misuse, _)| misuse)
}

/// Notes that a live block of another heap has another layout from now on.
///
/// # Safety
///
/// The caller has the block, which was examined, and has room for that layout and a record.
pub(crate) unsafe fn relabel(map: &SegmentMap, block: NonNull<u8>, layout: Layout) {
    if let Ok(guarded) = locate(map, block) {
        // SAFETY: the caller's promise: what is behind the caller's bytes is nobody's.
        unsafe { guarded.begin(layout) };
    }
}

/// The block and its layout, or what is wrong with it.
fn examine(
    map: &SegmentMap,
    block: NonNull<u8>,
    layout: Option<Layout>,
) -> Result<(Guarded, Layout), (Misuse, Option<Guarded>)> {
    let guarded = locate(map, block).map_err(|misuse| (misuse, None))?;
    let asked = guarded.record().decode(guarded.addr()).map(|(asked, _)| asked);
    let layout = layout.or(asked).unwrap_or(Layout::new::<u8>());
    let verdict = guarded.compare(layout).unwrap_or_else(|| Err(guarded.overwritten(layout)));
    verdict.map(|()| (guarded, layout)).map_err(|misuse| (misuse, Some(guarded)))
}

/// The memory of a block in a segment, live or not, as far as that can be told from outside.
fn locate(map: &SegmentMap, block: NonNull<u8>) -> Result<Guarded, Misuse> {
    let address = block.addr().get();
    let start = map.start_of(address);
    let is_inside = |address: usize| start.is_some() && map.start_of(address) == start;
    let capacity = if let Some(class) = map.class_at(address) {
        let around = Run::of_block(block, class).block_around(class, address);
        if around != Some(address) {
            return Err(Misuse::never_allocated(address, around));
        }
        class.size()
    } else if !address.is_multiple_of(CELL_ALIGN) || !is_inside(address - WORD) {
        return Err(Misuse::never_allocated(address, None));
    } else {
        capacity_of_cell(Cell::at_payload(block), is_inside)?
    };
    // SAFETY: memory of the segment, by the map or the header.
    Ok(unsafe { Guarded::new(block, capacity) })
}

/// How many bytes a cell in a segment has.
fn capacity_of_cell(cell: Cell, is_inside: impl Fn(usize) -> bool) -> Result<usize, Misuse> {
    // SAFETY: it lies in a segment.
    let word = unsafe { cell.header_of_foreign_in_memory() };
    let (header, sealed) = (word.unsealed(), word.unsealed().sealed(cell.addr()));
    if header.is_fence() || sealed != word {
        return Err(broken_header(cell, word.bits(), sealed.bits()));
    }
    let (capacity, least) = (header.size().saturating_sub(WORD), LEAST_CAPACITY);
    if capacity < least
        || !cell.addr().checked_add(header.size()).is_some_and(|end| is_inside(end - 1))
    {
        return Err(broken_header(cell, header.size(), least + WORD));
    }
    if header.is_used() { Ok(capacity) } else { Err(Misuse::freed_by_header(cell, header)) }
}

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Frees a block of this heap that another thread has [sent](send). False: it is not as it was
    /// sent. Then that is reported, and nobody gets the block again.
    ///
    /// # Safety
    ///
    /// Nobody uses the block, if it is one.
    pub(crate) unsafe fn deallocate_sent(&mut self, block: NonNull<u8>) -> bool {
        if self.stopped.is_some() {
            return true;
        }
        match self.examine_sent(block) {
            Ok((guarded, layout)) => {
                // SAFETY: the block is as it was sent: it was live, with this layout.
                unsafe { guarded.set(layout, true) };
                // SAFETY: the same.
                unsafe { self.guarded_deallocate(block, layout) };
                true
            }
            Err(misuse) => {
                self.report(misuse);
                false
            }
        }
    }

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
            Some((layout, false)) => Err(Misuse::freed_by_record(guarded, layout)),
            _ => written(guarded.check_addr(), record.check, record.check_of(address)),
        }
    }
}
