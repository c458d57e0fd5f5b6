//! The blocks of the checked heap, beside it: an overflow does not reach them.
//!
//! ```text
//!   address ─► hash ─► slot, or one of the next ones         half of the slots are empty if there is memory
//! ```

use core::alloc::Layout;
use core::mem;
use core::ptr::NonNull;
use core::slice;

use super::Heap;
use crate::engine::call::Family;
use crate::provider;

/// A live block, or one in quarantine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// 0 in an empty slot.
    pub(super) address: usize,
    pub(super) layout: Layout,
    /// Return address of the call that allocated.
    pub(super) caller: usize,
    /// Return address of the call that freed, if `is_free`.
    pub(super) freed_by: usize,
    pub(super) family: Family,
    pub(super) is_free: bool,
}

impl Entry {
    pub(super) const EMPTY: Self = Self {
        address: 0,
        layout: Layout::new::<()>(),
        caller: 0,
        freed_by: 0,
        family: Family::Malloc,
        is_free: false,
    };
}

/// Number of slots at first.
const LEAST: usize = 1 << 12;

/// A hash table of [`Entry`], in a mapping of its own, or in a block of the heap if the system maps
/// nothing.
///
/// # Invariants
///
/// * `slots` has a power of two of slots, or none; `taken` of them are not empty, and at least
///   an eighth of them is
/// * no empty slot lies between the slot of an entry's hash and the entry
#[derive(Debug)]
pub(super) struct Table {
    slots: NonNull<[Entry]>,
    taken: usize,
    /// The slots are a mapping, and not a block of the heap.
    is_mapped: bool,
}

// SAFETY: the table owns its memory.
unsafe impl Send for Table {}

impl Table {
    pub(super) const fn new() -> Self {
        Self {
            slots: NonNull::slice_from_raw_parts(NonNull::dangling(), 0),
            taken: 0,
            is_mapped: false,
        }
    }

    fn slots(&self) -> &[Entry] {
        // SAFETY: the slots are initialised, and owned by this value.
        unsafe { self.slots.as_ref() }
    }

    fn slots_mut(&mut self) -> &mut [Entry] {
        // SAFETY: as in `slots`.
        unsafe { self.slots.as_mut() }
    }

    /// Returns all entries.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots().iter().filter(|entry| entry.address != 0)
    }

    /// Returns the index of the slot that an address has if no other address has it.
    fn home(&self, address: usize) -> usize {
        let hash = (address >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (hash >> 20) & (self.slots.len() - 1)
    }

    /// Returns the index of the entry of an address, or of the empty slot for it. There are slots.
    fn index_of(&self, address: usize) -> usize {
        let (slots, mask) = (self.slots(), self.slots.len() - 1);
        let mut index = self.home(address);
        while slots[index].address != address && slots[index].address != 0 {
            index = (index + 1) & mask;
        }
        index
    }

    pub(super) fn find(&mut self, address: usize) -> Option<&mut Entry> {
        if self.taken == 0 {
            return None;
        }
        let index = self.index_of(address);
        Some(&mut self.slots_mut()[index]).filter(|entry| entry.address != 0)
    }

    /// Makes sure that there is room for one more entry. Returns `false` without memory.
    pub(super) fn reserve(&mut self, heap: &mut Heap) -> bool {
        if self.taken < self.slots.len() / 2 {
            return true;
        }
        let len = (self.slots.len() * 2).max(LEAST);
        let Ok(layout) = Layout::array::<Entry>(len) else { return false };
        let mapped = provider::map(layout.size());
        // SAFETY: the heap is a static.
        let Some(memory) = mapped.or_else(|| unsafe { heap.allocate(layout) }) else {
            // A fuller table is slower.
            return self.taken < self.slots.len() / 8 * 7;
        };
        let first = memory.cast::<Entry>();
        for index in 0..len {
            // SAFETY: the memory has `len` slots.
            unsafe { first.add(index).write(Entry::EMPTY) };
        }
        let slots = NonNull::slice_from_raw_parts(first, len);
        let old = mem::replace(self, Self { slots, taken: 0, is_mapped: mapped.is_some() });
        old.entries().for_each(|&entry| self.insert(entry));
        let layout = Layout::for_value(old.slots());
        // SAFETY: the memory was the old table's own, and came from there with this layout.
        unsafe {
            match old.slots.len() {
                0 => {}
                _ if old.is_mapped => {
                    provider::unmap(old.slots.cast(), layout.size());
                }
                _ => heap.deallocate(old.slots.cast(), layout),
            }
        }
        true
    }

    /// Adds an entry. There is [room](Table::reserve), and none of this address.
    pub(super) fn insert(&mut self, entry: Entry) {
        let index = self.index_of(entry.address);
        self.slots_mut()[index] = entry;
        self.taken += 1;
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, address: usize) {
        if self.find(address).is_none() {
            return;
        }
        let mask = self.slots.len() - 1;
        let mut hole = self.index_of(address);
        let mut index = hole;
        loop {
            index = (index + 1) & mask;
            let entry = self.slots()[index];
            if entry.address == 0 {
                break;
            }
            // An entry moves into the hole if the hole is not before its home.
            let home = self.home(entry.address);
            if (index.wrapping_sub(home) & mask) >= (index.wrapping_sub(hole) & mask) {
                self.slots_mut()[hole] = entry;
                hole = index;
            }
        }
        self.slots_mut()[hole] = Entry::EMPTY;
        self.taken -= 1;
    }

    /// Returns the entry with the highest address up to this one. O(slots).
    pub(super) fn around(&self, address: usize) -> Option<&Entry> {
        self.entries().filter(|entry| entry.address <= address).max_by_key(|entry| entry.address)
    }
}

/// Value of each byte of a block in quarantine.
const FREED: u8 = 0xDF;

/// Fills a block that was freed.
///
/// # Safety
///
/// The block has that many bytes, which nothing else uses.
pub(super) unsafe fn fill(block: NonNull<u8>, size: usize) {
    // SAFETY: this function's own clause.
    unsafe { block.write_bytes(FREED, size) };
}

/// Returns the first byte of a block in quarantine that was written to: its address, the found and
/// the expected value.
///
/// # Safety
///
/// [`fill`] filled the block.
pub(super) unsafe fn first_written(block: NonNull<u8>, size: usize) -> Option<(usize, u8, u8)> {
    // SAFETY: this function's own clause.
    let bytes = unsafe { slice::from_raw_parts(block.as_ptr(), size) };
    let index = bytes.iter().position(|&byte| byte != FREED)?;
    Some((block.addr().get() + index, bytes[index], FREED))
}
