//! The pool of sampled blocks: slots between guard pages.
//!
//! ```text
//!   base
//!   ▼
//!   ┌───────┬───────────────┬───────┬───────────────┬───────┬── ─ ─ ──┬───────┐
//!   │ guard │ span: slot 0  │ guard │ span: slot 1  │ guard │         │ guard │   never open
//!   └───────┴───────────────┴───────┴───────────────┴───────┴── ─ ─ ──┴───────┘
//!             ▲ ▲         ▲
//!             │ └─────────┴ of a span, the pages are open in which its live block lies
//!             └ eight pages
//! ```
//!
//! No caller waits: one that finds another one in the pool allocates elsewhere, and leaves pages
//! that it frees open for the next caller to close. So an interrupt handler may do both, also in
//! the middle of either.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ops::Range;
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering;

use super::report::{SampleReport, SampledMisuse};
use super::slot::{Slot, State, pages_of, place};
use crate::address_range::AddressRange;
use crate::atomic::{AtomicBool, AtomicUsize};
use crate::provider::GuardPages;
use crate::trace::Trace;

/// Length of a span, in pages: the longest block that is sampled.
const SPAN: usize = 8;

/// A slot rests until so many others do, as a share of all.
const RESTS: usize = 4;

/// Value of the bytes beside a block in its pages.
const FILL: u8 = 0xB5;

/// Pool of sampled blocks.
///
/// # Invariants
///
/// * `range` is not set, or the addresses that the provider has reserved: then `granule` is its own
/// * `inside` is used by the caller that has set `is_entered`
#[derive(Debug)]
pub(super) struct Pool<G, const SLOTS: usize> {
    range: AddressRange,
    granule: AtomicUsize,
    is_entered: AtomicBool,
    /// A slot may be freed with its pages open.
    has_freed: AtomicBool,
    slots: [Slot; SLOTS],
    inside: UnsafeCell<Inside<G, SLOTS>>,
}

/// What only a caller inside the pool uses.
#[derive(Debug)]
struct Inside<G, const SLOTS: usize> {
    pages: G,
    /// The provider has refused to reserve addresses.
    is_refused: bool,
    /// Number of slots that are not new.
    begun: usize,
    /// Slots that rest, the one that rests longest first: a ring.
    resting: [u16; SLOTS],
    first: usize,
    count: usize,
}

// SAFETY: `inside` is used by one caller at a time, which acquires what the last one released; all
// other fields are atomics.
unsafe impl<G: Send, const SLOTS: usize> Sync for Pool<G, SLOTS> {}

/// RAII guard: the caller is inside the pool.
struct Entered<'pool, G, const SLOTS: usize>(&'pool Pool<G, SLOTS>);

impl<G, const SLOTS: usize> Drop for Entered<'_, G, SLOTS> {
    fn drop(&mut self) {
        self.0.is_entered.store(false, Ordering::Release);
    }
}

impl<G, const SLOTS: usize> Entered<'_, G, SLOTS> {
    fn inside(&mut self) -> &mut Inside<G, SLOTS> {
        // SAFETY: one caller is inside: the type's invariant.
        unsafe { &mut *self.0.inside.get() }
    }
}

impl<G, const SLOTS: usize> Pool<G, SLOTS> {
    pub(super) const fn new(pages: G) -> Self {
        const { assert!(SLOTS > 0 && SLOTS <= u16::MAX as usize) };
        Self {
            range: AddressRange::empty(),
            granule: AtomicUsize::new(0),
            is_entered: AtomicBool::new(false),
            has_freed: AtomicBool::new(false),
            slots: [const { Slot::new() }; SLOTS],
            inside: UnsafeCell::new(Inside {
                pages,
                is_refused: false,
                begun: 0,
                resting: [0; SLOTS],
                first: 0,
                count: 0,
            }),
        }
    }

    /// Returns whether an address lies in the pool. It takes a comparison.
    #[inline(always)]
    pub(super) fn contains(&self, address: usize) -> bool {
        self.range.contains(address)
    }

    /// Enters the pool, unless another caller is inside.
    fn enter(&self) -> Option<Entered<'_, G, SLOTS>> {
        let is_free = self
            .is_entered
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok();
        // Not `then_some`: a guard that is made is dropped.
        is_free.then(|| Entered(self))
    }

    /// Returns the addresses of a slot's span.
    fn span(&self, index: usize) -> Range<usize> {
        let granule = self.granule.load(Ordering::Relaxed);
        let start = self.range.start() + granule + index * (SPAN + 1) * granule;
        start..start + SPAN * granule
    }

    /// Returns the slot in whose span, or in the guard page behind it, an address of the pool lies;
    /// the first one for the page in front of all.
    fn slot_at(&self, address: usize) -> usize {
        let granule = self.granule.load(Ordering::Relaxed);
        let offset = address - self.range.start();
        offset.saturating_sub(granule) / ((SPAN + 1) * granule)
    }

    /// Returns the slots with a live block.
    pub(super) fn live(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.state() == State::Live)
    }

    /// Returns the length of the pages of all live blocks, in bytes.
    pub(super) fn live_bytes(&self) -> usize {
        let granule = self.granule.load(Ordering::Relaxed);
        self.live().map(|slot| slot.pages(granule).len()).sum()
    }

    /// Returns the size of a live block that begins at an address of the pool.
    pub(super) fn size_of(&self, address: usize) -> Option<usize> {
        let slot = &self.slots[self.slot_at(address)];
        let block = slot.block();
        (slot.state() == State::Live && block.start == address).then_some(block.len())
    }

    /// Explains an access to an address of the pool that faulted. `None` if no block was near, or
    /// the address lies in a live block: its pages were closed before.
    pub(super) fn explain(&self, address: usize) -> Option<SampleReport> {
        let index = self.slot_at(address);
        // The nearest block: this slot's, or the next one's if the address lies in the guard page.
        let slots = [index, index + 1].into_iter().filter_map(|index| self.slots.get(index));
        let slot = slots.filter(|slot| slot.state() != State::New).min_by_key(|slot| {
            let block = slot.block();
            block.start.saturating_sub(address) + (address + 1).saturating_sub(block.end)
        })?;
        let (block, is_live) = (slot.block(), slot.state() == State::Live);
        let kind = match is_live {
            false => SampledMisuse::UseAfterFree,
            true if address < block.start => SampledMisuse::Underflow,
            true if address >= block.end => SampledMisuse::Overflow,
            true => return None,
        };
        Some(report(kind, address, slot, false))
    }

    /// Returns the report of a free of an address of the pool at which no live block begins.
    fn explain_free(&self, address: usize) -> SampleReport {
        let slot = &self.slots[self.slot_at(address)];
        let is_block = slot.state() != State::New && slot.block().start == address;
        let kind = if is_block { SampledMisuse::DoubleFree } else { SampledMisuse::InvalidFree };
        report(kind, address, slot, true)
    }
}

impl<G: GuardPages, const SLOTS: usize> Pool<G, SLOTS> {
    /// Allocates a block. `None` if it is too long or too aligned, no slot has rested enough, the
    /// provider refuses, or another caller is inside.
    pub(super) fn allocate(
        &self,
        layout: Layout,
        at_end: bool,
        trace: impl FnOnce() -> Trace,
    ) -> Option<NonNull<u8>> {
        let mut entered = self.enter()?;
        let inside = entered.inside();
        self.reserve(inside)?;
        self.close_freed(inside);
        let granule = self.granule.load(Ordering::Relaxed);
        if layout.align() > granule || layout.size() > SPAN * granule {
            return None;
        }
        let index = inside.take_slot()?;
        let start = place(self.span(index), layout.size(), layout.align(), at_end)?;
        let block = start..start + layout.size();
        let pages = pages_of(block.clone(), granule);
        let memory = pointer(pages.start)?;
        // SAFETY: reserved pages of a slot that has no live block, whose pages are closed.
        if unsafe { inside.pages.open(memory, pages.len()) }.is_err() {
            inside.rest(index);
            return None;
        }
        // SAFETY: the pages are open, and the pool's.
        unsafe { memory.write_bytes(FILL, pages.len()) };
        self.slots[index].begin(block, trace());
        pointer(start)
    }

    /// Reserves the addresses, unless that was done or refused before.
    fn reserve(&self, inside: &mut Inside<G, SLOTS>) -> Option<()> {
        if self.range.is_set() {
            return Some(());
        }
        if inside.is_refused {
            return None;
        }
        let granule = inside.pages.granule();
        let len = (SLOTS * (SPAN + 1) + 1).checked_mul(granule);
        let reserved = len.and_then(|len| Some((inside.pages.reserve(len).ok()?, len)));
        inside.is_refused = reserved.is_none();
        let (base, len) = reserved?;
        self.granule.store(granule, Ordering::Relaxed);
        self.range.set(base.as_ptr().expose_provenance(), len);
        Some(())
    }

    /// Frees a block. Returns a report if no live block begins at the address; or if one does, and
    /// something was written beside it: it is freed.
    pub(super) fn free(&self, address: usize, trace: Trace) -> Option<SampleReport> {
        let slot = &self.slots[self.slot_at(address)];
        if slot.block().start != address || !slot.change(State::Live, State::Freeing) {
            return Some(self.explain_free(address));
        }
        slot.set_freed_by(trace);
        let report = self.verify(slot);
        slot.set_state(State::Freed);
        self.has_freed.store(true, Ordering::Release);
        if let Some(mut entered) = self.enter() {
            let inside = entered.inside();
            self.close_freed(inside);
        }
        report
    }

    /// Closes the pages of all slots that were freed.
    fn close_freed(&self, inside: &mut Inside<G, SLOTS>) {
        if !self.has_freed.swap(false, Ordering::AcqRel) {
            return;
        }
        let granule = self.granule.load(Ordering::Relaxed);
        for (index, slot) in self.slots[..inside.begun].iter().enumerate() {
            let pages = slot.pages(granule);
            let (State::Freed, Some(memory)) = (slot.state(), pointer(pages.start)) else {
                continue;
            };
            // A page that stays open is opened again later, or never used again.
            // SAFETY: the pages were opened for the slot's block, which was freed.
            let _ = unsafe { inside.pages.close(memory, pages.len()) };
            slot.set_state(State::Resting);
            inside.rest(index);
        }
    }

    /// Verifies what lies beside a block in its pages. Returns a report about the nearest byte that
    /// was overwritten, if there is one.
    fn verify(&self, slot: &Slot) -> Option<SampleReport> {
        let (block, pages) = (slot.block(), slot.pages(self.granule.load(Ordering::Relaxed)));
        let (behind, in_front) = (block.end..pages.end, pages.start..block.start);
        // SAFETY: the pages of the block are open: no other caller frees it.
        let (behind, in_front) = unsafe {
            let is_wrong = |address: &usize| !is_filled::<u8>(*address);
            let behind = if has_only_fill(&behind) { None } else { behind.clone().find(is_wrong) };
            let in_front =
                if has_only_fill(&in_front) { None } else { in_front.clone().rfind(is_wrong) };
            (behind, in_front)
        };
        match behind {
            Some(at) => Some(report(SampledMisuse::Overflow, at, slot, true)),
            None => in_front.map(|at| report(SampledMisuse::Underflow, at, slot, true)),
        }
    }
}

impl<G, const SLOTS: usize> Inside<G, SLOTS> {
    /// Takes a slot whose pages are closed: a new one, else the one that rests longest, if enough
    /// others do.
    fn take_slot(&mut self) -> Option<usize> {
        if self.begun < SLOTS {
            self.begun += 1;
            return Some(self.begun - 1);
        }
        if self.count <= SLOTS / RESTS {
            return None;
        }
        let index = usize::from(self.resting[self.first]);
        self.first = (self.first + 1) % SLOTS;
        self.count -= 1;
        Some(index)
    }

    fn rest(&mut self, index: usize) {
        self.resting[(self.first + self.count) % SLOTS] = index as u16;
        self.count += 1;
    }
}

/// Returns a report about a slot's block.
fn report(kind: SampledMisuse, at: usize, slot: &Slot, found_by_free: bool) -> SampleReport {
    SampleReport {
        kind,
        at,
        block: slot.block().start,
        size: slot.block().len(),
        allocated_by: slot.allocated_by(),
        freed_by: slot.freed_by(),
        found_by_free,
    }
}

/// Returns whether a value at an address consists of [`FILL`].
///
/// # Safety
///
/// The value lies in open pages, aligned, and any bytes are a `T`.
unsafe fn is_filled<T: Copy + PartialEq>(address: usize) -> bool {
    let value: *const T = ptr::with_exposed_provenance(address);
    let filled = [FILL; 16];
    const { assert!(size_of::<T>() <= 16 && align_of::<T>() <= 16) };
    // SAFETY: the value is readable: this function's clause. Its owner may write at the same time,
    // which is a misuse: the access is volatile. The array has enough bytes.
    unsafe { value.read_volatile() == (&raw const filled).cast::<T>().read_unaligned() }
}

/// Returns whether all bytes at these addresses are [`FILL`].
///
/// # Safety
///
/// The addresses lie in open pages.
unsafe fn has_only_fill(addresses: &Range<usize>) -> bool {
    const WORD: usize = size_of::<usize>();
    let first = addresses.start.next_multiple_of(WORD).min(addresses.end);
    let last = first + (addresses.end - first) / WORD * WORD;
    let mut bytes = (addresses.start..first).chain(last..addresses.end);
    // SAFETY: the addresses lie in open pages, and those of words are aligned.
    unsafe {
        bytes.all(|address| is_filled::<u8>(address))
            && (first..last).step_by(WORD).all(|address| is_filled::<usize>(address))
    }
}

/// Returns a pointer to an address of the pool, whose provenance `reserve` has exposed.
fn pointer(address: usize) -> Option<NonNull<u8>> {
    NonNull::new(ptr::with_exposed_provenance_mut(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::MapError;

    /// Pages so long that all of a pool would wrap.
    struct LongPages;

    // SAFETY: it reserves nothing.
    unsafe impl GuardPages for LongPages {
        fn granule(&self) -> usize {
            1 << (usize::BITS - 4)
        }

        fn reserve(&mut self, len: usize) -> Result<NonNull<u8>, MapError> {
            panic!("{len} bytes are too few");
        }

        unsafe fn open(&mut self, _: NonNull<u8>, _: usize) -> Result<(), MapError> {
            Err(MapError::Refused)
        }

        unsafe fn close(&mut self, _: NonNull<u8>, _: usize) -> Result<(), MapError> {
            Err(MapError::Refused)
        }
    }

    #[test]
    fn a_pool_that_no_addresses_hold_is_refused() {
        let pool = Pool::<_, 64>::new(LongPages);
        assert_eq!(pool.allocate(Layout::new::<u64>(), true, || Trace::UNKNOWN), None);
    }
}
