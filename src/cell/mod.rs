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
//! A region begins with a *head* (region.rs), is tiled by cells without gaps, and ends with a *fence*, a lone header that is always used:
//!
//! ```text
//!   region                              hole (somebody else's)      region
//!  ┌───┬──────┬──────┬────────────┬───┐                          ┌───┬──────────┬─────────────────┬───┐
//!  │ H │ used │ free │    used    │ F ├ ─ size of the hole ─ ─ ─ ─ ─►│   used   │      top        │ F │
//!  └───┴──────┴──────┴────────────┴───┘                          └───┴──────────┴─────────────────┴───┘ ◄─ break
//! ```
//!
//! so that a walk by sizes visits every cell of the heap in the order of addresses, and a walk by heads and fences every region.
//!
//! Rules of this folder: it knows one cell and its neighbours, or the two ends of one region, and nothing of bins, the break or
//! providers. Every method that touches memory is `unsafe` and says which words it touches.

mod header;
mod region;
#[cfg(feature = "checked")]
#[deny(unsafe_code)]
mod seal;

use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::TINY;

pub(crate) use header::{Header, State};
pub(crate) use region::Region;
#[cfg(feature = "checked")]
pub(crate) use seal::mix;

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
/// follows it, lie in one region of this heap. Every method asks for a valid cell, or says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub(crate) struct Cell(NonNull<usize>);

impl Cell {
    /// The lowest cell that a region from address `start` can begin with, behind its head, as a distance in bytes from `start`.
    pub(crate) const fn first_offset(start: usize) -> usize {
        start.wrapping_neg() % CELL_ALIGN + WORD
    }

    /// The highest place for a fence that ends at or below address `end`, as a distance in bytes from `end` downwards.
    pub(crate) const fn fence_offset(end: usize) -> usize {
        end % CELL_ALIGN + WORD
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

    /// The place in front of an address, as a cell: whether there is one is to be found out.
    #[cfg(feature = "checked")]
    pub(crate) fn at_payload(payload: NonNull<u8>) -> Self {
        // No cell begins at null, and none is asked for whose payload is not aligned.
        let header = payload.as_ptr().wrapping_byte_sub(WORD);
        Self::at(NonNull::new(header).unwrap_or(payload))
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
    /// It lies in the same region as `self`; `bytes` is a multiple of `CELL_ALIGN`. Nothing is read.
    pub(crate) unsafe fn offset(self, bytes: usize) -> Self {
        // SAFETY: the caller's promise.
        Self::at(unsafe { self.0.byte_add(bytes) }.cast())
    }

    /// The place `bytes` further down, as a cell.
    ///
    /// # Safety
    ///
    /// As for [`offset`](Cell::offset).
    #[cfg(feature = "checked")]
    pub(crate) unsafe fn before(self, bytes: usize) -> Self {
        // SAFETY: the caller's promise.
        Self::at(unsafe { self.0.byte_sub(bytes) }.cast())
    }

    /// Size of a cell; 0 if there is none. Without a branch on that.
    ///
    /// # Safety
    ///
    /// If there is one, it is valid.
    #[cfg(not(feature = "tiny"))]
    #[inline(always)]
    pub(crate) unsafe fn size_of(cell: Option<Self>) -> usize {
        /// The header of what holds nothing.
        static NOTHING: usize = 0;
        if cfg!(feature = "checked") && cell.is_none() {
            return 0;
        }
        let cell = cell.unwrap_or(Self(NonNull::from(&NOTHING)));
        // SAFETY: the caller's promise; or a word that is a header.
        unsafe { cell.header() }.size()
    }

    /// Reads the header.
    ///
    /// # Safety
    ///
    /// `self` is valid, or a fence.
    pub(crate) unsafe fn header(self) -> Header {
        // SAFETY: the header of a valid cell was written as a `Header`; aligned by the type's invariant.
        let header = unsafe { self.0.cast::<Header>().read() };
        #[cfg(feature = "checked")]
        let header = header.unsealed();
        header
    }

    /// Reads the header's word as it stands there, whatever it is worth.
    ///
    /// # Safety
    ///
    /// It lies in memory of this heap.
    #[cfg(feature = "checked")]
    pub(crate) unsafe fn header_in_memory(self) -> Header {
        // SAFETY: the caller's promise; any bits are a header.
        unsafe { self.0.cast::<Header>().read() }
    }

    /// The cell (or fence) that begins where this one ends.
    ///
    /// # Safety
    ///
    /// `self` is valid and no fence.
    pub(crate) unsafe fn next(self) -> Self {
        // SAFETY: `self` is valid, so its header may be read.
        let size = unsafe { self.header() }.size();
        // SAFETY: a valid cell is followed by another or by a fence, `size` bytes up.
        unsafe { self.offset(size) }
    }

    /// The first cell of the next region; `None` behind the last.
    ///
    /// # Safety
    ///
    /// `self` is a fence of a heap whose regions' first cells are all [exposed](Cell::expose).
    pub(crate) unsafe fn behind_hole(self) -> Option<Self> {
        // SAFETY: a fence.
        let way = unsafe { self.header() }.size();
        if way == 0 {
            return None;
        }
        NonNull::new(ptr::with_exposed_provenance_mut::<u8>(self.addr().wrapping_add(way))).map(Self::at)
    }

    /// Lets [`behind_hole`](Cell::behind_hole) lead here: another region is other memory, which no pointer into one below may enter.
    pub(crate) fn expose(self) {
        self.0.as_ptr().expose_provenance();
    }

    /// Makes a fence lead to another region's first cell.
    ///
    /// # Safety
    ///
    /// `self` is a fence. `first` lies above it, and is, or is about to be, the first cell of the next region.
    pub(crate) unsafe fn lead_to(self, first: Self) {
        // SAFETY: a fence.
        let prev_used = unsafe { self.header() }.is_prev_used();
        // SAFETY: it stays one, behind the same cell.
        unsafe { self.write_fence(first.addr() - self.addr(), prev_used) };
    }

    /// Makes a fence the last one.
    ///
    /// # Safety
    ///
    /// `self` is a fence.
    #[cfg(not(feature = "tiny"))]
    pub(crate) unsafe fn lead_nowhere(self) {
        // SAFETY: a fence.
        let prev_used = unsafe { self.header() }.is_prev_used();
        // SAFETY: it stays one, behind the same cell.
        unsafe { self.write_fence(0, prev_used) };
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

    /// Copies the first `len` bytes of the payload to that of a cell further down. The two may overlap.
    ///
    /// # Safety
    ///
    /// Both payloads are memory of this heap, at least `len` bytes long, rounded up to whole words.
    pub(crate) unsafe fn move_payload_down(self, to: Self, len: usize) {
        // SAFETY: the caller's promise.
        unsafe { copy_down(self.payload(), to.payload(), len) };
    }

    /// Notes in the header of a used cell that it is not in use any more. If the cell is merged into the one before, this stays: whoever
    /// frees the block once more is told so.
    ///
    /// # Safety
    ///
    /// `self` is valid, and is about to be released.
    #[cfg(feature = "checked")]
    pub(crate) unsafe fn mark_freed(self) {
        // SAFETY: the caller's promise.
        let header = unsafe { self.header() };
        let freed = Header::new(header.size(), State::empty()).with_prev_used(header.is_prev_used());
        // SAFETY: the same word.
        unsafe { self.write_header(freed) };
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
        #[cfg(feature = "checked")]
        let header = header.sealed(self.addr());
        // SAFETY: the caller's promise; aligned by the type's invariant.
        let word = unsafe { AtomicUsize::from_ptr(self.0.as_ptr()) };
        // Another thread may look how long its block is, while its owner notes what became of the cell before: see `header_of_foreign`.
        word.store(header.bits(), Ordering::Relaxed);
    }

    /// Reads the header of a live block's cell, whose heap may be in use by another thread.
    ///
    /// # Safety
    ///
    /// `self` is valid and used, and stays so meanwhile.
    #[cfg(not(feature = "tiny"))]
    pub(crate) unsafe fn header_of_foreign(self) -> Header {
        // SAFETY: the caller's promise: only atomic accesses change the word.
        let word = unsafe { AtomicUsize::from_ptr(self.0.as_ptr()) };
        let header = Header(word.load(Ordering::Relaxed));
        #[cfg(feature = "checked")]
        let header = header.unsealed();
        header
    }

    /// The same word as it stands there, whatever it is worth.
    ///
    /// # Safety
    ///
    /// It lies in memory of a heap.
    #[cfg(feature = "checked")]
    pub(crate) unsafe fn header_of_foreign_in_memory(self) -> Header {
        // SAFETY: the caller's promise.
        let word = unsafe { AtomicUsize::from_ptr(self.0.as_ptr()) };
        Header(word.load(Ordering::Relaxed))
    }
}

/// Copies `len` bytes from one payload to another, which lies further down or overlaps nowhere.
///
/// # Safety
///
/// Both places are memory of the heap, aligned to words, and at least `len` bytes long, rounded up to whole words.
pub(crate) unsafe fn copy_down(from: NonNull<u8>, to: NonNull<u8>, len: usize) {
    if !TINY {
        // SAFETY: the caller's promise.
        unsafe { to.copy_from(from, len) };
        return;
    }
    // `memmove` would be the longest function of the program, which may have no other use for it. What is behind `len` in the last word may
    // be anything.
    let (from, to) = (from.cast::<MaybeUninit<usize>>(), to.cast());
    for word in 0..len.div_ceil(WORD) {
        // SAFETY: inside the place.
        let source = unsafe { from.add(word) };
        // SAFETY: inside the other place.
        let target = unsafe { to.add(word) };
        // SAFETY: no word above this one has been written to yet.
        let value = unsafe { source.read() };
        // SAFETY: the heap's memory.
        unsafe { target.write(value) };
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

    /// The first word of the payload of a used cell that is kept for the next caller, as a place to read and write: the link to another
    /// such cell. What is read is meaningful only while the cell is kept.
    #[cfg(not(feature = "tiny"))]
    pub(crate) fn link(self) -> NonNull<Option<Self>> {
        self.payload().cast()
    }
}
