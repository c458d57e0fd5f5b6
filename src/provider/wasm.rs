//! The linear memory of a WebAssembly module as a break (feature `wasm`).

use core::ptr::{self, NonNull};

use super::{Break, BreakError};

/// Page size of linear memory, in bytes.
const PAGE: usize = 1 << 16;

/// A break at the end of a module's linear memory: `memory.grow`. It begins with the rest of the
/// memory that the module begins with, behind the module's own data.
///
/// Other code of the module may call `memory.grow` as well: the heap continues behind it. The heap
/// ends at most `isize::MAX` bytes (on 32-bit 2 GiB) above its first byte.
///
/// Do not use it if another allocator of the module takes memory from `__heap_base` on, as a C
/// library's does: both would own the rest of the first page.
///
/// ```
/// # #[cfg(target_arch = "wasm32")]
/// # mod module {
/// use brkalloc::{LockedHeap, NoMap, WasmBreak};
///
/// #[global_allocator]
/// // SAFETY: no other allocator of this module begins at `__heap_base`.
/// static HEAP: LockedHeap<WasmBreak> = LockedHeap::new(unsafe { WasmBreak::new() });
/// # }
/// ```
///
/// # Invariants
///
/// `end` is null before the first grant, then the end of the last grant.
#[derive(Debug)]
pub struct WasmBreak<M = Module> {
    memory: M,
    end: *mut u8,
}

// SAFETY: the granted memory belongs to this value alone; `M` may move to another thread.
unsafe impl<M: Send> Send for WasmBreak<M> {}

/// Linear memory, as the break sees it.
///
/// # Safety
///
/// `grow` appends zeroed pages that nothing else uses. From `base` to `first_end` memory is zero
/// and unused.
#[doc(hidden)]
pub unsafe trait LinearMemory {
    /// Returns the first address behind the module's data.
    fn base(&self) -> *mut u8;

    /// Returns the end of the memory that the module begins with.
    fn first_end(&self) -> usize;

    /// Returns the number of pages.
    fn pages(&self) -> usize;

    /// Appends pages, and returns the number of pages before.
    fn grow(&mut self, pages: usize) -> Option<usize>;
}

/// The module's own linear memory.
#[doc(hidden)]
#[derive(Debug)]
pub struct Module(());

#[cfg(target_arch = "wasm32")]
unsafe extern "C" {
    static mut __heap_base: u8;
    static __heap_end: u8;
}

#[cfg(target_arch = "wasm32")]
// SAFETY: `memory.grow` appends zeroed pages. The linker places `__heap_base` behind data and
// stack, and `__heap_end` at the end of the first pages; by the clause of `WasmBreak::new` nothing
// else uses what is between.
unsafe impl LinearMemory for Module {
    fn base(&self) -> *mut u8 {
        &raw mut __heap_base
    }

    fn first_end(&self) -> usize {
        (&raw const __heap_end).addr()
    }

    fn pages(&self) -> usize {
        core::arch::wasm32::memory_size(0)
    }

    fn grow(&mut self, pages: usize) -> Option<usize> {
        let before = core::arch::wasm32::memory_grow(0, pages);
        (before != usize::MAX).then_some(before)
    }
}

impl WasmBreak {
    /// Returns the break of this module, with nothing granted.
    ///
    /// # Safety
    ///
    /// The module has one such break, and nothing else uses its memory between `__heap_base` and
    /// the end of the memory that it begins with. No code changes pages that `memory.grow` gave to
    /// this break.
    #[must_use]
    pub const unsafe fn new() -> Self {
        Self { memory: Module(()), end: ptr::null_mut() }
    }
}

impl<M: LinearMemory> WasmBreak<M> {
    /// Returns the first address behind linear memory; 0 stands for 4 GiB on 32-bit.
    fn limit(&self) -> usize {
        self.memory.pages().wrapping_mul(PAGE)
    }
}

// SAFETY: a grant is the rest of the first pages, or pages that `grow` has appended; both are zero
// and belong to this value alone.
unsafe impl<M: LinearMemory> Break for WasmBreak<M> {
    const ZEROED: bool = true;

    fn granule(&self) -> usize {
        PAGE
    }

    /// Returns the end of the last grant, even if other code has grown linear memory since.
    fn end(&self) -> *mut u8 {
        if self.end.is_null() { self.memory.base() } else { self.end }
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        let (base, first_end, before) = (self.memory.base(), self.memory.first_end(), self.limit());
        let rest = if self.end.is_null() { first_end.wrapping_sub(base.addr()) } else { 0 };
        // Pages of other code may lie between the first pages and those that are appended.
        let (at_hand, from) = match by <= rest {
            true => (rest, first_end),
            false if before == first_end => (rest, before),
            false => (0, before),
        };
        let mut start = from.wrapping_sub(at_hand);
        let pages = by.saturating_sub(at_hand).div_ceil(PAGE);
        let len = pages.checked_mul(PAGE).and_then(|len| len.checked_add(at_hand));
        let len = len.ok_or(BreakError::OutOfAddresses)?;
        let require_near = |start: usize| match start.checked_add(len) {
            Some(end) if end.wrapping_sub(base.addr()) <= isize::MAX as usize => Ok(()),
            _ => Err(BreakError::OutOfAddresses),
        };
        require_near(start)?;
        if pages > 0 {
            let grown = self.memory.grow(pages).ok_or(BreakError::OutOfMemory)?.wrapping_mul(PAGE);
            // Another thread has appended pages in between.
            if grown != before {
                if at_hand > 0 {
                    // The grant was to begin in the first pages. These are lost, once.
                    self.end = base.with_addr(grown);
                    return self.grow(by);
                }
                require_near(grown)?;
                start = grown;
            }
        }
        let start = base.with_addr(start);
        self.end = start.wrapping_add(len);
        let granted = NonNull::new(start).ok_or(BreakError::OutOfAddresses)?;
        Ok(NonNull::slice_from_raw_parts(granted, len))
    }

    /// Linear memory does not shrink.
    unsafe fn shrink(&mut self, _: usize) -> Result<(), BreakError> {
        Err(BreakError::Refused)
    }
}

#[cfg(test)]
mod tests {
    use core::mem;
    use std::alloc::{Layout, alloc_zeroed};

    use super::*;
    use crate::heap::Heap;

    /// Linear memory inside of a host allocation, at page numbers of the host's addresses.
    struct Model {
        start: *mut u8,
        pages: usize,
        most: usize,
        refuse_at: usize,
        /// Number of pages that another thread appends before the next ones.
        taken: usize,
    }

    /// Bytes of the module's own data.
    const DATA: usize = 5000;

    // SAFETY: the allocation is zeroed, and only the test's break uses it behind `DATA`.
    unsafe impl LinearMemory for Model {
        fn base(&self) -> *mut u8 {
            self.start.wrapping_add(DATA)
        }

        fn first_end(&self) -> usize {
            self.start.addr() + PAGE
        }

        fn pages(&self) -> usize {
            self.start.addr() / PAGE + self.pages
        }

        fn grow(&mut self, pages: usize) -> Option<usize> {
            self.refuse_at = self.refuse_at.checked_sub(1)?;
            self.pages += mem::take(&mut self.taken);
            let before = self.pages();
            self.pages = Some(self.pages + pages).filter(|&pages| pages <= self.most)?;
            Some(before)
        }
    }

    fn model(most: usize) -> WasmBreak<Model> {
        let layout = Layout::from_size_align(most * PAGE, PAGE).unwrap();
        // SAFETY: the layout has a size. The memory is leaked: a heap's blocks refer to it.
        let start = unsafe { alloc_zeroed(layout) };
        let memory = Model { start, pages: 1, most, refuse_at: usize::MAX, taken: 0 };
        WasmBreak { memory, end: ptr::null_mut() }
    }

    #[test]
    fn the_rest_of_the_first_page_is_granted_first() {
        let mut brk = model(8);
        let base = brk.memory.base();
        let grant = brk.grow(100).unwrap();
        assert_eq!((grant.cast().as_ptr(), grant.len()), (base, PAGE - DATA));
        let next = brk.grow(PAGE + 1).unwrap();
        assert_eq!(next.cast().as_ptr(), base.wrapping_add(PAGE - DATA));
        assert_eq!((next.len(), brk.memory.pages), (2 * PAGE, 3));
        assert_eq!(brk.end(), next.cast::<u8>().as_ptr().wrapping_add(2 * PAGE));
    }

    #[test]
    fn a_large_first_grant_begins_at_the_base() {
        let mut brk = model(8);
        let grant = brk.grow(2 * PAGE).unwrap();
        assert_eq!((grant.cast().as_ptr(), grant.len()), (brk.memory.base(), 3 * PAGE - DATA));
    }

    #[test]
    fn pages_that_other_code_took_before_the_first_grant_are_not_granted() {
        for (by, of_rest) in [(100, true), (PAGE, false)] {
            let mut brk = model(8);
            brk.memory.grow(2).unwrap();
            let (base, behind) = (brk.memory.base(), brk.memory.start.wrapping_add(3 * PAGE));
            let grant = brk.grow(by).unwrap();
            let expected = if of_rest { (base, PAGE - DATA) } else { (behind, PAGE) };
            assert_eq!((grant.cast().as_ptr(), grant.len()), expected);
            assert_eq!(brk.grow(PAGE).unwrap().cast().as_ptr(), brk.end().wrapping_sub(PAGE));
            assert!(brk.end() > behind);
        }
        let mut heap = Heap::new(model(8));
        heap.provider_mut().memory.grow(2).unwrap();
        let layout = Layout::from_size_align(PAGE / 2, 16).unwrap();
        // SAFETY: the heap outlives the blocks.
        let granted = (0..100).filter_map(|_| unsafe { heap.allocate(layout) }).count();
        assert_eq!((granted, heap.check()), (9, Ok(())));
    }

    #[test]
    fn pages_that_another_thread_appends_at_the_same_time_are_not_granted() {
        for (by, page, len) in [(PAGE, 4, PAGE), (2 * PAGE - DATA, 4, 2 * PAGE)] {
            let mut brk = model(12);
            brk.memory.taken = 2;
            let grant = brk.grow(by).unwrap();
            let start = brk.memory.start.wrapping_add(page * PAGE);
            assert_eq!((grant.cast().as_ptr(), grant.len()), (start, len));
            assert_eq!(brk.memory.pages, page + len / PAGE);
            brk.memory.taken = 1;
            let next = brk.grow(PAGE).unwrap();
            assert_eq!(next.cast().as_ptr(), start.wrapping_add(len + PAGE));
            assert_eq!(brk.end(), start.wrapping_add(len + 2 * PAGE));
        }
        let mut heap = Heap::new(model(16));
        let layout = Layout::from_size_align(PAGE, 16).unwrap();
        for _ in 0..4 {
            heap.provider_mut().memory.taken = 1;
            // SAFETY: the heap outlives the blocks.
            unsafe { heap.allocate(layout) }.unwrap();
        }
        assert_eq!(heap.check(), Ok(()));
    }

    #[test]
    fn memory_ends_half_the_addresses_above_its_first_byte() {
        let mut brk = model(8);
        for by in [isize::MAX as usize, usize::MAX] {
            assert_eq!(brk.grow(by), Err(BreakError::OutOfAddresses));
        }
        assert_eq!(brk.memory.pages, 1);
    }

    #[test]
    fn a_heap_goes_on_behind_pages_of_other_code() {
        let mut heap = Heap::new(model(16));
        let layout = Layout::from_size_align(PAGE, 16).unwrap();
        // SAFETY: the heap outlives the blocks.
        unsafe {
            heap.allocate(layout).unwrap();
            heap.provider_mut().memory.grow(1).unwrap();
            heap.allocate(layout).unwrap();
        }
        assert_eq!((heap.check(), heap.stats().holes), (Ok(()), 1));
    }

    #[test]
    fn every_refused_page_is_an_error_that_changes_nothing() {
        for refused in 0..4 {
            let mut heap = Heap::new(model(64));
            heap.provider_mut().memory.refuse_at = refused;
            let layout = Layout::from_size_align(3 * PAGE, 16).unwrap();
            // SAFETY: the heap outlives the blocks.
            let granted = (0..4).filter_map(|_| unsafe { heap.allocate(layout) }).count();
            assert_eq!((granted, heap.check()), (refused.min(4), Ok(())), "{refused}");
            heap.provider_mut().memory.refuse_at = usize::MAX;
            // SAFETY: as before.
            assert!(unsafe { heap.allocate(layout) }.is_some());
        }
    }
}
