//! Cells: the units that tile a heap's memory. All raw access to heap memory is in this folder.
//!
//! ```text
//!            used cell                                free cell
//!   cell ─► ┌───────────────┐  ◄─ WORD before ─►     ┌───────────────┐
//!           │ size │F│PU│U=1│     a multiple of      │ size │F│PU│U=0│
//! payload ─►├───────────────┤     CELL_ALIGN         ├───────────────┤
//!           │               │                        │ next free     │   both links stay inside
//!           │ the caller's  │                        │ previous free │   one bin's list
//!           │ bytes, to the │                        ├───────────────┤
//!           │ end of the    │                        │ (unused)      │
//!           │ cell          │                        │ size again    │ ◄─ read by the next cell
//!   next ─► ├───────────────┤                        ├───────────────┤
//!           │ size │F│PU=1│…│                        │ size │F│PU=0│…│
//! ```
//!
//! A region begins with a *head* (region.rs), is tiled by cells without gaps, and ends with a
//! *fencepost*, a lone header that is always used:
//!
//! ```text
//!   region                               hole (foreign)     region                     break ─┐
//!  ┌───┬──────┬──────┬────────────┬───┐                    ┌───┬──────────┬───────────────┬───┐
//!  │ H │ used │ free │    used    │ F ├ ─ size of the hole ─ ─►│   used   │      top      │ F │
//!  └───┴──────┴──────┴────────────┴───┘                    └───┴──────────┴───────────────┴───┘
//! ```
//!
//! A walk by sizes therefore visits every cell of the heap in the order of addresses, and a walk by
//! heads and fenceposts visits every region.
//!
//! Rules of this folder: it knows one cell and its neighbours, or the two ends of one region. It
//! does not know bins, the break or providers. Every method that touches memory is `unsafe` and
//! says which words it touches. `mod.rs` finds and reads cells; `write.rs` writes headers, and
//! reads those that another thread may read; `payload.rs` is for the bytes behind a header.

mod header;
mod payload;
mod region;
#[deny(unsafe_code)]
mod seal;
mod write;

use core::fmt;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};

pub(crate) use header::{Header, State};
pub(crate) use payload::{Links, copy_down};
pub(crate) use region::Region;
pub(crate) use seal::mix;

/// Form of a heap's cells: the part of a profile that this folder knows.
pub trait Form: fmt::Debug + 'static {
    /// `true` if headers carry check bits and the heap looks for the caller's mistakes.
    const CHECKED: bool;

    /// `true` if code size counts more than speed.
    const COMPACT: bool;
}

/// Size of a machine word, and so of a header, in bytes.
pub(crate) const WORD: usize = size_of::<usize>();

/// Alignment of every payload and unit of cell sizes, in bytes: 16 on 64-bit, 8 on 32-bit (C1).
pub(crate) const CELL_ALIGN: usize = 2 * WORD;

/// Minimum size of a cell, in bytes: header, two links, and the size at the end.
pub(crate) const MIN_CELL: usize = 4 * WORD;

/// Pointer to a header.
///
/// # Invariants
///
/// `address ≡ −WORD (mod CELL_ALIGN)`, so that the payload behind the header is aligned.
///
/// # Safety of its methods
///
/// A cell is *valid* if
///
/// * [`write_free`](Cell::write_free) or [`write_used`](Cell::write_used) wrote its header, and no
///   other cell was written over it since, and
/// * all its bytes, and the header that follows it, lie in one region of this heap.
///
/// A fencepost is valid if [`write_fencepost`](Cell::write_fencepost) wrote it and no cell was
/// written over it since. Unless a method says otherwise, it requires a valid cell.
#[repr(transparent)]
pub struct Cell<F>(NonNull<usize>, PhantomData<fn() -> F>);

impl<F> Clone for Cell<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Cell<F> {}

impl<F> PartialEq for Cell<F> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<F> Eq for Cell<F> {}

impl<F> fmt::Debug for Cell<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cell({:?})", self.0)
    }
}

impl<F> Cell<F> {
    /// Returns the offset of the lowest cell in a region that begins at address `start`, in bytes:
    /// the region's head lies below that cell.
    pub(crate) const fn first_offset(start: usize) -> usize {
        start.wrapping_neg() % CELL_ALIGN + WORD
    }

    /// Returns the distance from address `end` down to the highest fencepost that ends at or below
    /// it, in bytes.
    pub(crate) const fn fencepost_offset(end: usize) -> usize {
        end % CELL_ALIGN + WORD
    }

    /// Returns the cell whose header is at `header`.
    pub(crate) fn at(header: NonNull<u8>) -> Self {
        debug_assert!((header.addr().get() + WORD) % CELL_ALIGN == 0);
        Self(header.cast(), PhantomData)
    }

    /// Returns the cell of a payload that the heap handed out.
    ///
    /// # Safety
    ///
    /// `payload` came from [`payload`](Cell::payload) of a cell that is still valid.
    pub(crate) unsafe fn of_payload(payload: NonNull<u8>) -> Self {
        // SAFETY: `payload` is that of a valid cell (this method's clause), so the word in front of
        // it is the cell's header.
        Self::at(unsafe { payload.byte_sub(WORD) })
    }

    /// Returns the place in front of an address as a cell, without a check that a cell is there.
    /// `payload` must be a multiple of [`CELL_ALIGN`].
    pub(crate) fn at_payload(payload: NonNull<u8>) -> Self {
        // An aligned address above null is at least `CELL_ALIGN`, so the header is not at null.
        let header = payload.as_ptr().wrapping_byte_sub(WORD);
        Self::at(NonNull::new(header).unwrap_or(payload))
    }

    /// Returns this cell, typed as one of another form.
    pub(crate) const fn in_form<G>(self) -> Cell<G> {
        Cell(self.0, PhantomData)
    }

    /// Returns a pointer to the header.
    #[inline(always)]
    pub(crate) const fn header_place(self) -> NonNull<usize> {
        self.0
    }

    /// Returns the address of the header.
    pub(crate) fn addr(self) -> usize {
        self.0.addr().get()
    }

    /// Returns a pointer to the payload.
    pub(crate) fn payload(self) -> NonNull<u8> {
        // SAFETY: header and payload lie in one grant: a cell has at least `MIN_CELL` bytes.
        unsafe { self.0.byte_add(WORD) }.cast()
    }

    /// Returns the place `bytes` above as a cell. Reads nothing.
    ///
    /// # Safety
    ///
    /// The place lies in the same region as `self`. `bytes` is a multiple of `CELL_ALIGN`.
    pub(crate) unsafe fn offset(self, bytes: usize) -> Self {
        // SAFETY: both places lie in one region: this method's clause.
        Self::at(unsafe { self.0.byte_add(bytes) }.cast())
    }

    /// Returns the place `bytes` below as a cell. Reads nothing.
    ///
    /// # Safety
    ///
    /// The place lies in the same region as `self`. `bytes` is a multiple of `CELL_ALIGN`.
    pub(crate) unsafe fn before(self, bytes: usize) -> Self {
        // SAFETY: both places lie in one region: this method's clause.
        Self::at(unsafe { self.0.byte_sub(bytes) }.cast())
    }
}

impl<F: Form> Cell<F> {
    /// Reads the header.
    ///
    /// # Safety
    ///
    /// `self` is a valid cell or fencepost.
    pub(crate) unsafe fn header(self) -> Header {
        // SAFETY: `self` is valid (this method's clause), so its first word is a `Header`; the
        // type's invariant aligns it.
        let header = unsafe { self.0.cast::<Header>().read() };
        if F::CHECKED { header.unsealed() } else { header }
    }

    /// Returns the cell or fencepost that begins where this cell ends.
    ///
    /// # Safety
    ///
    /// `self` is a valid cell, and no fencepost.
    pub(crate) unsafe fn next(self) -> Self {
        // SAFETY: `self` is valid (this method's clause), so a header follows it in its region,
        // `size` bytes above.
        unsafe { self.offset(self.header().size()) }
    }

    /// Returns the first cell of the next region; `None` if `self` ends the last region.
    ///
    /// # Safety
    ///
    /// `self` is a fencepost of a heap whose regions' first cells are all [exposed](Cell::expose).
    pub(crate) unsafe fn behind_hole(self) -> Option<Self> {
        // SAFETY: `self` is a fencepost: this method's clause.
        let way = unsafe { self.header() }.size();
        if way == 0 {
            return None;
        }
        NonNull::new(ptr::with_exposed_provenance_mut::<u8>(self.addr().wrapping_add(way)))
            .map(Self::at)
    }

    /// Exposes the cell's provenance, so that [`behind_hole`](Cell::behind_hole) of the region
    /// below can return this cell: a pointer derived from that region must not enter this one.
    pub(crate) fn expose(self) {
        self.0.as_ptr().expose_provenance();
    }

    /// Returns the cell that ends where this one begins, if it is free. A used cell does not record
    /// its size at its end, so its start cannot be found.
    ///
    /// # Safety
    ///
    /// `self` is a valid cell or fencepost.
    pub(crate) unsafe fn prev_if_free(self) -> Option<Self> {
        // SAFETY: `self` is valid: this method's clause.
        if unsafe { self.header() }.is_prev_used() {
            return None;
        }
        // SAFETY: `self` is valid, and its header says that the cell before is free.
        Some(unsafe { self.prev_free() })
    }

    /// Returns the free cell that ends where this cell begins.
    ///
    /// # Safety
    ///
    /// `self` is a valid cell or fencepost, and the cell before it is free.
    pub(crate) unsafe fn prev_free(self) -> Self {
        // SAFETY: the cell before is free (this method's clause): `write_free` wrote the distance
        // to its start into its last word.
        unsafe { self.before(self.word_before()) }
    }

    /// Reads the word in front of the header, the last one of the cell before: its size, if it is
    /// free.
    ///
    /// # Safety
    ///
    /// `self` is a cell or fencepost of this heap, and not the first one of its region.
    pub(crate) unsafe fn word_before(self) -> usize {
        // SAFETY: the word lies in the same region: this method's clause.
        unsafe { self.0.sub(1).read() }
    }
}
