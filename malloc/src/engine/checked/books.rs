//! The books of the checked heap: its blocks, and the quarantine. What they say of a block, and
//! what the heap finds, ends the process with a message.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use super::Heap;
use super::table::{self, Entry, Table};
use crate::engine::call::Call;
use crate::report;

/// Maximum number of blocks in quarantine.
const COUNT: usize = 1 << 14;

/// Maximum of their requested sizes, in bytes.
const BYTES: usize = 64 << 20;

/// What is known of the blocks, beside the heap.
pub(super) struct Books {
    pub(super) blocks: Table,
    /// Addresses of the blocks in quarantine: a ring.
    ring: [usize; COUNT],
    oldest: usize,
    count: usize,
    pub(super) bytes: usize,
    /// Addresses of the blocks that the heap got back last: a ring.
    gone: [usize; COUNT],
    last_gone: usize,
}

/// Where a misuse was found, in a message.
#[derive(Clone, Copy)]
pub(super) enum Found {
    /// In a call with this return address.
    By(usize),
    /// At exit, by `malloc_trim`, or by a decay.
    InCheck,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::By(caller) => write!(f, ", found in a call by {caller:#x}"),
            Self::InCheck => f.write_str(", found in a check of all blocks"),
        }
    }
}

/// Where a block comes from, in a message.
struct Origin<'a>(Option<&'a Entry>);

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Entry { address, layout, caller, family, .. }) = self.0 else { return Ok(()) };
        let size = layout.size();
        write!(f, "; the block at {address:#x} has {size} bytes, from {family}, ")?;
        write!(f, "allocated by {caller:#x}")?;
        if self.0.is_some_and(|entry| entry.is_free) {
            write!(f, ", freed by {:#x}", self.0.map_or(0, |entry| entry.freed_by))?;
        }
        Ok(())
    }
}

impl Books {
    /// Returns the books of a heap without blocks.
    pub(super) const fn new() -> Self {
        Self {
            blocks: Table::new(),
            ring: [0; COUNT],
            oldest: 0,
            count: 0,
            bytes: 0,
            gone: [0; COUNT],
            last_gone: 0,
        }
    }

    /// Ends the process if the heap has reported a misuse.
    pub(super) fn settle(&self, found: Found) {
        if let Some(misuse) = super::misuse() {
            let origin = Origin(self.blocks.around(misuse.at.max(misuse.block)));
            report::die(format_args!("{misuse}{found}{origin}"));
        }
    }

    pub(super) fn allocate(
        &mut self,
        heap: &mut Heap,
        layout: Layout,
        call: Call,
        mut take: impl FnMut(&mut Heap, Layout) -> Option<NonNull<u8>>,
    ) -> Option<NonNull<u8>> {
        if !self.blocks.reserve(heap) {
            return None;
        }
        let mut block = take(heap, layout);
        self.settle(Found::By(call.caller));
        if block.is_none() && self.count > 0 {
            self.release(heap, 0, Found::By(call.caller));
            block = take(heap, layout);
            self.settle(Found::By(call.caller));
        }
        self.enter(block?, layout, call);
        block
    }

    pub(super) fn enter(&mut self, block: NonNull<u8>, layout: Layout, call: Call) {
        self.blocks.insert(Entry {
            address: block.addr().get(),
            layout,
            caller: call.caller,
            family: call.family,
            ..Entry::EMPTY
        });
    }

    /// Verifies a block before it is freed or resized, and returns its layout. A misuse ends the
    /// process.
    ///
    /// # Safety
    ///
    /// If the address is a block's, the caller gives it up, or resizes it.
    pub(super) unsafe fn admit(
        &mut self,
        heap: &mut Heap,
        block: NonNull<u8>,
        call: Call,
    ) -> Layout {
        let Some(&mut entry) = self.blocks.find(block.addr().get()) else {
            let address = block.addr().get();
            let around = self.blocks.around(address);
            if let Some(entry) =
                around.filter(|entry| address - entry.address < entry.layout.size())
            {
                report::die(format_args!(
                    "free of {block:p}, which was never allocated: it lies inside the block at \
                     {:#x}, found in a call by {:#x}{}",
                    entry.address,
                    call.caller,
                    Origin(Some(entry))
                ));
            }
            if self.gone.contains(&address) {
                report::die(format_args!(
                    "double free of the block at {block:p}: it is free already, and its memory \
                     was given back, found in a call by {:#x}",
                    call.caller
                ));
            }
            // SAFETY: a checked heap takes any address, and says what it is.
            unsafe { heap.deallocate_by_ptr(block) };
            self.settle(Found::By(call.caller));
            report::die(format_args!("free of {block:p}, which was never allocated"));
        };
        let origin = Origin(Some(&entry));
        if entry.is_free {
            report::die(format_args!(
                "double free of the block at {block:p}: it is free already, freed again by \
                 {:#x}{origin}",
                call.caller
            ));
        }
        if entry.family != call.family {
            report::die(format_args!(
                "wrong family: {} of the block at {block:p}, by {:#x}: expected {}{origin}",
                call.family.frees(),
                call.caller,
                entry.family.frees(),
            ));
        }
        heap.verify(block, entry.layout);
        self.settle(Found::By(call.caller));
        entry.layout
    }

    /// Frees a block of this layout that was verified.
    ///
    /// # Safety
    ///
    /// The block is live, and no longer used.
    pub(super) unsafe fn free(
        &mut self,
        heap: &mut Heap,
        block: NonNull<u8>,
        layout: Layout,
        caller: usize,
    ) {
        let (found, size) = (Found::By(caller), layout.size());
        let address = block.addr().get();
        if layout.size() > BYTES / 2 {
            self.forget(address);
            // SAFETY: this method's own clauses.
            unsafe { heap.deallocate(block, layout) };
            return self.settle(found);
        }
        if let Some(entry) = self.blocks.find(address) {
            (entry.is_free, entry.freed_by) = (true, caller);
        }
        // SAFETY: the block has `size` bytes, and is no longer used.
        unsafe { table::fill(block, size) };
        if self.count == COUNT {
            self.release_oldest(heap, found);
        }
        self.ring[(self.oldest + self.count) % COUNT] = address;
        self.count += 1;
        self.bytes += size;
        self.release(heap, BYTES, found);
    }

    /// Forgets a block that the heap gets back.
    fn forget(&mut self, address: usize) {
        self.blocks.remove(address);
        self.last_gone = (self.last_gone + 1) % COUNT;
        self.gone[self.last_gone] = address;
    }

    /// Gives the oldest blocks in quarantine back to the heap until at most `bytes` remain.
    pub(super) fn release(&mut self, heap: &mut Heap, bytes: usize, found: Found) {
        while self.count > 0 && (self.bytes > bytes || bytes == 0) {
            self.release_oldest(heap, found);
        }
    }

    fn release_oldest(&mut self, heap: &mut Heap, found: Found) {
        let address = self.ring[self.oldest];
        self.oldest = (self.oldest + 1) % COUNT;
        self.count -= 1;
        self.bytes -= self.verify_freed(heap, address, found);
        self.forget(address);
        if let Some(block) = pointer(address) {
            // SAFETY: the block is the heap's, and was freed.
            unsafe { heap.deallocate_by_ptr(block) };
            self.settle(found);
        }
    }

    /// Verifies a block in quarantine. Returns its size.
    fn verify_freed(&mut self, heap: &mut Heap, address: usize, found: Found) -> usize {
        let (Some(&mut entry), Some(block)) = (self.blocks.find(address), pointer(address)) else {
            return 0;
        };
        let size = entry.layout.size();
        // SAFETY: the block is in quarantine, so it was filled.
        if let Some((at, byte, expected)) = unsafe { table::first_written(block, size) } {
            report::die(format_args!(
                "write after free: the free block at {address:#x} was written to (at {at:#x}: \
                 expected {expected:#x}, found {byte:#x}){found}{}",
                Origin(Some(&entry))
            ));
        }
        heap.verify(block, entry.layout);
        self.settle(found);
        size
    }

    /// Verifies all blocks, and every header.
    pub(super) fn verify_all(&mut self, heap: &mut Heap) {
        for index in 0..self.count {
            self.verify_freed(heap, self.ring[(self.oldest + index) % COUNT], Found::InCheck);
        }
        for entry in self.blocks.entries().filter(|entry| !entry.is_free) {
            if let Some(block) = pointer(entry.address) {
                heap.verify(block, entry.layout);
                self.settle(Found::InCheck);
            }
        }
        if let Err(corruption) = heap.check() {
            let origin = Origin(self.blocks.around(corruption.at));
            report::die(format_args!("overflow: {corruption}{origin}"));
        }
    }
}

/// Returns the block at an address of the table.
pub(super) fn pointer(address: usize) -> Option<NonNull<u8>> {
    NonNull::new(core::ptr::with_exposed_provenance_mut(address))
}
