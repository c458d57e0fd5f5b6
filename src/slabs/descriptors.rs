//! Memory for descriptors: whole tables, each a cell, that are given back when there is no slab.

use core::ptr::NonNull;

use super::slab::Slab;
use crate::cell::WORD;
use crate::slab_tuning::SlabTuning;

/// Number of descriptors in the longest tables.
const MOST: usize = 48;

/// Head of a table.
#[derive(Debug)]
struct Table {
    next: Option<NonNull<Table>>,
    /// Number of descriptors.
    len: usize,
}

/// Descriptors without a slab, and the tables of all.
///
/// # Invariants
///
/// * every table is the payload of a used cell
/// * `fresh`: descriptors of the newest table that were never used
#[derive(Debug)]
pub(crate) struct Descriptors {
    tables: Option<NonNull<Table>>,
    free: Option<NonNull<Slab>>,
    fresh: Option<NonNull<Slab>>,
    fresh_left: usize,
}

impl Descriptors {
    pub(crate) const fn new() -> Self {
        Self { tables: None, free: None, fresh: None, fresh_left: 0 }
    }

    /// Returns `true` if there is no descriptor to take.
    pub(crate) const fn is_out(&self) -> bool {
        self.free.is_none() && self.fresh_left == 0
    }

    /// Takes a descriptor; `None`: a table is missing. O(1).
    pub(crate) fn take(&mut self) -> Option<NonNull<Slab>> {
        if let Some(slab) = self.free {
            // SAFETY: a descriptor in the list was written by `put`.
            self.free = unsafe { slab.as_ref() }.next;
            return Some(slab);
        }
        self.fresh_left = self.fresh_left.checked_sub(1)?;
        let slab = self.fresh?;
        // SAFETY: `fresh_left` more descriptors follow in the table, or its end.
        self.fresh = Some(unsafe { slab.add(1) });
        Some(slab)
    }

    /// Returns a descriptor to the list. O(1).
    ///
    /// # Safety
    ///
    /// [`take`](Descriptors::take) returned it, and nothing uses it any more.
    pub(crate) unsafe fn put(&mut self, slab: NonNull<Slab>) {
        // SAFETY: the descriptor is in a table: this method's clause.
        unsafe { slab.write(Slab { next: self.free, ..Slab::ABSENT }) };
        self.free = Some(slab);
    }

    /// Returns the length of the next table in bytes, if there are `slabs` slabs.
    pub(crate) fn next_len<S: SlabTuning>(slabs: usize) -> usize {
        2 * WORD + slabs.clamp(S::FIRST_DESCRIPTORS, MOST) * size_of::<Slab>()
    }

    /// Takes over memory for the next table.
    ///
    /// # Safety
    ///
    /// `memory` has `len` bytes, as [`next_len`](Descriptors::next_len) says, is aligned for a word,
    /// and the tables' until they give it back. There is no descriptor to take.
    pub(crate) unsafe fn provide(&mut self, memory: NonNull<u8>, len: usize) {
        let table = memory.cast::<Table>();
        let len = (len - 2 * WORD) / size_of::<Slab>();
        // SAFETY: the memory holds the head: this method's clause.
        unsafe { table.write(Table { next: self.tables, len }) };
        self.tables = Some(table);
        // SAFETY: the descriptors follow the head.
        self.fresh = Some(unsafe { table.add(1) }.cast());
        self.fresh_left = len;
    }

    /// Takes a table out: there is no slab.
    pub(crate) fn take_table(&mut self) -> Option<NonNull<u8>> {
        (self.free, self.fresh, self.fresh_left) = (None, None, 0);
        let table = self.tables?;
        // SAFETY: `provide` wrote the head.
        self.tables = unsafe { table.as_ref() }.next;
        Some(table.cast())
    }

    /// Returns whether a payload is that of a table. O(tables).
    pub(crate) fn is_table(&self, payload: NonNull<u8>) -> bool {
        // SAFETY: the tables are the heap's.
        unsafe { self.tables(|_| true) }.any(|(table, _)| table == payload)
    }

    /// Returns the payload of each table, and its length in bytes, as far as `is_table` accepts
    /// the payload.
    ///
    /// # Safety
    ///
    /// What `is_table` accepts is memory of the heap, as long as a head.
    pub(crate) unsafe fn tables(
        &self,
        is_table: impl Fn(NonNull<u8>) -> bool,
    ) -> impl Iterator<Item = (NonNull<u8>, usize)> {
        let mut next = self.tables;
        core::iter::from_fn(move || {
            let table = next?;
            if !is_table(table.cast()) {
                next = None;
                return Some((table.cast(), usize::MAX));
            }
            // SAFETY: the memory is the heap's: this method's clause.
            let head = unsafe { table.as_ref() };
            next = head.next;
            Some((table.cast(), 2 * WORD + head.len.saturating_mul(size_of::<Slab>())))
        })
    }
}
