//! Free lists, one a size class (C5), and the search in them.
//!
//! ```text
//!   occupied   0 1 0 0 1 0 …
//!   heads      · │ · · │ ·
//!                ▼     ▼
//!               cell  cell         each list is doubly linked through the free cells themselves,
//!                ▲▼               last freed first
//!               cell
//! ```

use core::hint::select_unpredictable;

use super::request::Request;
use super::size_class::{CELLS_TRIED, CLASSES, ClassMap, class_of, is_exact};
use crate::TINY;
use crate::cell::{Cell, Links};

/// How many occupied classes are looked at for an over-aligned request before one is taken that
/// fits for certain. (For any other request the second one fits.) If tiny, all: there are few.
pub(super) const CLASSES_TRIED: usize = if TINY { CLASSES } else { 2 };

/// How many cells of a class are looked at for a request that not every place suits.
const CELLS_TRIED_FOR_A_PLACE: usize = if TINY { CELLS_TRIED } else { 2 };

/// A free cell that holds a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit {
    pub(super) cell: Cell,
    /// The free cell's size in bytes.
    pub(super) size: usize,
    /// Where in it the request's own cell starts, in bytes: see [`Request::lead`].
    pub(super) lead: usize,
}

/// The free cells of a heap, except the top.
///
/// # Invariants
///
/// * `occupied` contains `c ⟺ heads[c]` is some cell
/// * a cell in list `c` is a valid free cell of the heap, `class_of(size) = c`, and is in no other
///   list
/// * [`Links`]' invariant; the head has no `prev`
#[derive(Debug)]
pub(super) struct Bins {
    pub(super) heads: [Option<Cell>; CLASSES],
    pub(super) occupied: ClassMap,
    /// How many cells each list has: one that ends early was cut off.
    #[cfg(feature = "checked")]
    pub(super) lengths: [usize; CLASSES],
}

impl Bins {
    pub(super) const fn new() -> Self {
        Self {
            heads: [None; CLASSES],
            occupied: ClassMap::new(),
            #[cfg(feature = "checked")]
            lengths: [0; CLASSES],
        }
    }

    /// Forgets every cell.
    pub(super) fn clear(&mut self) {
        self.heads.fill(None);
        self.occupied = ClassMap::new();
        #[cfg(feature = "checked")]
        self.lengths.fill(0);
    }

    /// Puts a free cell of `size` bytes first into its list. O(1).
    ///
    /// # Safety
    ///
    /// `cell` is a valid free cell of the heap, `size` bytes long, and is in no list.
    pub(super) unsafe fn insert(&mut self, cell: Cell, size: usize) {
        let class = class_of(size);
        let next = self.heads[class].replace(cell);
        #[cfg(feature = "checked")]
        {
            self.lengths[class] += 1;
        }
        self.occupied.set(class);
        // SAFETY: `cell` is valid and free.
        let links = unsafe { cell.links() };
        // SAFETY: the links are words of that cell.
        unsafe { links.write(Links { next, prev: None }) };
        if let Some(next) = next {
            // SAFETY: cells in lists are valid and free.
            let mut links = unsafe { next.links() };
            // SAFETY: they were written when it was inserted; nobody else refers to them.
            unsafe { links.as_mut() }.prev = Some(cell);
        }
    }

    /// Takes a free cell of `size` bytes out of its list. O(1).
    ///
    /// # Safety
    ///
    /// `cell` is in the list of its class; `size` is its size.
    #[cfg_attr(not(feature = "tiny"), inline)]
    pub(super) unsafe fn remove(&mut self, cell: Cell, size: usize) {
        // SAFETY: the caller's promise.
        if let Some(next) = unsafe { self.unlink(cell) } {
            self.begin_list(class_of(size), cell, next);
        }
        #[cfg(feature = "checked")]
        {
            self.lengths[class_of(size)] -= 1;
        }
    }

    /// Takes a cell out of the middle of its list; or tells which one is behind it, if it is the
    /// first.
    ///
    /// # Safety
    ///
    /// `cell` is in a list.
    #[inline]
    unsafe fn unlink(&mut self, cell: Cell) -> Option<Option<Cell>> {
        // SAFETY: cells in lists are valid and free.
        let links = unsafe { cell.links() };
        // SAFETY: they were written when it was inserted.
        let Links { next, prev } = unsafe { links.read() };
        if let Some(next) = next {
            // SAFETY: as above: `next` is in the same list.
            let mut links = unsafe { next.links() };
            // SAFETY: as above; nobody else refers to them.
            unsafe { links.as_mut() }.prev = prev;
        }
        let Some(prev) = prev else { return Some(next) };
        // SAFETY: as above: `prev` is in the same list.
        let mut links = unsafe { prev.links() };
        // SAFETY: as above; nobody else refers to them.
        unsafe { links.as_mut() }.next = next;
        None
    }

    /// [`remove`](Bins::remove) where the class is known.
    ///
    /// # Safety
    ///
    /// `cell` is in the list of that class.
    #[inline]
    unsafe fn remove_from(&mut self, class: usize, cell: Cell) {
        // SAFETY: the caller's promise.
        if let Some(next) = unsafe { self.unlink(cell) } {
            self.begin_list(class, cell, next);
        }
        #[cfg(feature = "checked")]
        {
            self.lengths[class] -= 1;
        }
    }

    /// The list of a class began with `cell`, which was taken out: now it begins with `next`.
    #[inline]
    fn begin_list(&mut self, class: usize, cell: Cell, next: Option<Cell>) {
        debug_assert_eq!(self.heads[class], Some(cell));
        self.heads[class] = next;
        if next.is_none() {
            self.occupied.clear(class);
        }
    }

    /// Finds a cell that holds the request, and leaves it where it is: the best of a few in the
    /// request's own class, else one of the next class that has any. O(1): at most
    /// `CLASSES_TRIED · CELLS_TRIED + 1` cells are looked at.
    ///
    /// The bounds have a price: a fitting cell can be missed if it is of the request's own class,
    /// above `EXACT_BELOW`, and behind `CELLS_TRIED` smaller ones; or if it is aligned by luck,
    /// and not among the first.
    pub(super) fn find(&self, request: Request) -> Option<Fit> {
        let mut class = class_of(request.size());
        for _ in 0..CLASSES_TRIED {
            class = self.occupied.next(class)?;
            if let Some(fit) = self.best_of(class, request) {
                return Some(fit);
            }
            class += 1;
        }
        if TINY {
            return None;
        }
        let fits_for_certain = class_of(request.size_anywhere()?) + 1;
        let class = self.occupied.next(class.max(fits_for_certain))?;
        self.best_of(class, request)
    }

    /// Whether there is a cell that holds the request, and [`find`](Bins::find) finds it.
    pub(super) fn holds(&self, request: Request) -> bool {
        self.find(request).is_some()
    }

    /// Takes out a cell of `size` bytes or more, if it may lie anywhere, and tells how long it is:
    /// the best of a few in the class of that size, else one of the next class that has any.
    /// O(1): at most `CELLS_TRIED + 1` cells are looked at.
    ///
    /// # Safety
    ///
    /// `class` is that of `size`.
    #[inline(always)]
    pub(super) unsafe fn take(&mut self, size: usize, class: usize) -> Option<(Cell, usize)> {
        let mut from = class;
        if !is_exact(class) {
            if let Some((cell, found)) = self.best_of_own(class, size) {
                // SAFETY: in the list of this class.
                unsafe { self.remove_from(class, cell) };
                return Some((cell, found));
            }
            from += 1;
        }
        // The cells of a higher class are all large enough, those of an exact class just so: the
        // first is as good as the next.
        let class = self.occupied.next(from)?;
        let cell = self.heads[class]?;
        // SAFETY: cells in lists are valid.
        let found = unsafe { cell.header() }.size();
        // SAFETY: the first in its list.
        unsafe { self.remove_from(class, cell) };
        Some((cell, found))
    }

    /// The smallest of the first `CELLS_TRIED` cells of a class that has `size` bytes, with its
    /// size.
    #[inline(always)]
    fn best_of_own(&self, class: usize, size: usize) -> Option<(Cell, usize)> {
        // By how much a cell is too long; of one that is too short, more than any is.
        let (mut best, mut least) = (None, isize::MAX as usize);
        for (cell, found) in self.list(class).take(CELLS_TRIED) {
            let excess = found.wrapping_sub(size);
            // Which one is better nobody can predict.
            let is_better = excess < least;
            best = select_unpredictable(is_better, Some(cell), best);
            least = select_unpredictable(is_better, excess, least);
            if excess == 0 {
                break;
            }
        }
        best.map(|cell| (cell, size + least))
    }

    /// The smallest of the first cells of a class that holds the request.
    fn best_of(&self, class: usize, request: Request) -> Option<Fit> {
        let mut best: Option<Fit> = None;
        for (cell, size) in self.list(class).take(CELLS_TRIED_FOR_A_PLACE) {
            let Some(lead) = request.fit(cell.addr(), size) else { continue };
            if best.is_none_or(|best| size < best.size) {
                best = Some(Fit { cell, size, lead });
            }
            if size == request.size() {
                break;
            }
        }
        best
    }

    /// The cells of a class with their sizes, last freed first.
    pub(super) fn list(&self, class: usize) -> impl Iterator<Item = (Cell, usize)> {
        let mut at = self.heads.get(class).copied().flatten();
        core::iter::from_fn(move || {
            let cell = at?;
            // SAFETY: cells in lists are valid.
            let size = unsafe { cell.header() }.size();
            // SAFETY: and free.
            let links = unsafe { cell.links() };
            // SAFETY: the links were written when it was inserted.
            at = unsafe { links.read() }.next;
            Some((cell, size))
        })
    }
}
