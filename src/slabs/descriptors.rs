//! Memory for descriptors: tables, each a cell. A table without a slab goes soon, if another one
//! has room.
//!
//! ```text
//!   first ─► table ◄─► table ◄─► … ◄─► table ◄─ last       those with a free descriptor come first
//!              └ free ─► descriptor ─► descriptor
//! ```

use core::iter::{from_fn, successors};
use core::ptr::NonNull;

use super::slab::{Slab, State};
use crate::slab_tuning::SlabTuning;

/// Number of descriptors in the longest tables.
const MOST: usize = 48;

const _: () = assert!(MOST <= Slab::MOST_NUMBER);

/// Head of a table. The descriptors follow it.
///
/// # Invariants
///
/// * `used ≤ fresh ≤ len`; descriptors from number `fresh` on were never taken
/// * `free`: those of the others that are not in use
#[derive(Debug)]
#[repr(C)]
struct Table {
    next: Option<NonNull<Table>>,
    prev: Option<NonNull<Table>>,
    free: Option<NonNull<Slab>>,
    /// Number of descriptors in use.
    used: u8,
    fresh: u8,
    len: u8,
}

impl Table {
    const fn is_full(&self) -> bool {
        self.used == self.len
    }
}

/// Returns a descriptor of a table by its number.
///
/// # Safety
///
/// The table has such a descriptor.
const unsafe fn descriptor(table: NonNull<Table>, number: usize) -> NonNull<Slab> {
    // SAFETY: the descriptors follow the head: this function's clause.
    unsafe { table.add(1).cast::<Slab>().add(number) }
}

/// Tables of descriptors.
///
/// # Invariants
///
/// * every table is the payload of a used cell
/// * tables with a free descriptor come before all others
/// * `idle` is one of the tables
#[derive(Debug)]
pub struct Descriptors {
    first: Option<NonNull<Table>>,
    last: Option<NonNull<Table>>,
    /// Table of which no descriptor was in use the last time that one came back.
    idle: Option<NonNull<Table>>,
}

/// A table, for checks.
pub(crate) struct TableView {
    /// Memory of the table.
    pub(crate) memory: NonNull<u8>,
    /// Number of descriptors in use, as the table counts them.
    pub(crate) used: usize,
    /// Number of descriptors that were ever taken.
    pub(crate) taken: usize,
    /// Length of the table, in bytes.
    pub(crate) len: usize,
}

impl TableView {
    /// Returns the descriptors that were ever taken.
    ///
    /// # Safety
    ///
    /// The table lies in memory of the heap, and is as long as it says.
    pub(crate) unsafe fn descriptors(&self) -> impl Iterator<Item = NonNull<Slab>> + use<> {
        let table = self.memory.cast::<Table>();
        // SAFETY: the table has that many descriptors: this method's clause.
        (0..self.taken).map(move |number| unsafe { descriptor(table, number) })
    }
}

impl Descriptors {
    pub(crate) const fn new() -> Self {
        Self { first: None, last: None, idle: None }
    }

    /// Returns `true` if there is no descriptor to take.
    pub(crate) fn is_out(&self) -> bool {
        // SAFETY: tables in the list were written by `provide`.
        self.first.is_none_or(|table| unsafe { table.as_ref() }.is_full())
    }

    /// Takes a descriptor, which stands for no slab; `None`: a table is missing. O(1).
    pub(crate) fn take(&mut self) -> Option<NonNull<Slab>> {
        let mut at = self.first?;
        // SAFETY: tables in the list were written by `provide`. `put` wrote the descriptors in the
        // list; from number `fresh` up to `len` there are others.
        let slab = unsafe {
            let table = at.as_mut();
            if table.is_full() {
                return None;
            }
            table.used += 1;
            if let Some(slab) = table.free {
                table.free = slab.as_ref().next;
                slab
            } else {
                let number = usize::from(table.fresh);
                table.fresh += 1;
                descriptor(at, number)
            }
        };
        // SAFETY: the table is in the list; the descriptor is one of it.
        unsafe {
            let offset = slab.addr().get() - descriptor(at, 0).addr().get();
            slab.write(Slab::absent(offset / size_of::<Slab>()));
            if at.as_ref().is_full() {
                self.unlink(at);
                self.append(at);
            }
        }
        Some(slab)
    }

    /// Returns a descriptor to its table. O(1).
    ///
    /// # Safety
    ///
    /// [`take`](Descriptors::take) returned it, and nothing uses it any more.
    pub(crate) unsafe fn put(&mut self, mut slab: NonNull<Slab>) {
        // SAFETY: the descriptor is in a table (this method's clause), at the place that its number
        // says, behind the head. Tables in the list were written by `provide`.
        unsafe {
            let mut at = slab.sub(slab.as_ref().number()).cast::<Table>().sub(1);
            let table = at.as_mut();
            let was_full = table.is_full();
            slab.as_mut().set_state(State::Absent);
            slab.as_mut().next = table.free.replace(slab);
            table.used -= 1;
            if table.used == 0 {
                self.idle = Some(at);
            }
            if was_full {
                self.unlink(at);
                self.prepend(at);
            }
        }
    }

    /// Returns whether there may be a table for [`take_idle`](Descriptors::take_idle).
    #[inline(always)]
    pub(crate) const fn may_be_idle(&self) -> bool {
        self.idle.is_some()
    }

    /// Takes a table out of which no descriptor is in use, if one has come to that and another
    /// table has a free one. O(1).
    pub(crate) fn take_idle(&mut self) -> Option<NonNull<u8>> {
        let table = self.idle.take()?;
        // SAFETY: tables in the list were written by `provide`, and so were their neighbours.
        unsafe {
            let other = if self.first == Some(table) { table.as_ref().next } else { self.first };
            let may_go = other.is_some_and(|other| !other.as_ref().is_full());
            if table.as_ref().used > 0 || !may_go {
                return None;
            }
            self.unlink(table);
        }
        Some(table.cast())
    }

    /// Makes two tables neighbours in the list. `None`: the other one becomes its first or its last.
    ///
    /// # Safety
    ///
    /// Both have a head. All tables are in the list again after the caller's last such step.
    unsafe fn connect(&mut self, prev: Option<NonNull<Table>>, next: Option<NonNull<Table>>) {
        match prev {
            // SAFETY: the table has a head: this method's clause.
            Some(mut prev) => unsafe { prev.as_mut() }.next = next,
            None => self.first = next,
        }
        match next {
            // SAFETY: as before.
            Some(mut next) => unsafe { next.as_mut() }.prev = prev,
            None => self.last = prev,
        }
    }

    /// Takes a table out of the list.
    ///
    /// # Safety
    ///
    /// It is in the list. If it is `idle`, it comes back at once.
    unsafe fn unlink(&mut self, table: NonNull<Table>) {
        // SAFETY: tables in the list were written by `provide`, and so were their neighbours.
        unsafe {
            let Table { next, prev, .. } = *table.as_ref();
            self.connect(prev, next);
        }
    }

    /// Puts a table first.
    ///
    /// # Safety
    ///
    /// It has a head, and is not in the list.
    unsafe fn prepend(&mut self, table: NonNull<Table>) {
        // SAFETY: tables in the list were written by `provide`, and this one has a head.
        unsafe {
            self.connect(Some(table), self.first);
            self.connect(None, Some(table));
        }
    }

    /// Puts a table last.
    ///
    /// # Safety
    ///
    /// It has a head, and is not in the list.
    unsafe fn append(&mut self, table: NonNull<Table>) {
        // SAFETY: tables in the list were written by `provide`, and this one has a head.
        unsafe {
            self.connect(self.last, Some(table));
            self.connect(Some(table), None);
        }
    }

    /// Returns the length of the next table in bytes, if there are `slabs` slabs.
    pub(crate) fn next_len<S: SlabTuning>(slabs: usize) -> usize {
        size_of::<Table>() + slabs.clamp(S::FIRST_DESCRIPTORS, MOST) * size_of::<Slab>()
    }

    /// Takes over memory for the next table.
    ///
    /// # Safety
    ///
    /// `memory` has `len` bytes, as [`next_len`](Descriptors::next_len) says, is aligned for a
    /// word, and the tables' until they give it back. There is no descriptor to take.
    pub(crate) unsafe fn provide(&mut self, memory: NonNull<u8>, len: usize) {
        let table = memory.cast::<Table>();
        let len = ((len - size_of::<Table>()) / size_of::<Slab>()) as u8;
        // SAFETY: the memory holds the head: this method's clause.
        unsafe {
            table.write(Table { next: None, prev: None, free: None, used: 0, fresh: 0, len });
            self.prepend(table);
        }
    }

    /// Takes a table out: one of which no descriptor is in use, or any if `all`. O(tables).
    pub(crate) fn take_table(&mut self, all: bool) -> Option<NonNull<u8>> {
        self.idle = None;
        // SAFETY: tables in the list were written by `provide`.
        let mut tables = successors(self.first, |table| unsafe { table.as_ref() }.next);
        // SAFETY: as before.
        let table = tables.find(|table| all || unsafe { table.as_ref() }.used == 0)?;
        // SAFETY: the table is in the list.
        unsafe { self.unlink(table) };
        Some(table.cast())
    }

    /// Returns all descriptors that were ever taken: of slabs, and others. O(descriptors).
    ///
    /// # Safety
    ///
    /// No table is taken out while the answer is in use.
    pub(crate) unsafe fn taken(&self) -> impl Iterator<Item = NonNull<Slab>> + use<> {
        // SAFETY: all tables are in memory of the heap, and as long as they say.
        unsafe { self.tables(|_| true).flat_map(|table| table.descriptors()) }
    }

    /// Returns whether a payload is that of a table. O(tables).
    pub(crate) fn is_table(&self, payload: NonNull<u8>) -> bool {
        // SAFETY: the tables are the heap's.
        unsafe { self.tables(|_| true) }.any(|table| table.memory == payload)
    }

    /// Returns each table, as far as `is_table` accepts its memory: of the first that it rejects,
    /// the length is `usize::MAX`.
    ///
    /// # Safety
    ///
    /// What `is_table` accepts is memory of the heap, as long as a head.
    pub(crate) unsafe fn tables<F: Fn(NonNull<u8>) -> bool>(
        &self,
        is_table: F,
    ) -> impl Iterator<Item = TableView> + use<F> {
        let mut next = self.first;
        from_fn(move || {
            let memory = next?.cast::<u8>();
            if !is_table(memory) {
                next = None;
                return Some(TableView { memory, used: 0, taken: 0, len: usize::MAX });
            }
            // SAFETY: the memory is the heap's: this method's clause.
            let table = unsafe { next?.as_ref() };
            next = table.next;
            let len = size_of::<Table>() + usize::from(table.len) * size_of::<Slab>();
            let (used, taken) = (usize::from(table.used), usize::from(table.fresh));
            Some(TableView { memory, used, taken: taken.min(usize::from(table.len)), len })
        })
    }

    /// Length of a head, in bytes.
    pub(crate) const HEAD: usize = size_of::<Table>();
}
