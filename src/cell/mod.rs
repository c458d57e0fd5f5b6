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
//! A region begins with a *head* (region.rs), is tiled by cells without gaps, and ends with a
//! *fence*, a lone header that is always used:
//!
//! ```text
//!   region                              hole (somebody else's)      region
//!  ┌───┬──────┬──────┬────────────┬───┐                          ┌───┬──────────┬─────────────────┬───┐
//!  │ H │ used │ free │    used    │ F ├ ─ size of the hole ─ ─ ─ ─ ─►│   used   │      top        │ F │
//!  └───┴──────┴──────┴────────────┴───┘                          └───┴──────────┴─────────────────┴───┘ ◄─ break
//! ```
//!
//! so that a walk by sizes visits every cell of the heap in the order of addresses, and a walk by
//! heads and fences every region.
//!
//! Rules of this folder: it knows one cell and its neighbours, or the two ends of one region, and
//! nothing of bins, the break or providers. Every method that touches memory is `unsafe` and says
//! which words it touches. Cells are found and read here, written in `write.rs`; what is behind the
//! header is for `payload.rs`.

mod header;
mod payload;
mod region;
#[cfg(feature = "checked")]
#[deny(unsafe_code)]
mod seal;
mod write;

use core::ptr::{self, NonNull};

pub(crate) use header::{Header, State};
pub(crate) use payload::{Links, copy_down};
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
/// A cell is *valid* if its header was written by [`write_free`](Cell::write_free),
/// [`write_used`](Cell::write_used) or [`write_fence`](Cell::write_fence), no cell has been laid
/// over it since, and all its bytes, with the header that follows it, lie in one region of this
/// heap. Every method asks for a valid cell, or says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub(crate) struct Cell(NonNull<usize>);

impl Cell {
    /// The lowest cell that a region from address `start` can begin with, behind its head, as a
    /// distance in bytes from `start`.
    pub(crate) const fn first_offset(start: usize) -> usize {
        start.wrapping_neg() % CELL_ALIGN + WORD
    }

    /// The highest place for a fence that ends at or below address `end`, as a distance in bytes
    /// from `end` downwards.
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
    /// It lies in the same region as `self`; `bytes` is a multiple of `CELL_ALIGN`. Nothing is
    /// read.
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
        // SAFETY: the header of a valid cell was written as a `Header`; aligned by the type's
        // invariant.
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
        NonNull::new(ptr::with_exposed_provenance_mut::<u8>(self.addr().wrapping_add(way)))
            .map(Self::at)
    }

    /// Lets [`behind_hole`](Cell::behind_hole) lead here: another region is other memory, which no
    /// pointer into one below may enter.
    pub(crate) fn expose(self) {
        self.0.as_ptr().expose_provenance();
    }

    /// The cell that ends where this one begins, if it is free. (The start of a used one cannot be
    /// found from here.)
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
}
