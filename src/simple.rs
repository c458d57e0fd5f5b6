//! The documents' simple allocator, complete: first fit on one free list. Read it before
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
//! It shows the principle of an allocator, and its cost: `allocate` and `deallocate` walk the list,
//! which is O(free cells).

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::provider::Break;
use crate::raw_heap::RawHeap;
use crate::sealed::Sealed;

/// Header of a cell, in front of its payload (C1).
#[derive(Debug)]
struct Header {
    /// Size of the cell in bytes, header included: a multiple of `HEADER`.
    size: usize,
    /// Next free cell. A used cell does not use it.
    next: Link,
}

/// Link of the free list; `None` at its end.
type Link = Option<NonNull<Header>>;

/// Size of a header in bytes, and so the alignment of payloads and the unit of sizes.
const HEADER: usize = size_of::<Header>();

/// Heap with first fit on one free list, over the memory of a break.
///
/// # Invariants
///
/// * the free list is in ascending order of addresses, and no free cell ends where another begins
/// * used and free cells do not overlap, and lie below `end`
#[derive(Debug)]
pub struct SimpleHeap<B> {
    /// Provider of memory.
    brk: B,
    /// Head of the free list.
    free: Link,
    /// Break after the heap's last move. All cells lie below it.
    end: *mut u8,
}

// SAFETY: the cells belong to this heap only, and move to another thread with it.
unsafe impl<B: Send> Send for SimpleHeap<B> {}

impl<B> SimpleHeap<B> {
    /// Returns an empty heap. The first allocation moves the break.
    #[must_use]
    pub const fn new(brk: B) -> Self {
        Self { brk, free: None, end: core::ptr::null_mut() }
    }

    /// Returns the provider.
    pub const fn provider(&self) -> &B {
        &self.brk
    }

    /// Returns the provider, for its settings. A move of the break through it counts as a foreign
    /// move.
    pub const fn provider_mut(&mut self) -> &mut B {
        &mut self.brk
    }

    /// Returns the address and the size in bytes of every free cell, in the order of addresses.
    /// O(1) a cell.
    pub fn free_cells(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut at = self.free;
        core::iter::from_fn(move || {
            let cell = at?;
            // SAFETY: cells on the free list have valid headers, and the heap is borrowed.
            let header = unsafe { cell.as_ref() };
            at = header.next;
            Some((cell.addr().get(), header.size))
        })
    }
}

impl<B: Break> SimpleHeap<B> {
    /// Allocates a block, as `malloc`: from the first free cell that is large enough (C4), or by a
    /// move of the break.
    ///
    /// # Errors
    ///
    /// `None` if no free cell is large enough and the provider does not grant more.
    ///
    /// # Safety
    ///
    /// The heap, and with it its provider, lives until the last use of the block.
    ///
    /// # Time
    ///
    /// O(free cells).
    #[must_use]
    pub unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let size = layout.size().checked_add(HEADER)?.checked_next_multiple_of(HEADER)?;
        self.first_fit(size, layout.align()).or_else(|| {
            self.grow(size.checked_add(layout.align().max(HEADER))?.checked_add(HEADER)?)?;
            self.first_fit(size, layout.align())
        })
    }

    /// Frees a block, as `free`: puts its cell on the list and coalesces it with its neighbours
    /// (C5, C6).
    ///
    /// # Safety
    ///
    /// `block` came from this heap and was not freed since. Nothing uses it any more.
    ///
    /// # Time
    ///
    /// O(free cells).
    pub unsafe fn deallocate(&mut self, block: NonNull<u8>, _layout: Layout) {
        // SAFETY: `block` is live (this method's clause), so the heap wrote a header in front of
        // it. Nothing uses the cell any more.
        unsafe {
            let cell = block.cast::<Header>().sub(1);
            self.insert(cell, cell.as_ref().size);
        }
        self.shrink();
    }

    /// Moves a block to a larger cell. A function of its own: a block that stays in its cell takes
    /// a few instructions, and saves no registers for the move.
    ///
    /// # Safety
    ///
    /// The clauses of [`RawHeap::reallocate`]; the cell is too small for `new_size`.
    #[inline(never)]
    unsafe fn move_block(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        let new = Layout::from_size_align(new_size, layout.align()).ok()?;
        // SAFETY: the heap outlives its blocks: this method's clause.
        let moved = unsafe { self.allocate(new) }?;
        // SAFETY: two live blocks do not overlap, and both have the bytes that are copied. After
        // the copy the caller uses only the new block.
        unsafe {
            moved.copy_from_nonoverlapping(block, layout.size().min(new_size));
            self.deallocate(block, layout);
        }
        Some(moved)
    }

    /// Splits a cell of `size` bytes off the first free cell that is large enough (C3).
    fn first_fit(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let mut link = &mut self.free;
        loop {
            let mut cell = (*link)?;
            // SAFETY: cells on the free list have valid headers; the heap is borrowed mutably, so
            // no other reference to them exists.
            let header = unsafe { cell.as_mut() };
            let first_payload = cell.addr().get() + HEADER;
            let lead = first_payload.checked_next_multiple_of(align)? - first_payload;
            if header.size < lead.checked_add(size)? {
                link = &mut header.next;
                continue;
            }
            // SAFETY: the free cell has at least `lead + size` bytes.
            let used = unsafe { cell.byte_add(lead) };
            let (rest, mut after) = (header.size - lead - size, header.next);
            if rest > 0 {
                // SAFETY: the free cell ends `rest` bytes above this place, at least one header.
                let tail = unsafe {
                    let tail = used.byte_add(size);
                    tail.write(Header { size: rest, next: after });
                    tail
                };
                after = Some(tail);
            }
            if lead > 0 {
                (header.size, header.next) = (lead, after);
            } else {
                *link = after;
            }
            // SAFETY: `used` has `size` bytes of the free cell, at least one header.
            let payload = unsafe {
                used.write(Header { size, next: None });
                used.add(1)
            };
            return Some(payload.cast());
        }
    }

    /// Moves the break up by at least `by` bytes and puts the grant on the free list. Returns
    /// `None` if the provider refuses.
    fn grow(&mut self, by: usize) -> Option<()> {
        let step = by.checked_next_multiple_of(self.brk.granule()).unwrap_or(by);
        let grant = self.brk.grow(step).or_else(|_| self.brk.grow(by)).ok()?;
        let start = grant.cast::<u8>();
        if start.as_ptr() < self.end {
            // Foreign code has moved the break below this heap's cells, and the grant overlaps them
            // (C14).
            // SAFETY: the heap has not used the grant.
            let _ = unsafe { self.brk.shrink(grant.len()) };
            return None;
        }
        // The first bytes of a new region stay unused and are never given back, so that `end` stays
        // above foreign memory.
        let fencepost = if start.as_ptr() == self.end { 0 } else { HEADER };
        self.end = self.brk.end();
        let lead = start.addr().get().wrapping_neg() % HEADER + fencepost;
        let size = grant.len().checked_sub(lead)? / HEADER * HEADER;
        if size > 0 {
            // SAFETY: the grant has `lead + size` bytes or more, is new, and no cell overlaps it;
            // `lead` aligns the cell.
            unsafe { self.insert(start.byte_add(lead).cast(), size) };
        }
        Some(())
    }

    /// Puts a free cell on the list, in the order of addresses, and coalesces it with free
    /// neighbours.
    ///
    /// # Safety
    ///
    /// The `size` bytes at `cell` are memory of this heap, aligned, in no free cell, and not used.
    /// `size > 0` is a multiple of `HEADER`.
    unsafe fn insert(&mut self, cell: NonNull<Header>, size: usize) {
        let (mut before, mut after): (Link, Link) = (None, self.free);
        while let Some(next) = after.filter(|&next| next < cell) {
            before = after;
            // SAFETY: cells on the free list have valid headers.
            after = unsafe { next.as_ref() }.next;
        }
        let mut header = Header { size, next: after };
        // SAFETY: this is the end of the cell.
        let end = unsafe { cell.byte_add(size) };
        if let Some(next) = after.filter(|&next| next == end) {
            // SAFETY: cells on the free list have valid headers.
            let next = unsafe { next.as_ref() };
            header = Header { size: size + next.size, next: next.next };
        }
        let Some(mut before) = before else {
            // SAFETY: the cell is unused memory of this heap: this method's clause.
            unsafe { cell.write(header) };
            self.free = Some(cell);
            return;
        };
        let end_of_before = before;
        // SAFETY: cells on the free list have valid headers; the heap is borrowed mutably, so no
        // other reference to them exists.
        let before = unsafe { before.as_mut() };
        // SAFETY: this is the end of that cell.
        if unsafe { end_of_before.byte_add(before.size) } == cell {
            (before.size, before.next) = (before.size + header.size, header.next);
        } else {
            // SAFETY: the cell is unused memory of this heap: this method's clause.
            unsafe { cell.write(header) };
            before.next = Some(cell);
        }
    }

    /// Gives the last free cell back to the provider, if it ends at the break (C8).
    fn shrink(&mut self) {
        let mut link = &mut self.free;
        while let Some(mut cell) = *link {
            // SAFETY: cells on the free list have valid headers; the heap is borrowed mutably, so
            // no other reference to them exists.
            let header = unsafe { cell.as_mut() };
            if header.next.is_some() {
                link = &mut header.next;
                continue;
            }
            // SAFETY: this is the end of the cell.
            let end = unsafe { cell.byte_add(header.size) }.cast::<u8>().as_ptr();
            // SAFETY: the `header.size` bytes below the break are a free cell, granted to this
            // heap.
            if end == self.brk.end() && unsafe { self.brk.shrink(header.size) }.is_ok() {
                *link = None;
                self.end = self.brk.end();
            }
            return;
        }
    }
}

impl<B> Sealed for SimpleHeap<B> {}

// SAFETY: cells do not overlap, so blocks do not, and a block stays valid until it is freed.
unsafe impl<B: Break> RawHeap for SimpleHeap<B> {
    unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the heap outlives the block: this method's clause.
        unsafe { self.allocate(layout) }
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the block is live and came from this heap: this method's clause.
        unsafe { self.deallocate(block, layout) }
    }

    /// Resizes a block, as `realloc`: the block stays if its cell is large enough, otherwise it
    /// moves (C7).
    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the block is live (this method's clause), so the heap wrote a header in front of
        // it.
        let size = unsafe { block.cast::<Header>().sub(1).as_ref().size };
        if new_size <= size - HEADER {
            return Some(block);
        }
        // SAFETY: the clauses are those of this method.
        unsafe { self.move_block(block, layout, new_size) }
    }
}
