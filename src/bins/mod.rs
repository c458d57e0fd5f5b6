//! Free lists, one for each size class (C5), and the search in them.
//!
//! ```text
//!   occupied   0 1 0 0 1 0 …
//!   heads      · │ · · │ ·
//!                ▼     ▼
//!               cell  cell         each list is doubly linked through the free cells themselves;
//!                ▲▼                the cell freed last is the first
//!               cell
//! ```

mod classes;

use core::marker::PhantomData;

use crate::cell::{Cell, Form, Links};
use crate::request::{Request, select};

pub(crate) use classes::ClassMap;
pub use classes::{Classes, Coarse, Fine};

/// Bins of a heap: the part of a profile that this folder knows.
pub trait Binning: Form + Sized {
    /// Size classes of the bins.
    type Classes: Classes;

    /// Array of list lengths if the heap is [checked](Form::CHECKED), else empty. A list that ends
    /// before its length was cut off by an overwritten link.
    type Lengths: AsRef<[usize]> + AsMut<[usize]> + core::fmt::Debug;

    /// Lengths of empty lists.
    const NO_LENGTHS: Self::Lengths;
}

/// Number of places of each class for a search of all free cells.
pub(crate) const ALL: usize = usize::MAX;

/// Free cell that is large enough for a request.
pub(crate) struct Fit<F> {
    /// The free cell.
    pub(crate) cell: Cell<F>,
    /// Size of the free cell, in bytes.
    pub(crate) size: usize,
    /// Distance from the free cell to the request's own cell, in bytes: see [`Request::lead`].
    pub(crate) lead: usize,
}

/// Free cells of a heap, except the top.
///
/// # Invariants
///
/// * `occupied` contains `c ⟺ heads[c].is_some()`, except in a compact heap, which has no map
/// * a cell in list `c` is a valid free cell of the heap, `class_of(size) = c`, and is in no other
///   list
/// * the invariant of [`Links`] holds for every list; the head's `prev` is `None`
/// * with [`Form::CHECKED`], `lengths[c]` is the number of cells in list `c`
#[derive(Debug)]
pub(crate) struct Bins<P: Binning> {
    heads: <P::Classes as Classes>::Heads,
    pub(crate) occupied: ClassMap<P::Classes>,
    pub(crate) lengths: P::Lengths,
    profile: PhantomData<fn() -> P>,
}

impl<P: Binning> Bins<P> {
    /// Returns empty bins.
    pub(crate) const fn new() -> Self {
        Self {
            heads: <P::Classes as Classes>::NO_HEADS,
            occupied: ClassMap::new(),
            lengths: P::NO_LENGTHS,
            profile: PhantomData,
        }
    }

    /// Returns the first cell of a class.
    #[inline(always)]
    pub(crate) fn head(&self, class: usize) -> Option<Cell<P>> {
        self.heads.as_ref().get(class).copied().flatten().map(|header| Cell::at(header.cast()))
    }

    /// Replaces the first cell of a class. Returns the previous one. Does not update the map.
    #[inline(always)]
    pub(crate) fn replace_head(&mut self, class: usize, cell: Option<Cell<P>>) -> Option<Cell<P>> {
        let header = cell.map(Cell::header_place);
        core::mem::replace(&mut self.heads.as_mut()[class], header)
            .map(|header| Cell::at(header.cast()))
    }

    /// Empties every list, without access to any cell.
    pub(crate) fn clear(&mut self) {
        self.heads.as_mut().fill(None);
        self.occupied = ClassMap::new();
        self.lengths.as_mut().fill(0);
    }

    /// Puts a free cell of `size` bytes at the head of its list. O(1).
    ///
    /// # Safety
    ///
    /// `cell` is a valid free cell of the heap with `size` bytes, and is in no list.
    pub(crate) unsafe fn insert(&mut self, cell: Cell<P>, size: usize) {
        let class = P::Classes::class_of(size);
        let next = self.replace_head(class, Some(cell));
        if P::CHECKED {
            self.lengths.as_mut()[class] += 1;
        }
        // SAFETY: `cell` is valid and free (this method's clause), so its links can be written.
        unsafe { cell.links().write(Links { next, prev: None }) };
        match next {
            // SAFETY: a cell in a list is valid and free, and `insert` wrote its links; `self` is
            // borrowed mutably, so no other reference to them exists.
            Some(next) => unsafe { next.links().as_mut() }.prev = Some(cell),
            None if !P::COMPACT => self.occupied.set(class),
            None => {}
        }
    }

    /// Takes a free cell of `size` bytes out of its list. O(1).
    ///
    /// # Safety
    ///
    /// `cell` is in the list of its class; `size` is its size.
    pub(crate) unsafe fn remove(&mut self, cell: Cell<P>, size: usize) {
        // SAFETY: the clauses are those of this method.
        unsafe { self.remove_from(|| P::Classes::class_of(size), cell) };
    }

    /// Takes a free cell out of the list of the class that `class` returns: most cells are not the
    /// first of their list, and their class is not needed. O(1).
    ///
    /// # Safety
    ///
    /// `cell` is in the list of that class.
    unsafe fn remove_from(&mut self, class: impl Fn() -> usize, cell: Cell<P>) {
        // SAFETY: `cell`, `next` and `prev` are in one list (this method's clause, and the type's
        // invariant), so they are valid and free, and `insert` wrote their links. `self` is
        // borrowed mutably, so no other reference to them exists.
        unsafe {
            let Links { next, prev } = cell.links().read();
            if let Some(next) = next {
                next.links().as_mut().prev = prev;
            }
            match prev {
                Some(prev) => prev.links().as_mut().next = next,
                None => self.begin_list(class(), cell, next),
            }
        }
        if P::CHECKED {
            self.lengths.as_mut()[class()] -= 1;
        }
    }

    /// Takes the head of the list of `class` out. O(1).
    ///
    /// # Safety
    ///
    /// `cell` is the head of the list of `class`.
    #[inline(always)]
    unsafe fn pop(&mut self, class: usize, cell: Cell<P>) {
        // SAFETY: `cell` is in a list (this method's clause), and so is `next`: both are valid and
        // free, and `insert` wrote their links. `self` is borrowed mutably, so no other reference
        // to them exists.
        unsafe {
            let next = cell.links().read().next;
            if let Some(next) = next {
                next.links().as_mut().prev = None;
            }
            self.begin_list(class, cell, next);
        }
        if P::CHECKED {
            self.lengths.as_mut()[class] -= 1;
        }
    }

    /// Makes `next` the head of a list whose head was `cell`, and updates the map.
    fn begin_list(&mut self, class: usize, cell: Cell<P>, next: Option<Cell<P>>) {
        let before = self.replace_head(class, next);
        debug_assert_eq!(before, Some(cell));
        if !P::COMPACT && next.is_none() {
            self.occupied.clear(class);
        }
    }

    /// Finds a cell that is large enough for the request, and leaves it in its list: the best of
    /// the first few in the request's own class, else one of the next occupied class.
    ///
    /// The bounded search can miss a cell that fits: one in the request's own class behind
    /// [`PLACES_TRIED`](Classes::PLACES_TRIED) others, or one that is large enough only because its
    /// address happens to be aligned.
    ///
    /// # Time
    ///
    /// O(1): examines at most `PLACES_TRIED · (CLASSES_TRIED + 1)` cells.
    pub(crate) fn find(&self, request: Request) -> Option<Fit<P>> {
        let mut class = P::Classes::class_of(request.size());
        for _ in 0..P::Classes::CLASSES_TRIED {
            class = self.occupied.next(class)?;
            if let Some(fit) = self.best_of(class, request) {
                return Some(fit);
            }
            class += 1;
        }
        let fits_for_certain = P::Classes::class_of(request.size_anywhere()?) + 1;
        let class = self.occupied.next(class.max(fits_for_certain))?;
        self.best_of(class, request)
    }

    /// Finds a cell that is large enough for the request: the shortest among the first `places` of
    /// the lowest class that has one.
    ///
    /// # Time
    ///
    /// O(classes + free cells of the request's class and of higher classes).
    #[inline(always)]
    pub(crate) fn search(&self, request: Request, places: usize) -> Option<Fit<P>> {
        let (mut best, mut least) = (None, usize::MAX);
        for class in P::Classes::class_of(request.size())..P::Classes::COUNT {
            for (cell, size) in self.list(class).take(places) {
                if size < least {
                    if let Some(lead) = request.fit(cell.addr(), size) {
                        (best, least) = (Some((cell, lead)), size);
                    }
                }
            }
            if best.is_some() {
                break;
            }
        }
        best.map(|(cell, lead)| Fit { cell, size: least, lead })
    }

    /// Returns the lowest occupied class of at least `from`.
    pub(crate) fn next_occupied(&self, from: usize) -> Option<usize> {
        if P::COMPACT {
            return (from..P::Classes::COUNT).find(|&class| self.head(class).is_some());
        }
        self.occupied.next(from)
    }

    /// Takes out a cell of at least `size` bytes at any address, and returns it with its size in
    /// bytes: the best of the first few in the class of `size`, else one of the next occupied
    /// class.
    ///
    /// # Safety
    ///
    /// `class` is the class of `size`.
    ///
    /// # Time
    ///
    /// O(1): examines at most `CELLS_TRIED + 1` cells.
    #[inline(always)]
    pub(crate) unsafe fn take(&mut self, size: usize, class: usize) -> Option<(Cell<P>, usize)> {
        // Every cell of an exact class, and of a higher class, is large enough: take the first.
        if size < P::Classes::EXACT_BELOW {
            return self.take_first(class);
        }
        let Some((cell, found)) = self.best_of_own(class, size) else {
            return self.take_first(class + 1);
        };
        // SAFETY: `best_of_own` found the cell in the list of this class.
        unsafe { self.remove_from(|| class, cell) };
        Some((cell, found))
    }

    /// Takes out the first cell of the lowest occupied class of at least `from`, and returns it
    /// with its size in bytes. O(1).
    #[inline(always)]
    fn take_first(&mut self, from: usize) -> Option<(Cell<P>, usize)> {
        let class = self.occupied.next(from)?;
        let cell = if P::CHECKED {
            self.head(class)?
        } else {
            // SAFETY: the class is in the map, so it is one, and its list has a head: the type's
            // invariant.
            unsafe {
                core::hint::assert_unchecked(class < P::Classes::COUNT);
                self.head(class).unwrap_unchecked()
            }
        };
        // SAFETY: the cell is the head of this class's list, and cells in lists are valid.
        let found = unsafe {
            let found = cell.header().size();
            self.pop(class, cell);
            found
        };
        Some((cell, found))
    }

    /// Returns the smallest of the first `CELLS_TRIED` cells of a class that have at least `size`
    /// bytes, with its size in bytes.
    #[inline(always)]
    fn best_of_own(&self, class: usize, size: usize) -> Option<(Cell<P>, usize)> {
        // Excess over the request; wraps to a huge value if the cell is too small.
        let (mut best, mut least) = (None, isize::MAX as usize);
        for (cell, found) in self.list(class).take(P::Classes::CELLS_TRIED) {
            let excess = found.wrapping_sub(size);
            // Compiles to conditional moves: the better cell is unpredictable.
            let is_better = excess < least;
            best = if is_better { Some(cell) } else { best };
            least = select(is_better, excess, least);
            if excess == 0 {
                break;
            }
        }
        best.map(|cell| (cell, size + least))
    }

    /// Returns the smallest of the first [`PLACES_TRIED`](Classes::PLACES_TRIED) cells of a class
    /// that are large enough for the request.
    fn best_of(&self, class: usize, request: Request) -> Option<Fit<P>> {
        let mut best: Option<Fit<P>> = None;
        for (cell, size) in self.list(class).take(P::Classes::PLACES_TRIED) {
            let Some(lead) = request.fit(cell.addr(), size) else { continue };
            if best.as_ref().is_none_or(|best| size < best.size) {
                best = Some(Fit { cell, size, lead });
            }
            if size == request.size() {
                break;
            }
        }
        best
    }

    /// Returns the cells of a class with their sizes in bytes, the cell freed last first.
    pub(crate) fn list(&self, class: usize) -> impl Iterator<Item = (Cell<P>, usize)> {
        let mut at = self.head(class);
        core::iter::from_fn(move || {
            let cell = at?;
            // SAFETY: a cell in a list is valid and free, and `insert` wrote its links.
            let (size, links) = unsafe { (cell.header().size(), cell.links().read()) };
            at = links.next;
            Some((cell, size))
        })
    }
}
