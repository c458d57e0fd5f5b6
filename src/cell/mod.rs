//! Cells: the pieces that a heap is made of. All raw access to heap memory is in this folder.
//!
//! ```text
//!            used cell                                free cell
//!   cell ─► ┌───────────────┐  ◄─ WORD before ─►     ┌───────────────┐
//!           │ size │F│PU│U=1│     a multiple of      │ size │F│PU│U=0│
//! payload ─►├───────────────┤     CELL_ALIGN         ├───────────────┤
//!           │               │                        │ next free     │   both links stay inside
//!           │ the caller's  │                        │ previous free │   one bin's list
//!           │ bytes, to the │                        ├───────────────┤
//!           │ last one      │                        │ (unused)      │
//!           │               │                        │ size again    │ ◄─ how the next cell finds our start
//!   next ─► ├───────────────┤                        ├───────────────┤
//!           │ size │F│PU=1│…│                        │ size │F│PU=0│…│
//! ```
//!
//! A region is tiled by cells without gaps and ends with a *fence*, a lone header that is always used:
//!
//! ```text
//!   region                          hole (somebody else's)     region
//!  ┌──────┬──────┬────────────┬───┐                          ┌──────────┬─────────────────┬───┐
//!  │ used │ free │    used    │ F ├ ─ size of the hole ─ ─ ─►│   used   │      top        │ F │
//!  └──────┴──────┴────────────┴───┘                          └──────────┴─────────────────┴───┘ ◄─ break
//! ```
//!
//! so that a walk by sizes visits every cell of the heap in the order of addresses.
//!
//! Rules of this folder: it knows one cell and its neighbours, and nothing of bins, regions or providers. Every method that
//! touches memory is `unsafe` and says which words it touches.

mod header;

use core::ptr::NonNull;

pub(crate) use header::{Header, State};

/// A machine word: what a header takes.
pub(crate) const WORD: usize = size_of::<usize>();

/// Alignment of every payload, and the unit of cell sizes: 16 bytes on 64-bit, 8 on 32-bit (C1).
pub(crate) const CELL_ALIGN: usize = 2 * WORD;

/// The smallest cell: header, two links, size at the end.
pub(crate) const MIN_CELL: usize = 4 * WORD;

/// The address of a header.
///
/// # Invariants
///
/// `address ≡ −WORD (mod CELL_ALIGN)`, so that the payload behind the header is aligned.
///
/// # Safety of its methods
///
/// A cell is *valid* if its header was written by [`write_free`](Cell::write_free), [`write_used`](Cell::write_used) or
/// [`write_fence`](Cell::write_fence), no cell has been laid over it since, and all its bytes, with the header that
/// follows it, lie in memory that the provider granted to this heap. Every method asks for a valid cell, or says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub(crate) struct Cell(NonNull<usize>);

impl Cell {
    /// The lowest cell that a region from `start` can begin with, as a distance in bytes from `start`.
    pub(crate) fn first_offset(start: *const u8) -> usize {
        (start.addr().wrapping_add(WORD)).wrapping_neg() % CELL_ALIGN
    }

    /// The highest place for a fence that ends at or below `end`, as a distance in bytes from `end` downwards.
    pub(crate) fn fence_offset(end: *const u8) -> usize {
        end.addr() % CELL_ALIGN + WORD
    }

    /// The cell whose header is at `header`.
    pub(crate) fn at(header: NonNull<u8>) -> Self {
        debug_assert!((header.addr().get() + WORD).is_multiple_of(CELL_ALIGN));
        Self(header.cast())
    }

    /// The cell of a payload that the heap handed out.
    ///
    /// # Safety
    ///
    /// `payload` came from [`payload`](Cell::payload) of a cell that is still valid.
    pub(crate) unsafe fn of_payload(payload: NonNull<u8>) -> Self {
        // SAFETY: a header stands in front of every payload.
        Self::at(unsafe { payload.byte_sub(WORD) })
    }

    /// Address of the header.
    pub(crate) fn addr(self) -> usize {
        self.0.addr().get()
    }

    /// The caller's bytes.
    pub(crate) fn payload(self) -> NonNull<u8> {
        // SAFETY: header and payload are parts of one grant: a cell is never shorter than MIN_CELL.
        unsafe { self.0.byte_add(WORD) }.cast()
    }

    /// The place `bytes` further up, as a cell.
    ///
    /// # Safety
    ///
    /// It lies in the same run of contiguous grants as `self`; `bytes` is a multiple of `CELL_ALIGN`. Nothing is read.
    pub(crate) unsafe fn offset(self, bytes: usize) -> Self {
        // SAFETY: the caller's promise.
        Self::at(unsafe { self.0.byte_add(bytes) }.cast())
    }

    /// Reads the header.
    ///
    /// # Safety
    ///
    /// `self` is valid, or a fence.
    pub(crate) unsafe fn header(self) -> Header {
        // SAFETY: the header of a valid cell was written as a `Header`; aligned by the type's invariant.
        unsafe { self.0.cast::<Header>().read() }
    }

    /// The cell (or fence) that begins where this one ends; for a fence before a hole, the first cell behind the hole.
    ///
    /// # Safety
    ///
    /// `self` is valid and is not the last fence.
    pub(crate) unsafe fn next(self) -> Self {
        // SAFETY: `self` is valid, so its header may be read.
        let size = unsafe { self.header() }.size();
        // SAFETY: a valid cell is followed by another or by a fence, `size` bytes up.
        unsafe { self.offset(size) }
    }

    /// The cell that ends where this one begins, if it is free. (The start of a used one cannot be found from here.)
    ///
    /// # Safety
    ///
    /// `self` is valid, or a fence.
    pub(crate) unsafe fn prev_if_free(self) -> Option<Self> {
        // SAFETY: `self` is valid.
        if unsafe { self.header() }.is_prev_used() {
            return None;
        }
        // SAFETY: the cell before is free, so the word in front of this header is its own.
        let size_of_prev = unsafe { self.0.sub(1) };
        // SAFETY: as above, and `write_free` wrote the size there.
        let size = unsafe { size_of_prev.read() };
        // SAFETY: `write_free` wrote the distance to its own start.
        Some(Self::at(unsafe { self.0.byte_sub(size) }.cast()))
    }

    /// Makes `self` a free cell of `size` bytes: writes its header, and its size at its end. The cell behind it is not told:
    /// see [`set_prev_used`](Cell::set_prev_used).
    ///
    /// # Safety
    ///
    /// `[self, self + size)` is memory of this heap that holds no other valid cell, followed by a valid cell or a fence.
    /// `prev_used` tells whether the cell before it is used. `size ≥ MIN_CELL`.
    pub(crate) unsafe fn write_free(self, size: usize, prev_used: bool) {
        debug_assert!(size >= MIN_CELL);
        let header = Header::new(size, State::empty()).with_prev_used(prev_used);
        // SAFETY: the first word is ours to write, by the caller's promise.
        unsafe { self.write_header(header) };
        // SAFETY: the last word of the cell.
        let last_word = unsafe { self.0.byte_add(size - WORD) };
        // SAFETY: `size ≥ MIN_CELL`, so the last word is not the header.
        unsafe { last_word.write(size) };
    }

    /// Makes `self` a used cell of `size` bytes: writes its header. The cell behind it is not told.
    ///
    /// # Safety
    ///
    /// As for [`write_free`](Cell::write_free).
    pub(crate) unsafe fn write_used(self, size: usize, prev_used: bool) {
        debug_assert!(size >= MIN_CELL);
        // SAFETY: the first word is ours to write, by the caller's promise.
        unsafe { self.write_header(Header::new(size, State::USED).with_prev_used(prev_used)) };
    }

    /// Makes `self` a fence. `hole` is the distance to the first cell of the next region, 0 if this region is the last.
    ///
    /// # Safety
    ///
    /// The word at `self` is memory of this heap, in no valid cell. `prev_used` tells whether the cell before it is used (or
    /// there is none). If `hole > 0`, a cell is, or is about to be, written `hole` bytes up.
    pub(crate) unsafe fn write_fence(self, hole: usize, prev_used: bool) {
        let header = Header::new(hole, State::USED.union(State::FENCE)).with_prev_used(prev_used);
        // SAFETY: the caller's promise.
        unsafe { self.write_header(header) };
    }

    /// Zeroes a header, and the size at the end of the free cell before it: nothing of either is left in what becomes of their place.
    ///
    /// # Safety
    ///
    /// `self` is a fence, a free cell precedes it, and neither is used as such again before it is written anew.
    pub(crate) unsafe fn erase_with_size_before(self) {
        // SAFETY: the word in front of the header is the free cell's.
        let words = unsafe { self.0.sub(1) };
        // SAFETY: both words are the heap's, and mean nothing any more.
        unsafe { words.write_bytes(0, 2) };
    }

    /// Notes in this header what became of the cell before it.
    ///
    /// # Safety
    ///
    /// `self` is valid, or a fence.
    pub(crate) unsafe fn set_prev_used(self, prev_used: bool) {
        // SAFETY: the caller's promise.
        let header = unsafe { self.header() };
        // SAFETY: the same word.
        unsafe { self.write_header(header.with_prev_used(prev_used)) };
    }

    /// # Safety
    ///
    /// The word at `self` is memory of this heap.
    unsafe fn write_header(self, header: Header) {
        // SAFETY: the caller's promise; aligned by the type's invariant.
        unsafe { self.0.cast::<Header>().write(header) };
    }
}

/// The two words behind a free cell's header.
///
/// # Invariants
///
/// `cell.links().next = Some(n) ⟹ n.links().prev = Some(cell)`, and the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Links {
    /// The cell behind this one in its bin.
    pub(crate) next: Option<Cell>,
    /// The cell before this one in its bin; `None` for the first.
    pub(crate) prev: Option<Cell>,
}

// Header, links and the size at the end fill the smallest cell.
const _: () = assert!(2 * WORD + size_of::<Links>() == MIN_CELL);

impl Cell {
    /// The links of a free cell that is in a bin, as a place to read and write.
    ///
    /// # Safety
    ///
    /// `self` is a valid free cell. What is read is meaningful only while the cell is in a bin.
    pub(crate) unsafe fn links(self) -> NonNull<Links> {
        self.payload().cast()
    }
}
