//! A break over page tables of the crate x86_64 (feature `x86_64`).

use core::fmt;
use core::ptr::NonNull;

use x86_64::VirtAddr;
use x86_64::structures::paging::mapper::Mapper;
use x86_64::structures::paging::{
    FrameAllocator, FrameDeallocator, Page, PageTableFlags, PhysFrame, Size4KiB,
};

use super::{Break, BreakError};

/// Page size, in bytes.
const PAGE: usize = 4096;

/// The break of a kernel's heap: maps a frame behind each page when the heap grows, and gives the
/// frames back when it shrinks.
///
/// `M` maps pages, and `F` provides frames. Both belong to the break: the heap calls them with its
/// lock held. A frame allocator that cannot take frames back becomes one that can in a
/// [`RecycledFrames`].
///
/// Do not use it if the kernel serves page faults: a break that only moves its end takes no frame
/// for memory that the program never touches.
///
/// ```no_run
/// use brkalloc::{LockedHeap, PagedBreak, RecycledFrames};
/// use x86_64::VirtAddr;
/// use x86_64::structures::paging::{FrameAllocator, OffsetPageTable, Size4KiB};
/// # struct BootFrames;
/// # // SAFETY: it has no frames.
/// # unsafe impl FrameAllocator<Size4KiB> for BootFrames {
/// #     fn allocate_frame(&mut self) -> Option<x86_64::structures::paging::PhysFrame> { None }
/// # }
///
/// const START: usize = 0x4444_4444_0000;
/// const LEN: usize = 64 << 20; // addresses, not memory
///
/// #[global_allocator]
/// static HEAP: LockedHeap<Option<PagedBreak<OffsetPageTable, RecycledFrames<BootFrames>>>> =
///     LockedHeap::empty();
///
/// fn init_heap(mapper: OffsetPageTable<'static>, frames: BootFrames, physical: VirtAddr) {
///     // SAFETY: all physical memory is mapped at `physical`; nothing else uses these addresses.
///     unsafe {
///         let frames = RecycledFrames::new(frames, physical);
///         HEAP.init_with(PagedBreak::new(START as *mut u8, LEN, mapper, frames)).unwrap();
///     }
/// }
/// # fn main() {}
/// ```
///
/// # Invariants
///
/// * `used ≤ len`
/// * the pages that `[start, start + used)` touches are mapped, and no others of the region
pub struct PagedBreak<M, F> {
    start: *mut u8,
    len: usize,
    used: usize,
    flags: PageTableFlags,
    flush: fn(Page<Size4KiB>),
    mapper: M,
    frames: F,
}

// SAFETY: the region belongs to this value alone; mapper and frames may move to another thread.
unsafe impl<M: Send, F: Send> Send for PagedBreak<M, F> {}

impl<M, F> PagedBreak<M, F> {
    /// Returns a break over `len` bytes of addresses at `start`, and the pages that they touch. It
    /// starts at `start`, with nothing mapped.
    ///
    /// Pages are mapped with `PRESENT | WRITABLE` ([`with_flags`](PagedBreak::with_flags) adds
    /// others).
    ///
    /// # Safety
    ///
    /// * The addresses are canonical, none of their pages is mapped, and nothing else maps or uses
    ///   them as long as this value, or a block in memory that it granted, is in use.
    /// * `mapper` changes the page tables that are active wherever the heap is used.
    /// * Other CPUs do not use these page tables, or
    ///   [`with_flush`](PagedBreak::with_flush) reaches them.
    #[must_use]
    pub const unsafe fn new(start: *mut u8, len: usize, mapper: M, frames: F) -> Self {
        let flags = PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE);
        Self { start, len, used: 0, flags, flush: flush_here, mapper, frames }
    }

    /// Maps pages with these flags too, such as `NO_EXECUTE` (if EFER.NXE is set) or `GLOBAL`.
    #[must_use]
    pub const fn with_flags(mut self, flags: PageTableFlags) -> Self {
        self.flags = self.flags.union(flags);
        self
    }

    /// Sets what removes an unmapped page from the TLB: `invlpg` on this CPU by default. A kernel
    /// with several CPUs also interrupts the others, and waits for their answers.
    ///
    /// # Safety
    ///
    /// After `flush` returns, no CPU uses an old translation of the page.
    #[must_use]
    pub const unsafe fn with_flush(mut self, flush: fn(Page<Size4KiB>)) -> Self {
        self.flush = flush;
        self
    }

    /// Returns the frame provider.
    pub const fn frames(&self) -> &F {
        &self.frames
    }

    /// Returns the page with this index in the region.
    fn page(&self, index: usize) -> Page<Size4KiB> {
        Page::containing_address(VirtAddr::from_ptr(self.start.wrapping_add(index * PAGE)))
    }

    /// Returns the number of pages that `used` bytes touch. The first page begins at or below
    /// `start`.
    fn pages(&self, used: usize) -> usize {
        if used == 0 { 0 } else { (self.start.addr() % PAGE + used).div_ceil(PAGE) }
    }
}

/// Removes a page from this CPU's TLB.
fn flush_here(page: Page<Size4KiB>) {
    #[cfg(target_arch = "x86_64")]
    x86_64::instructions::tlb::flush(page.start_address());
    #[cfg(not(target_arch = "x86_64"))]
    let _ = page;
}

impl<M, F> PagedBreak<M, F>
where
    M: Mapper<Size4KiB>,
    F: FrameAllocator<Size4KiB> + FrameDeallocator<Size4KiB>,
{
    /// Maps the pages `from..to`. If one cannot be mapped, unmaps the others again.
    fn map(&mut self, from: usize, to: usize) -> Result<(), BreakError> {
        for index in from..to {
            if self.map_one(self.page(index)).is_none() {
                self.unmap(from, index);
                return Err(BreakError::OutOfMemory);
            }
        }
        Ok(())
    }

    fn map_one(&mut self, page: Page<Size4KiB>) -> Option<()> {
        let frame = self.frames.allocate_frame()?;
        // SAFETY: the frame is unused, and nothing else uses the page: the clauses of
        // `FrameAllocator` and of `new`.
        let mapped = unsafe { self.mapper.map_to(page, frame, self.flags, &mut self.frames) };
        // SAFETY: the frame came from this allocator, and is not mapped.
        let flush = mapped.map_err(|_| unsafe { self.frames.deallocate_frame(frame) }).ok()?;
        // The page was not present, so no TLB has it.
        flush.ignore();
        Some(())
    }

    /// Unmaps the pages `from..to` and gives their frames back.
    fn unmap(&mut self, from: usize, to: usize) {
        for index in from..to {
            let page = self.page(index);
            if let Ok((frame, flush)) = self.mapper.unmap(page) {
                flush.ignore();
                (self.flush)(page);
                // SAFETY: the frame came from this allocator, for this page, which is unmapped on
                // every CPU.
                unsafe { self.frames.deallocate_frame(frame) };
            }
        }
    }
}

// SAFETY: grants are disjoint parts of the region, which belongs to this value alone. Each is
// mapped before it is returned, and unmapped after the heap gave it back. After an error, no page
// is mapped that was not before.
unsafe impl<M, F> Break for PagedBreak<M, F>
where
    M: Mapper<Size4KiB>,
    F: FrameAllocator<Size4KiB> + FrameDeallocator<Size4KiB>,
{
    const ZEROED: bool = false;

    fn granule(&self) -> usize {
        PAGE
    }

    fn end(&self) -> *mut u8 {
        self.start.wrapping_add(self.used)
    }

    fn remaining(&self) -> usize {
        self.len - self.used
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        let used = self.used.checked_add(by).filter(|&used| used <= self.len);
        let used = used.ok_or(BreakError::OutOfAddresses)?;
        let granted = NonNull::new(self.end()).ok_or(BreakError::OutOfAddresses)?;
        self.map(self.pages(self.used), self.pages(used))?;
        self.used = used;
        Ok(NonNull::slice_from_raw_parts(granted, by))
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        let used = self.used.checked_sub(by).ok_or(BreakError::OutOfAddresses)?;
        self.unmap(self.pages(used), self.pages(self.used));
        self.used = used;
        Ok(())
    }
}

impl<M, F> fmt::Debug for PagedBreak<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PagedBreak")
            .field("start", &self.start)
            .field("len", &self.len)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

/// A frame allocator that takes frames back: returned frames are linked through their first words,
/// and are used before those of `F`.
///
/// Do not use it if `F` can take frames back itself: then other code gets none of these.
#[derive(Debug)]
pub struct RecycledFrames<F> {
    fresh: F,
    physical: VirtAddr,
    first: Option<PhysFrame<Size4KiB>>,
}

impl<F> RecycledFrames<F> {
    /// Returns the frames of `fresh`, in a kernel that has all physical memory mapped at
    /// `physical`.
    ///
    /// # Safety
    ///
    /// Each frame of `fresh` is mapped, writable, at `physical` plus its physical address.
    #[must_use]
    pub const unsafe fn new(fresh: F, physical: VirtAddr) -> Self {
        Self { fresh, physical, first: None }
    }

    /// Returns the first word of a frame.
    fn link(&self, frame: PhysFrame<Size4KiB>) -> *mut Option<PhysFrame<Size4KiB>> {
        (self.physical + frame.start_address().as_u64()).as_mut_ptr()
    }
}

// SAFETY: a frame comes from `fresh`, or was given back and is taken off the list.
unsafe impl<F: FrameAllocator<Size4KiB>> FrameAllocator<Size4KiB> for RecycledFrames<F> {
    fn allocate_frame(&mut self) -> Option<PhysFrame<Size4KiB>> {
        let Some(frame) = self.first else { return self.fresh.allocate_frame() };
        // SAFETY: `deallocate_frame` wrote the link, and an unused frame is written by no one else.
        self.first = unsafe { self.link(frame).read() };
        Some(frame)
    }
}

impl<F> FrameDeallocator<Size4KiB> for RecycledFrames<F> {
    unsafe fn deallocate_frame(&mut self, frame: PhysFrame<Size4KiB>) {
        // SAFETY: the frame is unused (clause of this method), and mapped (clause of `new`).
        unsafe { self.link(frame).write(self.first) };
        self.first = Some(frame);
    }
}

#[cfg(test)]
mod tests;
