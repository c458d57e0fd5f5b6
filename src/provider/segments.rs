//! Memory in segments: for systems whose pages are not contiguous.

use core::mem::size_of;
use core::ptr::{self, NonNull};

use super::{BreakError, Source};

/// Provides non-contiguous segments of memory, at any address: a page allocator, or the boot
/// services of UEFI. A [`SegmentBreak`] makes it the provider of a heap.
///
/// The heap gives each segment back whole, exactly as it was granted, even if two of them touch.
///
/// # Time
///
/// The time bounds of a heap count each call as one step.
///
/// # Safety
///
/// An implementer guarantees:
///
/// * A granted segment is readable and writable, has at most `isize::MAX` bytes, does not wrap
///   around the address space, and belongs to the caller until it is given back.
/// * Its address and its length are multiples of [`granule`](Segments::granule).
/// * After an `Err` nothing has changed.
/// * If [`ZEROED`](Segments::ZEROED) is true, every byte of a segment reads as zero until it is
///   written.
/// * No method uses the heap.
#[diagnostic::on_unimplemented(
    note = "see `brkalloc::Segments`; a `Break` needs no `SegmentBreak`"
)]
pub unsafe trait Segments {
    /// `true` if every byte of a new segment reads as zero.
    const ZEROED: bool;

    /// Returns the granule of addresses and lengths, in bytes: a power of two, at least four words.
    fn granule(&self) -> usize;

    /// Grants a segment of at least `least` bytes.
    ///
    /// # Errors
    ///
    /// The reason for the refusal. Nothing has changed.
    fn take(&mut self, least: usize) -> Result<NonNull<[u8]>, BreakError>;

    /// Takes a segment back.
    ///
    /// # Safety
    ///
    /// `segment` is the whole result of one [`take`](Segments::take), and the caller no longer uses
    /// it.
    unsafe fn give_back(&mut self, segment: NonNull<[u8]>);
}

/// Number of bytes at the end of each segment that the heap does not use, so that no two regions
/// touch and the heap does not join them.
const APART: usize = size_of::<usize>();

/// Provider of a heap over a provider of [segments](Segments).
///
/// [`Heap::trim`](crate::Heap::trim) gives a segment back if it is free as a whole.
///
/// ```
/// use brkalloc::{BreakError, Heap, SegmentBreak, Segments};
/// use core::alloc::Layout;
/// use core::ptr::NonNull;
///
/// struct Pages;
///
/// fn layout(len: usize) -> Layout {
///     Layout::from_size_align(len, 4096).unwrap()
/// }
///
/// // SAFETY: each segment is a block of the global allocator, page-aligned, of whole pages.
/// unsafe impl Segments for Pages {
///     const ZEROED: bool = false;
///
///     fn granule(&self) -> usize {
///         4096
///     }
///
///     fn take(&mut self, least: usize) -> Result<NonNull<[u8]>, BreakError> {
///         let len = least.next_multiple_of(4096);
///         // SAFETY: the length is not 0.
///         let start = NonNull::new(unsafe { std::alloc::alloc(layout(len)) });
///         start
///             .map(|start| NonNull::slice_from_raw_parts(start, len))
///             .ok_or(BreakError::OutOfMemory)
///     }
///
///     unsafe fn give_back(&mut self, segment: NonNull<[u8]>) {
///         // SAFETY: `take` allocated it with this layout.
///         unsafe { std::alloc::dealloc(segment.cast().as_ptr(), layout(segment.len())) };
///     }
/// }
///
/// let mut heap = Heap::new(SegmentBreak::new(Pages));
/// // SAFETY: the heap outlives the block, which is freed once, with its layout.
/// unsafe {
///     let block = heap.allocate(Layout::new::<[u8; 5000]>()).unwrap();
///     heap.deallocate(block, Layout::new::<[u8; 5000]>());
/// }
/// heap.trim(0);
/// assert_eq!(heap.size(), 0);
/// ```
#[derive(Debug)]
pub struct SegmentBreak<S> {
    /// Provider of segments.
    segments: S,
    /// End of the last grant; null before the first.
    end: *mut u8,
}

// SAFETY: `end` is used as an address only; `S` itself may move to another thread.
unsafe impl<S: Send> Send for SegmentBreak<S> {}

impl<S> SegmentBreak<S> {
    /// Returns a provider that has not granted anything yet.
    #[must_use]
    pub const fn new(segments: S) -> Self {
        Self { segments, end: ptr::null_mut() }
    }

    /// Returns the provider of segments.
    pub const fn segments(&self) -> &S {
        &self.segments
    }

    /// Returns the provider of segments, for its settings.
    pub const fn segments_mut(&mut self) -> &mut S {
        &mut self.segments
    }
}

// SAFETY: a segment belongs to the caller only (clause of `Segments`), and the last word of each is
// in no grant, so no two grants touch.
unsafe impl<S: Segments> Source for SegmentBreak<S> {
    const ZEROED: bool = S::ZEROED;
    const CONTIGUOUS: bool = false;

    fn brk(&self) -> *mut u8 {
        self.end
    }

    fn obtain(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        let least = by.checked_add(APART).ok_or(BreakError::OutOfAddresses)?;
        let segment = self.segments.take(least)?;
        let grant = NonNull::slice_from_raw_parts(segment.cast::<u8>(), segment.len() - APART);
        self.end = grant.cast::<u8>().as_ptr().wrapping_add(grant.len());
        Ok(grant)
    }

    unsafe fn give_back(&mut self, grant: NonNull<[u8]>) {
        let segment = NonNull::slice_from_raw_parts(grant.cast::<u8>(), grant.len() + APART);
        // SAFETY: `obtain` made the grant one word shorter than this segment, the whole result of
        // `take`; the caller no longer uses it: this method's clause.
        unsafe { self.segments.give_back(segment) };
    }
}
