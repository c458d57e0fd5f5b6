//! Operations of a checked heap: each finds the caller's mistake and reports it before it does
//! harm.
//!
//! ```text
//!   allocate ─► the heap allocates a longer block ─► a record behind the payload   record.rs
//!   deallocate, reallocate, usable_size        (…_by_ptr: the record has the layout)
//!        └─► locate the block ─► its record ─► header and neighbours ─► the unchecked heap
//!            place.rs            record.rs     ../chunks/               remote frees: sent.rs
//!                 └──────────────────┴──────────────┴──► Misuse ─► the hook decides      misuse.rs
//! ```
//!
//! Rules of this folder: it reads a word only after it has verified that the word is the heap's,
//! and follows a link only after it has verified the link. It examines more than a few cells only
//! after it has found a misuse.

mod place;
mod record;
mod sent;

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::cell::{Cell, Header, WORD, copy_down};
use crate::check::{Corruption, Rule};
use crate::checks::{Checks, MappedBlocks};
use crate::chunks::Growth;
use crate::layer::Layer;
use crate::misuse::{Misuse, MisuseKind};
use crate::profile::Profile;
use crate::provider::{Map, Source};
use crate::unchecked::Unchecked;

pub(crate) use record::guarded as guarded_layout;
pub(crate) use record::size_on_record;
pub(crate) use sent::{deallocate_sent, examine_foreign, relabel, send};

use place::{Place, diagnose, examine, locate};
use record::Guarded;

/// Implements [`Heap::allocate`](crate::Heap::allocate), and `try_allocate` if growth is forbidden.
pub(crate) fn allocate<B: Source, M: Map, P: Profile>(
    heap: &mut Unchecked<B, M, P>,
    layout: Layout,
    growth: Growth,
) -> Option<NonNull<u8>> {
    if !heap.large.chunks.has_sound_top() {
        return None;
    }
    let block = heap.allocate(record::guarded(layout)?, growth);
    if let Some(block) = block {
        verify_fill(heap, block);
    }
    // SAFETY: the heap allocated the block for `layout` and its record; no caller has it yet.
    unsafe { begin_block(heap, block, layout) }
}

/// Reports a write to a block of a slab while it was free. No caller has written to it since.
fn verify_fill<B: Source, M: Map, P: Profile>(heap: &mut Unchecked<B, M, P>, block: NonNull<u8>) {
    if let Ok((guarded, Place::Slab)) = locate(heap, block) {
        if let Some(misuse) = guarded.written_since_filled() {
            report(heap, &misuse);
        }
    }
}

/// Implements [`Heap::allocate_zeroed`](crate::Heap::allocate_zeroed).
pub(crate) fn allocate_zeroed<B: Source, M: Map, P: Profile>(
    heap: &mut Unchecked<B, M, P>,
    layout: Layout,
) -> Option<NonNull<u8>> {
    if !heap.large.chunks.has_sound_top() {
        return None;
    }
    let longer = record::guarded(layout)?;
    if Unchecked::<B, M, P>::class_of(longer).is_some() {
        // A block of a slab is verified before it is written to.
        let block = allocate(heap, layout, Growth::Allowed)?;
        // SAFETY: a new block of that size.
        unsafe { block.write_bytes(0, layout.size()) };
        return Some(block);
    }
    let block = heap.allocate_zeroed(longer);
    // SAFETY: the heap allocated the block for `layout` and its record; no caller has it yet.
    unsafe { begin_block(heap, block, layout) }
}

/// Writes the record of an allocated block and returns the block. Returns `None` if `taken` is
/// `None`, or if the block's header was overwritten while it was free: no caller then gets it.
///
/// # Safety
///
/// The heap allocated the block for `layout` and its record, and no caller uses the bytes behind
/// `layout.size()`.
unsafe fn begin_block<B: Source, M: Map, P: Profile>(
    heap: &mut Unchecked<B, M, P>,
    taken: Option<NonNull<u8>>,
    layout: Layout,
) -> Option<NonNull<u8>> {
    let place = taken.map(|block| (block, locate(heap, block)));
    if let Some((_, Ok((guarded, _)))) = place {
        // SAFETY: the block holds `layout` and its record, and no caller uses the bytes behind it:
        // this function's clause.
        unsafe { guarded.begin(layout) };
    }
    report_broken_links(heap);
    match place? {
        (block, Ok(_)) => Some(block),
        (block, Err(reason)) => {
            let misuse = diagnose(heap, block, Some(layout), reason);
            report(heap, &misuse);
            None
        }
    }
}

/// Implements [`Heap::deallocate`](crate::Heap::deallocate) for any address.
pub(crate) fn deallocate<B: Source, M: Map, P: Profile>(
    heap: &mut Unchecked<B, M, P>,
    block: NonNull<u8>,
    layout: Layout,
) {
    let Some((guarded, longer)) = admit(heap, block, layout) else { return };
    let is_in_slab = heap.layer.class_at(block.addr().get()).is_some();
    // SAFETY: `admit` verified that the block is live and has this layout, so the heap allocated it
    // with the longer one.
    unsafe {
        if is_in_slab {
            guarded.fill(layout);
        } else {
            guarded.set(layout, false);
        }
        heap.deallocate(block, longer);
    }
    report_broken_links(heap);
}

/// Implements [`Heap::deallocate_by_ptr`](crate::Heap::deallocate_by_ptr) for any address.
pub(crate) fn deallocate_by_ptr<B: Source, M: Map, P: Profile>(
    heap: &mut Unchecked<B, M, P>,
    block: NonNull<u8>,
) {
    let layout = layout_on_record(heap, block);
    deallocate(heap, block, layout);
}

/// Implements [`Heap::reallocate`](crate::Heap::reallocate) for any address.
pub(crate) fn reallocate<B: Source, M: Map, P: Profile>(
    heap: &mut Unchecked<B, M, P>,
    block: NonNull<u8>,
    layout: Layout,
    new_size: usize,
) -> Option<NonNull<u8>> {
    let new = Layout::from_size_align(new_size, layout.align()).ok()?;
    let new_longer = record::guarded(new)?;
    if !heap.large.chunks.has_sound_top() {
        return None;
    }
    let (guarded, longer) = admit(heap, block, layout)?;
    // If the block moves, its old place keeps the record of a freed block.
    // SAFETY: `admit` verified that the block is live and has this layout, so the heap allocated it
    // with the longer one.
    let moved = unsafe {
        guarded.set(layout, false);
        heap.reallocate(block, longer, new_longer.size())
    };
    if moved.is_none() && !heap.has_stopped() {
        // SAFETY: the heap did not resize the block, so it still has this layout and its record.
        unsafe { guarded.set(layout, true) };
    }
    // SAFETY: the heap resized the block for the new layout and its record.
    unsafe { begin_block(heap, moved, new) }
}

/// Implements [`Heap::reallocate_by_ptr`](crate::Heap::reallocate_by_ptr) for any address. A block
/// whose alignment changes moves, because the old alignment determined its address and its record.
pub(crate) fn reallocate_by_ptr<B: Source, M: Map, P: Profile>(
    heap: &mut Unchecked<B, M, P>,
    block: NonNull<u8>,
    new: Layout,
) -> Option<NonNull<u8>> {
    let old = layout_on_record(heap, block);
    if old.align() == new.align() {
        return reallocate(heap, block, old, new.size());
    }
    admit(heap, block, old)?;
    let moved = allocate(heap, new, Growth::Allowed)?;
    // SAFETY: two live blocks do not overlap, and each has that many bytes, rounded up to words: a
    // record follows the caller's bytes.
    unsafe { copy_down::<P>(block, moved, old.size().min(new.size())) };
    deallocate(heap, block, old);
    Some(moved)
}

/// Returns the layout on the record of a live or freed block; an arbitrary layout if there is no
/// record.
fn layout_on_record<B, M: Map, P: Profile>(
    heap: &Unchecked<B, M, P>,
    block: NonNull<u8>,
) -> Layout {
    let place = if heap.has_stopped() { None } else { locate(heap, block).ok() };
    let record = place.and_then(|(guarded, _)| guarded.record().decode(guarded.addr()));
    record.map_or(Layout::new::<u8>(), |(layout, _)| layout)
}

/// Implements [`Heap::verify`](crate::Heap::verify).
pub(crate) fn verify<B: Source, M: Map, P: Profile>(
    heap: &mut Unchecked<B, M, P>,
    block: NonNull<u8>,
    layout: Layout,
) -> bool {
    admit(heap, block, layout).is_some()
}

/// Implements [`Heap::usable_size`](crate::Heap::usable_size): the requested size, in bytes,
/// because the record follows it. 0 if there is no live block.
pub(crate) fn usable_size<B, M: Map, P: Profile>(
    heap: &Unchecked<B, M, P>,
    block: NonNull<u8>,
) -> usize {
    if heap.has_stopped() {
        return 0;
    }
    let Ok((guarded, _)) = locate(heap, block) else { return 0 };
    let record = guarded.record().decode(guarded.addr());
    record.map_or(0, |(layout, live)| if live { layout.size() } else { 0 })
}

/// Returns `true` if a live block with an intact record begins at `block` and has this layout.
/// `None`: any layout. Returns `true` without a check if the heap has stopped.
pub(crate) fn has_block<B, M: Map, P: Profile>(
    heap: &Unchecked<B, M, P>,
    block: NonNull<u8>,
    layout: Option<Layout>,
) -> bool {
    let layout = layout.unwrap_or_else(|| layout_on_record(heap, block));
    heap.has_stopped() || examine(heap, block, layout).is_ok()
}

/// Verifies a block before it is freed or resized. Returns it with the layout that the heap
/// allocated it with, or reports the misuse and returns `None`.
fn admit<B: Source, M: Map, P: Profile>(
    heap: &mut Unchecked<B, M, P>,
    block: NonNull<u8>,
    layout: Layout,
) -> Option<(Guarded, Layout)> {
    if heap.has_stopped() {
        return None;
    }
    match examine(heap, block, layout) {
        Ok((guarded, Place::Cell)) => {
            let is_sound = heap.large.chunks.is_sound(Cell::at_payload(guarded.block));
            if is_sound { Some((guarded, record::guarded(layout)?)) } else { None }
        }
        Ok((guarded, _)) => Some((guarded, record::guarded(layout)?)),
        Err(misuse) => {
            report(heap, &misuse);
            if misuse.kind == MisuseKind::Overflow {
                if let Ok((guarded, _)) = locate(heap, block) {
                    // SAFETY: the caller gave the block up, and the heap does not reuse it: it
                    // counts as freed.
                    unsafe { guarded.set(layout, false) };
                }
            }
            None
        }
    }
}

/// Verifies the words in front of mapped blocks, and the records of the blocks that are cells. All
/// headers of cells have been verified.
///
/// # Errors
///
/// The first record that was overwritten, or the first overwritten byte in front of one.
pub(crate) fn check_records<B, M: Map, P: Profile>(
    heap: &Unchecked<B, M, P>,
) -> Result<(), Corruption> {
    if let Some(Err(Misuse { at, found, expected, .. })) =
        heap.chunks().checks().mapped().map(MappedBlocks::verify)
    {
        return Err(Corruption { at, rule: Rule::Record, expected, found });
    }
    let mut used = heap
        .chunks()
        .sound_cells()
        .filter(|(_, header)| header.is_used() && !header.is_fencepost());
    used.try_for_each(|(cell, header)| check_record(heap, cell, header))
}

/// Verifies the record of a used cell, and the gap in front of it. Skips slabs and internal cells.
fn check_record<B, M: Map, P: Profile>(
    heap: &Unchecked<B, M, P>,
    cell: Cell<P>,
    header: Header,
) -> Result<(), Corruption> {
    let (block, rule) = (cell.payload(), Rule::Record);
    if heap.layer.class_at(block.addr().get()).is_some() || heap.layer.is_internal(block) {
        return Ok(());
    }
    let (capacity, least) = (header.size() - WORD, record::LEAST_CAPACITY);
    if capacity < least {
        return Err(Corruption { at: cell.addr(), rule, expected: least, found: capacity });
    }
    // SAFETY: the cell is used, belongs to a caller's block, and is long enough for a record.
    let guarded = unsafe { Guarded::new(block, capacity) };
    let record = guarded.record();
    match record.decode(guarded.addr()) {
        Some((layout, true)) => match guarded.first_overflow(layout.size()) {
            Some((at, found)) => {
                Err(Corruption { at, rule, expected: Guarded::GAP, found: usize::from(found) })
            }
            None => Ok(()),
        },
        Some((_, false)) => Ok(()),
        None => {
            let expected = record.check_of(guarded.addr());
            Err(Corruption { at: guarded.check_addr(), rule, expected, found: record.check })
        }
    }
}

/// Reports the overwritten links that the layer has found in free blocks.
pub(crate) fn report_broken_links<B, M, P: Profile>(heap: &mut Unchecked<B, M, P>) {
    if let Some(broken) = heap.layer.take_broken() {
        report(heap, &broken.into());
    }
}

/// Reports a misuse to the hook. Returns if the hook ignores it, and panics otherwise.
pub(crate) fn report<B, M, P: Profile>(heap: &mut Unchecked<B, M, P>, misuse: &Misuse) {
    heap.large.chunks.checks_mut().report(misuse);
}
