//! One slab: equal blocks in the payload of a cell, and the descriptor that counts them.
//!
//! ```text
//!   granule boundary, payload of the cell                                       granule boundary
//!   ▼                                                                           ▼
//!   ┌───────┬───────┬───────┬───────┬───────┬─ ─ ─ ─ ─ ─ ─ ─ ─┬───────────────┬────────┐
//!   │ block │ block │ block │ block │ block │  not yet carved │ less than one │ header │ next cell
//!   └───────┴─▲───┬─┴───────┴─▲───┬─┴───────┴─────────────────┴───────────────┴────────┘
//!             │   └───────────┘   │
//!             └── free        None┘                 the descriptor lies elsewhere: descriptors.rs
//! ```

use core::alloc::Layout;
use core::ptr::NonNull;

use super::free_list::{FreeList, addr};
use super::shape::{len_of, number_of};
use crate::cell::{Form, WORD};
use crate::chunks::Tuning;
use crate::misuse::Misuse;
use crate::size_class::Class;
use crate::slab_tuning::{MOST_BEFORE_RELISTED, SlabTuning};

/// List that a slab is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// No slab: the descriptor of granules without one.
    Absent,
    /// In its class's list: it has, or may have, a free block.
    Listed,
    /// In no list: few of its blocks are free.
    Full,
    /// In its class's list, alone, and kept although all of its carved blocks are in `free`.
    Kept,
}

/// Number of bits of a [`State`].
const STATE_BITS: u32 = 2;

/// Descriptor of a slab.
///
/// # Invariants
///
/// * `carved ≤ total`; the blocks before number `carved` are live, in `free`, or in the list of
///   their class if the slab is the first of its class
/// * `left` is, in a listed slab, the number of carved blocks that are not in `free`; in a full
///   one, the number of blocks that must still be freed before it is relisted
/// * the descriptor of no slab has `left = 1`, between two operations
#[derive(Debug)]
pub struct Slab {
    /// Blocks that were freed.
    pub(crate) free: FreeList,
    /// Frees until the slab needs attention.
    pub(crate) left: u16,
    /// Number of blocks that were ever handed out, or are about to be.
    pub(crate) carved: u16,
    pub(crate) total: u16,
    pub(crate) class: Class,
    /// State in the lower two bits, number of the descriptor in its table in the others.
    state_and_number: u8,
    /// First block.
    pub(crate) start: NonNull<u8>,
    pub(crate) next: Option<NonNull<Slab>>,
    pub(crate) prev: Option<NonNull<Slab>>,
}

impl Slab {
    /// Maximum number of descriptors in a table.
    pub(crate) const MOST_NUMBER: usize = 1 << (8 - STATE_BITS);

    /// Returns the descriptor of granules without a slab, with its number in its table. The first
    /// free that finds it needs attention.
    pub(crate) const fn absent(number: usize) -> Self {
        Self {
            free: FreeList::EMPTY,
            left: 1,
            carved: 0,
            total: 0,
            class: Class::SMALLEST,
            state_and_number: (number << STATE_BITS) as u8 | State::Absent as u8,
            start: NonNull::dangling(),
            next: None,
            prev: None,
        }
    }

    /// Makes a descriptor that of a listed slab of this shape that has no block yet.
    pub(crate) const fn begin(&mut self, start: NonNull<u8>, class: Class, total: usize) {
        *self = Self { left: 0, class, total: total as u16, start, ..Self::absent(self.number()) };
        self.set_state(State::Listed);
    }

    /// Returns `true` if none of the carved blocks begins at an address of the slab, or if it is
    /// the block that was freed last. A descriptor that stands for no slab rejects every address.
    #[inline(always)]
    fn rejects(&self, block: NonNull<u8>) -> bool {
        let offset = block.addr().get().wrapping_sub(self.start.addr().get()) as u32;
        number_of(self.class, offset) >= u32::from(self.carved) || self.free.0 == Some(block.cast())
    }

    /// Returns the list that the slab is in.
    #[inline(always)]
    pub(crate) const fn state(&self) -> State {
        match self.state_and_number & ((1 << STATE_BITS) - 1) {
            0 => State::Absent,
            1 => State::Listed,
            2 => State::Full,
            _ => State::Kept,
        }
    }

    pub(crate) const fn set_state(&mut self, state: State) {
        self.state_and_number = (self.number() << STATE_BITS) as u8 | state as u8;
    }

    /// Returns the number of the descriptor in its table.
    pub(crate) const fn number(&self) -> usize {
        (self.state_and_number >> STATE_BITS) as usize
    }

    /// Returns the number of frees after which the slab is relisted, once it is full.
    pub(crate) const fn relisted_after<S: SlabTuning>(&self) -> u16 {
        let (share, least) = (self.carved / S::RELISTED_AT, self.carved / S::RELISTED_AT_LEAST);
        let least = if least > MOST_BEFORE_RELISTED { MOST_BEFORE_RELISTED } else { least };
        let blocks = if share > least { share } else { least };
        if blocks == 0 { 1 } else { blocks }
    }

    /// Makes a full slab a listed one: enough of its blocks were freed.
    #[inline(always)]
    pub(crate) const fn relist<S: SlabTuning>(&mut self) {
        self.set_state(State::Listed);
        self.left = self.carved - self.relisted_after::<S>();
    }

    /// Returns whether a live block of the slab can stay where it is with another layout: it is
    /// long enough and aligned, and not much too long.
    #[inline(always)]
    pub(crate) fn suits(&self, block: NonNull<u8>, new: Layout) -> bool {
        let size = self.class.size();
        self.state() != State::Absent
            && new.size() <= size
            && new.size() > size / 2
            && block.addr().get() % new.align() == 0
    }

    /// Returns the number of blocks that are not in the slab's own list, and are carved.
    pub(crate) const fn taken<S: SlabTuning>(&self) -> u16 {
        match self.state() {
            State::Full => self.carved - (self.relisted_after::<S>() - self.left),
            State::Listed | State::Kept | State::Absent => self.left,
        }
    }

    /// Returns `true` if blocks were carved, and all of them are in the slab's list.
    pub(crate) const fn is_empty(&self) -> bool {
        self.left == 0 && self.carved > 0
    }

    /// Frees a block to the list of a descriptor, and counts. Returns whether the descriptor needs
    /// attention. O(1).
    ///
    /// # Safety
    ///
    /// `slab` is the descriptor of the slab of the block, or stands for no slab. Nothing uses the
    /// block.
    #[inline(always)]
    pub(crate) unsafe fn push<F: Form>(mut slab: NonNull<Self>, block: NonNull<u8>) -> bool {
        // SAFETY: the descriptor is valid: this method's clause.
        let slab = unsafe { slab.as_mut() };
        // SAFETY: nothing uses the block (this method's clause), and every block has room for a
        // link.
        unsafe { slab.free.push::<F>(block) };
        slab.left -= 1;
        slab.left == 0
    }

    /// Reports a free of an address that the slab [rejects](Slab::rejects).
    ///
    /// # Panics
    ///
    /// Always.
    #[cold]
    pub(crate) fn report(&self, block: NonNull<u8>) -> ! {
        let (address, start) = (block.addr().get(), self.start.addr().get());
        let around = start + address.wrapping_sub(start) / self.class.size() * self.class.size();
        let misuse = if around == address {
            Misuse::freed_last(address)
        } else {
            Misuse::never_allocated(address, Some(around))
        };
        panic!("{misuse}");
    }

    /// Takes all free blocks. An empty list: there is none. The slab is listed.
    #[inline(always)]
    pub(crate) const fn take_freed(&mut self) -> FreeList {
        if self.free.0.is_some() {
            self.left = self.carved;
        }
        core::mem::replace(&mut self.free, FreeList::EMPTY)
    }

    /// Returns whether a block can be [carved](Slab::carve).
    #[inline(always)]
    pub(crate) const fn has_more(&self) -> bool {
        self.carved < self.total
    }

    /// Verifies that the link of the first block of a list of this slab leads to a block of it.
    ///
    /// # Panics
    ///
    /// If it does not: the block was written to since it was freed. A checked heap
    /// [watches](FreeList::watch) each link.
    ///
    /// # Safety
    ///
    /// The first block of the list is a free one of the slab, which has no free block of its own.
    #[inline(always)]
    pub(crate) unsafe fn require_link<F: Form>(&self, list: &FreeList) {
        // SAFETY: a free block begins with a link: this method's clause.
        let next = list.0.and_then(|block| unsafe { block.as_ref() }.0);
        if !F::CHECKED && next.is_some_and(|next| self.rejects(next.cast())) {
            broken_link(addr(list.0), addr(next));
        }
    }

    /// [`push`](Slab::push) that first verifies the address: if the slab [rejects](Slab::rejects)
    /// it, nothing has changed, and the descriptor needs attention.
    ///
    /// # Safety
    ///
    /// The clauses of [`push`](Slab::push), unless the slab rejects the address.
    #[inline(always)]
    pub(crate) unsafe fn verify_and_push<F: Form>(slab: NonNull<Self>, block: NonNull<u8>) -> bool {
        // SAFETY: the descriptor is valid, and the other clauses are those of this method.
        unsafe { slab.as_ref().rejects(block) || Self::push::<F>(slab, block) }
    }

    /// Puts the blocks of a list of this slab behind the first `most` back into the slab.
    ///
    /// # Safety
    ///
    /// The list has more than `most` blocks, at least one, and was [taken](Slab::take_freed) from
    /// this slab just now.
    #[cold]
    pub(crate) unsafe fn put_back_behind<F: Form>(
        &mut self,
        list: &FreeList,
        blocks: u16,
        most: u16,
    ) {
        let Some(mut last) = list.0 else { return };
        for _ in 1..most {
            // SAFETY: a block of the list begins with a link; fewer than `most` blocks come before
            // this one, so another one follows.
            let Some(next) = unsafe { last.as_ref() }.0 else { return };
            if self.rejects(next.cast()) {
                broken_link(last.addr().get(), next.addr().get());
            }
            last = next;
        }
        // SAFETY: the last one that is kept is free, and has room for a link.
        unsafe {
            self.free = FreeList(last.as_ref().0);
            FreeList::link::<F>(last.cast(), None);
        }
        self.left -= blocks - most;
    }

    /// Carves some blocks, and takes them: at most `most`, which is at least one. O(1): at most
    /// `CARVED_AT_ONCE` blocks. In a checked heap the last word of each is 0: it has no record.
    ///
    /// # Safety
    ///
    /// The slab is listed, [has more](Slab::has_more) blocks, and its memory is the heap's.
    pub(crate) unsafe fn carve<P: Tuning>(&mut self, most: u16) -> FreeList {
        // Long blocks are carved one by one: the link in one is the first touch of its pages.
        let at_once = P::Slabs::CARVED_BYTES / self.class.size();
        let at_once = (at_once as u16).clamp(1, P::Slabs::CARVED_AT_ONCE);
        let more = (self.total - self.carved).min(at_once).min(most);
        let size = self.class.size();
        // SAFETY: block number `carved < total` lies in the slab.
        let first = unsafe { self.start.add(usize::from(self.carved) * size) };
        let mut block = first;
        if P::CHECKED {
            for number in 0..usize::from(more) {
                // SAFETY: the last word of a block that is carved, whose size is a multiple of a
                // word's.
                unsafe { first.add((number + 1) * size - WORD).cast::<usize>().write(0) };
            }
        }
        for _ in 1..more {
            // SAFETY: fewer than `more` blocks lie before this one, so another one follows it in
            // the slab. Both have room for a link and its copy, and were never used.
            block = unsafe {
                let next = block.add(size);
                FreeList::link::<P>(block, Some(next));
                next
            };
        }
        // SAFETY: the last of the blocks.
        unsafe { FreeList::link::<P>(block, None) };
        self.carved += more;
        self.left += more;
        FreeList(Some(first.cast()))
    }

    /// Returns the number of the block that begins at an address, if one of the carved ones does.
    pub(crate) fn index_of(&self, address: usize) -> Option<usize> {
        let (offset, size) = (address.checked_sub(self.start.addr().get())?, self.class.size());
        let index = offset / size;
        (offset % size == 0 && index < usize::from(self.carved)).then_some(index)
    }

    /// Returns the length of the slab, in bytes: whole granules, with the header of the next cell.
    pub(crate) const fn len<S: SlabTuning>(&self) -> usize {
        len_of::<S>(self.class, self.total as usize)
    }
}

#[cold]
#[inline(never)]
fn broken_link(block: usize, found: usize) -> ! {
    panic!(
        "write after free: the free block at {block:#x} was written to: its link {found:#x} leads \
         to no block of its slab"
    );
}

#[cfg(test)]
mod tests {
    use super::super::shape::next_slab;
    use super::*;
    use crate::size_class::ARENA_CLASSES;
    use crate::slab_tuning::UsualSlabs;

    #[test]
    fn a_slab_rejects_every_address_but_those_of_its_blocks() {
        for class in Class::all::<ARENA_CLASSES>() {
            for bytes in [0, 1 << 20] {
                let (total, _) = next_slab::<UsualSlabs>(class, bytes, 1 << 30);
                let start = NonNull::without_provenance(core::num::NonZero::new(1 << 30).unwrap());
                let mut slab = Slab::absent(0);
                assert!(slab.rejects(start));
                slab.begin(start, class, total);
                slab.carved = slab.total - 1;
                let size = class.size();
                for offset in 0..(total + 1) * size {
                    let block = start.map_addr(|at| at.checked_add(offset).unwrap());
                    let is_block = offset % size == 0 && offset / size < total - 1;
                    assert_eq!(slab.rejects(block), !is_block, "{size}: {offset}");
                }
                for below in 1..UsualSlabs::GRANULE {
                    assert!(
                        slab.rejects(start.map_addr(|at| (at.get() - below).try_into().unwrap()))
                    );
                }
                slab.free = FreeList(Some(start.cast()));
                assert!(slab.rejects(start));
            }
        }
    }

    /// A slab of blocks of 40 bytes at `0x10000`, three of which are carved.
    fn three_carved() -> Slab {
        let start = NonNull::without_provenance(core::num::NonZero::new(0x10000).unwrap());
        let class = Class::of_usual::<ARENA_CLASSES>(40, 8).unwrap();
        let mut slab = Slab::absent(0);
        slab.begin(start, class, 8);
        slab.carved = 3;
        slab
    }

    #[test]
    #[should_panic = "0x10058"]
    fn a_report_names_the_address() {
        three_carved().report(NonNull::without_provenance(0x10058.try_into().unwrap()));
    }

    #[test]
    #[should_panic = "0x10050"]
    fn a_report_names_the_block_around_the_address() {
        three_carved().report(NonNull::without_provenance(0x10058.try_into().unwrap()));
    }

    #[test]
    #[should_panic = "double free of the block at 0x10028"]
    fn a_report_of_the_block_that_was_freed_last_says_so() {
        three_carved().report(NonNull::without_provenance(0x10028.try_into().unwrap()));
    }
}
