//! The documents' simple allocator, complete: first fit on one free list. To be read before
//! [`Heap`](crate::Heap).
//!
//! ```text
//!   free ──► ┌──────┬──────┐         ┌──────┬──────┐
//!            │ size │ next ├───────► │ size │ next ├──► none      in the order of addresses
//!            ├──────┴──────┤         ├──────┴──────┤
//!            │  (unused)   │  used   │  (unused)   │  used …
//!            └─────────────┘  cells  └─────────────┘
//! ```
//!
//! It shows what an allocator is, and why nobody uses this one: `allocate` and `deallocate` walk
//! the list, O(free cells).

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::provider::Break;
use crate::raw_heap::{self, RawHeap};

/// A heap cell is a header and a payload (C1). A used cell's `next` means nothing.
#[derive(Debug)]
struct Header {
    /// Bytes of the cell, header included: a multiple of `HEADER`.
    size: usize,
    /// The next free cell.
    next: Link,
}

type Link = Option<NonNull<Header>>;

/// Size of a header, and so the alignment of payloads and the unit of sizes.
const HEADER: usize = size_of::<Header>();

/// First fit over one list of free cells, fed by a break.
///
/// # Invariants
///
/// * the free list is in ascending order, and no free cell ends where another begins
/// * used and free cells do not overlap, and lie below `end`
#[derive(Debug)]
pub struct SimpleHeap<B> {
    brk: B,
    free: Link,
    /// Where the break stood after our last move: all our cells lie below.
    end: *mut u8,
}

// SAFETY: the cells belong to this heap alone and go with it.
unsafe impl<B: Send> Send for SimpleHeap<B> {}

impl<B> SimpleHeap<B> {
    /// An empty heap. The break is not moved before the first allocation.
    #[must_use]
    pub const fn new(brk: B) -> Self {
        Self { brk, free: None, end: core::ptr::null_mut() }
    }

    /// The provider.
    pub const fn provider(&self) -> &B {
        &self.brk
    }

    /// The provider, for settings of its own. Moving the break through it counts as a foreign
    /// movement.
    pub const fn provider_mut(&mut self) -> &mut B {
        &mut self.brk
    }

    /// Address and size of every free cell, in the order of addresses.
    pub fn free_cells(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut at = self.free;
        core::iter::from_fn(move || {
            let cell = at?;
            // SAFETY: cells on the list have valid headers, and the heap is borrowed.
            let header = unsafe { cell.as_ref() };
            at = header.next;
            Some((cell.addr().get(), header.size))
        })
    }
}

impl<B: Break> SimpleHeap<B> {
    /// `malloc`: the first free cell that is large enough (C4); if there is none, the break moves
    /// up. O(free cells).
    ///
    /// # Errors
    ///
    /// `None` if nothing fits and the provider does not grant more.
    ///
    /// # Safety
    ///
    /// The heap, and with it its provider, lives until the last use of the block.
    #[must_use]
    pub unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let size = layout.size().checked_add(HEADER)?.checked_next_multiple_of(HEADER)?;
        self.first_fit(size, layout.align()).or_else(|| {
            self.grow(size.checked_add(layout.align().max(HEADER))?.checked_add(HEADER)?)?;
            self.first_fit(size, layout.align())
        })
    }

    /// `free`: the cell goes back on the list, merged with its neighbours (C5, C6). O(free cells).
    ///
    /// # Safety
    ///
    /// `block` came from this heap, was not freed since, and is not used any more.
    pub unsafe fn deallocate(&mut self, block: NonNull<u8>, _layout: Layout) {
        // SAFETY: a header stands in front of every block.
        let cell = unsafe { block.cast::<Header>().sub(1) };
        // SAFETY: it was written when the block was allocated.
        let size = unsafe { cell.as_ref() }.size;
        // SAFETY: a cell of ours that nobody uses.
        unsafe { self.insert(cell, size) };
        self.shrink();
    }

    /// Cuts a cell of `size` bytes out of the first free one that holds it (C3).
    fn first_fit(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let mut link = &mut self.free;
        loop {
            let mut cell = (*link)?;
            // SAFETY: cells on the list have valid headers; nobody else refers to them.
            let header = unsafe { cell.as_mut() };
            let first_payload = cell.addr().get() + HEADER;
            let lead = first_payload.checked_next_multiple_of(align)? - first_payload;
            if header.size < lead.checked_add(size)? {
                link = &mut header.next;
                continue;
            }
            // SAFETY: inside the free cell.
            let used = unsafe { cell.byte_add(lead) };
            let (rest, mut after) = (header.size - lead - size, header.next);
            if rest > 0 {
                // SAFETY: still inside the free cell.
                let tail = unsafe { used.byte_add(size) };
                // SAFETY: `rest` bytes of the free cell, a header at least.
                unsafe { tail.write(Header { size: rest, next: after }) };
                after = Some(tail);
            }
            if lead > 0 {
                (header.size, header.next) = (lead, after);
            } else {
                *link = after;
            }
            // SAFETY: `size` bytes of the free cell, a header at least.
            unsafe { used.write(Header { size, next: None }) };
            // SAFETY: `size ≥ HEADER`.
            return Some(unsafe { used.add(1) }.cast());
        }
    }

    /// Moves the break up and puts what was granted on the list.
    fn grow(&mut self, by: usize) -> Option<()> {
        let step = by.checked_next_multiple_of(self.brk.granule()).unwrap_or(by);
        let grant = self.brk.grow(step).or_else(|_| self.brk.grow(by)).ok()?;
        let start = grant.cast::<u8>();
        if start.as_ptr() < self.end {
            // Somebody moved the break below our cells and this grant lies over them (C14).
            // SAFETY: the grant was never used.
            let _ = unsafe { self.brk.shrink(grant.len()) };
            return None;
        }
        // Where a region begins, a first bit is never handed out and so never given back: `end`
        // stays above what others own.
        let fence = if start.as_ptr() == self.end { 0 } else { HEADER };
        self.end = self.brk.end();
        let lead = start.addr().get().wrapping_neg() % HEADER + fence;
        let size = grant.len().checked_sub(lead)? / HEADER * HEADER;
        if size > 0 {
            // SAFETY: `lead` is less than the grant.
            let cell = unsafe { start.byte_add(lead) }.cast();
            // SAFETY: granted to us, new, aligned.
            unsafe { self.insert(cell, size) };
        }
        Some(())
    }

    /// Puts a piece of memory on the list, at its place in the order, and merges it with the pieces
    /// that it touches.
    ///
    /// # Safety
    ///
    /// `size` bytes at `cell` are this heap's and unused; `size > 0` is a multiple of `HEADER`.
    unsafe fn insert(&mut self, cell: NonNull<Header>, size: usize) {
        let (mut before, mut after): (Link, Link) = (None, self.free);
        while let Some(next) = after.filter(|&next| next < cell) {
            before = after;
            // SAFETY: cells on the list have valid headers.
            after = unsafe { next.as_ref() }.next;
        }
        let mut header = Header { size, next: after };
        // SAFETY: one past the end of the piece.
        let end = unsafe { cell.byte_add(size) };
        if let Some(next) = after.filter(|&next| next == end) {
            // SAFETY: on the list.
            let next = unsafe { next.as_ref() };
            header = Header { size: size + next.size, next: next.next };
        }
        let Some(mut before) = before else {
            // SAFETY: ours, by the caller's promise.
            unsafe { cell.write(header) };
            self.free = Some(cell);
            return;
        };
        let end_of_before = before;
        // SAFETY: on the list; nobody else refers to it.
        let before = unsafe { before.as_mut() };
        // SAFETY: one past the end of that cell.
        if unsafe { end_of_before.byte_add(before.size) } == cell {
            (before.size, before.next) = (before.size + header.size, header.next);
        } else {
            // SAFETY: ours, by the caller's promise.
            unsafe { cell.write(header) };
            before.next = Some(cell);
        }
    }

    /// If the last free cell ends at the break, gives it back (C8).
    fn shrink(&mut self) {
        let mut link = &mut self.free;
        while let Some(mut cell) = *link {
            // SAFETY: cells on the list have valid headers; nobody else refers to them.
            let header = unsafe { cell.as_mut() };
            if header.next.is_some() {
                link = &mut header.next;
                continue;
            }
            // SAFETY: one past the end of the cell.
            let end = unsafe { cell.byte_add(header.size) }.cast::<u8>().as_ptr();
            // SAFETY: the bytes below the break are those of a free cell.
            if end == self.brk.end() && unsafe { self.brk.shrink(header.size) }.is_ok() {
                *link = None;
                self.end = self.brk.end();
            }
            return;
        }
    }
}

// SAFETY: blocks are parts of disjoint cells, and stay where they are until freed.
unsafe impl<B: Break> RawHeap for SimpleHeap<B> {
    unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        unsafe { self.allocate(layout) }
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.deallocate(block, layout) }
    }

    /// `realloc`: stays if the cell is large enough, otherwise moves (C7).
    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: a header stands in front of every block.
        let cell = unsafe { block.cast::<Header>().sub(1) };
        // SAFETY: it was written when the block was allocated.
        if new_size <= unsafe { cell.as_ref() }.size - HEADER {
            return Some(block);
        }
        // SAFETY: the caller's promise.
        unsafe { raw_heap::move_block(self, block, layout, new_size) }
    }
}
