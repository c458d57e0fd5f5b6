//! The heap: its public methods, over the parts that its profile chooses.
//!
//! ```text
//!   Heap            public methods; a checked heap goes through checked/       this file
//!    └─ Unchecked   small or large? in place or moved?                         unchecked/
//!        ├─ layer   small blocks: slabs, or none                               slabs/
//!        └─ Large   cells (chunks/) and mappings (mapped.rs)                   large.rs
//!   Profile         which parts, as a type                                     profile.rs
//!
//!   look, do not touch:  cells() · picture() · stats()   inspect/    check()   check/
//! ```

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use crate::check::{self, Corruption};
use crate::checked::{Checker, Look, guarded_layout};
use crate::checks::Checks;
use crate::chunks::{Chunks, Growth, Trim};
use crate::inspect::{Cells, LayerView, Picture, Stats, View};
use crate::layer::Layer;
use crate::mapped::MapThreshold;
use crate::misuse::{Misuse, MisuseHook};
use crate::profile::{Checked, Plain, Profile, Small, Usual};
use crate::provider::{BreakError, Map, NoMap, Source};
use crate::raw_heap::RawHeap;
use crate::sealed::Sealed;
use crate::space::RegionError;
use crate::unchecked::{OutOfMemoryHook, Unchecked};

/// A heap over a break.
///
/// It has no lock: see [`LockedHeap`](crate::LockedHeap) for one that can be shared and be the
/// global allocator. `P` says which parts it has: see [`Profile`].
///
/// ```
/// use brkalloc::{FixedBreak, Heap};
/// use core::alloc::Layout;
///
/// let memory = Box::leak(Box::new([0; 4096]));
/// let mut heap = Heap::new(FixedBreak::from_array(memory));
/// let layout = Layout::from_size_align(100, 8).unwrap();
/// // SAFETY: the heap outlives the block; the block is freed once, with its own layout.
/// unsafe {
///     let block = heap.allocate(layout).expect("4 KiB hold 100 bytes");
///     heap.deallocate(block, layout);
/// }
/// assert_eq!(heap.stats().live_cells, 0);
/// ```
///
/// # Invariants
///
/// [`check`](Heap::check) verifies those of all parts.
pub struct Heap<B, M = NoMap, P: Profile = Usual> {
    inner: Unchecked<B, M, P>,
}

/// The documents' heap: every block is a cell. See [`Plain`].
pub type PlainHeap<B, M = NoMap> = Heap<B, M, Plain>;

/// A heap for small targets. See [`Small`].
pub type SmallHeap<B, M = NoMap> = Heap<B, M, Small>;

/// A heap that finds a caller's mistakes. See [`Checked`].
pub type CheckedHeap<B, M = NoMap, P = Usual> = Heap<B, M, Checked<P>>;

// SAFETY: blocks and cells belong to this heap alone and go with it.
unsafe impl<B: Send, M: Send, P: Profile> Send for Heap<B, M, P> {}

impl<B> Heap<B> {
    /// Returns an empty heap of the default profile. Does not use the break before the first
    /// allocation.
    #[must_use]
    pub const fn new(brk: B) -> Self {
        Self::with_profile(brk, NoMap)
    }
}

impl<B, M> Heap<B, M> {
    /// Returns an empty heap that gives large blocks mappings of their own (C15). See
    /// [`MapThreshold`].
    #[must_use]
    pub const fn with_map(brk: B, map: M) -> Self {
        Self::with_profile(brk, map)
    }
}

impl<B, M, P: Profile> Heap<B, M, P> {
    /// Returns an empty heap of any profile, as in `PlainHeap::with_profile(brk, NoMap)`. Does not
    /// use the break before the first allocation.
    #[must_use]
    pub const fn with_profile(brk: B, map: M) -> Self {
        Self { inner: Unchecked::new(brk, map) }
    }
}

impl<B: Source, M: Map, P: Profile> Heap<B, M, P> {
    /// Allocates a block. A block of at most 4 KiB comes from a slab, or is a cell. Any other block
    /// is a cell: a freed one, else one that is split off the top, after the break has moved up if
    /// necessary. A large block gets a mapping of its own if the heap has a provider of
    /// mappings.
    ///
    /// The break also moves for a slab, if no free cell has a place for one, although a free cell
    /// may be long enough for the block. After [`reserve`](Heap::reserve) the next block does not
    /// move it.
    ///
    /// A block of no bytes is a block like any other, with an address of its own. The contents are
    /// unspecified.
    ///
    /// # Errors
    ///
    /// `None` if nothing fits and the providers do not grant more. The heap then serves smaller
    /// requests as before. A heap without live blocks grants every request that a fresh heap
    /// grants.
    ///
    /// # Time
    ///
    /// O(1), plus at most a few calls of the provider. Before the answer is `None`: a
    /// [`flush`](Heap::flush), and a search of the free cells that are long enough.
    ///
    /// # Safety
    ///
    /// The heap, and with it its provider, lives until the last use of the block.
    #[must_use]
    #[inline]
    pub unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        if P::CHECKED {
            return Checker(&mut self.inner).allocate(layout, Growth::Allowed);
        }
        self.inner.allocate(layout, Growth::Allowed)
    }

    /// Frees a block. A block of a slab goes back to the slab. A cell is coalesced with its free
    /// neighbours and becomes a cell in a bin, or the top. If the top has outgrown the
    /// [trim](Trim) setting, the break moves down. A block with a mapping of its own is unmapped.
    ///
    /// # Time
    ///
    /// O(1), plus at most one call of the provider.
    ///
    /// # Safety
    ///
    /// `block` came from this heap with this layout, was not freed since, and is not used any more.
    #[inline]
    pub unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        if P::CHECKED {
            return Checker(&mut self.inner).deallocate(block, layout);
        }
        // SAFETY: the clauses are those of this method.
        unsafe { self.inner.deallocate(block, layout) };
    }

    /// Changes the size of a block and keeps its contents up to the smaller of both sizes.
    ///
    /// A block of a slab stays if it becomes only a little smaller, and moves otherwise. For any
    /// other block the heap tries, in this order: to split the rest off; to claim the free cell
    /// behind; if the block is the last one, to move the break; to claim the free cell before,
    /// which moves the contents down, with or without the cell behind; to move the block. A block
    /// with a mapping of its own is remapped, or moves into the heap when it has become small.
    ///
    /// # Errors
    ///
    /// `None` if there is no room. The block is unchanged and still the caller's. A smaller size
    /// never fails, except for a block of a slab that is less aligned than blocks of its new size:
    /// it must move. ([`Plain`] and [`Small`] heaps have no slabs.)
    ///
    /// # Time
    ///
    /// O(1), plus a few calls of the provider, plus the copy if the block moves.
    ///
    /// # Safety
    ///
    /// `block` came from this heap with this `layout` and was not freed since. After `Some`, only
    /// the new block may be used, and its layout is `new_size` with the old alignment.
    #[must_use]
    #[inline]
    pub unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        if P::CHECKED {
            return Checker(&mut self.inner).reallocate(block, layout, new_size);
        }
        // SAFETY: the clauses are those of this method.
        unsafe { self.inner.reallocate(block, layout, new_size) }
    }

    /// Allocates a block of zeros (C7). Fresh memory from a provider whose memory is
    /// [zeroed](crate::Break::ZEROED) is not written to, so that pages that appear on first touch
    /// do not appear yet.
    ///
    /// # Errors
    ///
    /// Those of [`allocate`](Heap::allocate).
    ///
    /// # Time
    ///
    /// That of [`allocate`](Heap::allocate), plus O(bytes that are not known to be zero).
    ///
    /// # Safety
    ///
    /// The clauses of [`allocate`](Heap::allocate).
    #[must_use]
    pub unsafe fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        if P::CHECKED {
            return Checker(&mut self.inner).allocate_zeroed(layout);
        }
        self.inner.allocate_zeroed(layout)
    }

    /// Allocates an array of `count` elements and fills it with zeros, as `calloc` does (C7).
    /// Checks the product for overflow.
    ///
    /// # Errors
    ///
    /// Those of [`allocate`](Heap::allocate), and `None` if the product overflows.
    ///
    /// # Time
    ///
    /// That of [`allocate_zeroed`](Heap::allocate_zeroed).
    ///
    /// # Safety
    ///
    /// The clauses of [`allocate`](Heap::allocate).
    #[must_use]
    pub unsafe fn allocate_zeroed_array(
        &mut self,
        count: usize,
        element: Layout,
    ) -> Option<NonNull<u8>> {
        let size = element.pad_to_align().size().checked_mul(count)?;
        let layout = Layout::from_size_align(size, element.align()).ok()?;
        // SAFETY: the clauses are those of this method.
        unsafe { self.allocate_zeroed(layout) }
    }

    /// Allocates a block without a call of the provider: for callers that hold locks which the
    /// provider may need.
    ///
    /// # Errors
    ///
    /// `None` if the request does not fit into memory of the heap. [`reserve`](Heap::reserve)
    /// obtains memory beforehand.
    ///
    /// # Time
    ///
    /// That of [`allocate`](Heap::allocate).
    ///
    /// # Safety
    ///
    /// The clauses of [`allocate`](Heap::allocate).
    #[must_use]
    pub unsafe fn try_allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        if P::CHECKED {
            return Checker(&mut self.inner).allocate(layout, Growth::Forbidden);
        }
        self.inner.allocate(layout, Growth::Forbidden)
    }

    /// Frees a block by its address: [`deallocate`](Heap::deallocate) for callers that do not know
    /// the layout.
    ///
    /// # Time
    ///
    /// That of [`deallocate`](Heap::deallocate), plus one look-up in the page map, and the header
    /// of a block that lies in no slab.
    ///
    /// # Safety
    ///
    /// `block` came from this heap, was not freed since, and is not used any more.
    #[inline]
    pub unsafe fn deallocate_by_ptr(&mut self, block: NonNull<u8>) {
        if P::CHECKED {
            return Checker(&mut self.inner).deallocate_by_ptr(block);
        }
        // SAFETY: the clauses are those of this method.
        unsafe { self.inner.deallocate_by_ptr(block) };
    }

    /// Resizes a block by its address: [`reallocate`](Heap::reallocate) for callers that do not
    /// know the old layout. The contents are kept up to the smaller of [all that the block could
    /// hold](Heap::usable_size) and the new size. The new alignment need not be the old one.
    ///
    /// # Errors
    ///
    /// `None` if there is no room. The block is unchanged and still the caller's. A smaller size
    /// fails only if the block is less aligned, or shorter, than blocks of the new layout and
    /// cannot move (in a [`Checked`] heap: if its alignment differs).
    ///
    /// # Time
    ///
    /// That of [`reallocate`](Heap::reallocate).
    ///
    /// # Safety
    ///
    /// `block` came from this heap and was not freed since. After `Some`, only the new block may
    /// be used, and its layout is `new`.
    #[must_use]
    pub unsafe fn reallocate_by_ptr(
        &mut self,
        block: NonNull<u8>,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        if P::CHECKED {
            return Checker(&mut self.inner).reallocate_by_ptr(block, new);
        }
        // SAFETY: the clauses are those of this method.
        unsafe { self.inner.reallocate_by_ptr(block, new) }
    }

    /// Returns the usable size of a block, in bytes: at least the requested size. 0 in a heap that
    /// has [stopped](crate::Rule::BreakBelowHeap). O(1).
    ///
    /// # Safety
    ///
    /// `block` is a live block of this heap.
    #[must_use]
    pub unsafe fn usable_size(&self, block: NonNull<u8>) -> usize {
        if P::CHECKED {
            return Look(&self.inner).usable_size(block);
        }
        // SAFETY: the clauses are those of this method.
        unsafe { self.inner.capacity(block) }
    }

    /// Moves the break up, if necessary, so that the next block, of at most `bytes` bytes, can be
    /// allocated without another movement. A fresh heap is then a single free cell that holds the
    /// block (C2).
    ///
    /// # Errors
    ///
    /// The provider's answer. The heap is as it was, or has a larger top.
    ///
    /// # Time
    ///
    /// O(1), plus a few calls of the provider. Before the answer is an error, a
    /// [`flush`](Heap::flush), and a search of the free cells that are long enough.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), BreakError> {
        let layout = Layout::from_size_align(bytes, 1).map_err(|_| BreakError::OutOfAddresses)?;
        let layout = if P::CHECKED {
            guarded_layout(layout).ok_or(BreakError::OutOfAddresses)?
        } else {
            layout
        };
        self.inner.reserve(layout)
    }

    /// Gives the heap `len` bytes at `base`, for ever: before the break's first grant or after it,
    /// below, between or above its regions, whatever their alignment. Returns how many bytes of
    /// cells it gained: if the memory touches nothing, the largest block has that size, less its
    /// header.
    ///
    /// The heap merges a region with regions that it touches, and with a later grant of the break
    /// that touches it. Do not add a region directly above the break: the break could then
    /// never shrink.
    ///
    /// ```
    /// use brkalloc::{FixedBreak, Heap};
    ///
    /// let memory = Box::leak(Box::new([0_u8; 8192]));
    /// let (low, high) = memory.split_at_mut(4096);
    /// let mut heap = Heap::new(FixedBreak::EMPTY);
    /// // SAFETY: nothing else uses the two halves, which are one piece of memory.
    /// unsafe {
    ///     heap.add_region(high.as_mut_ptr(), high.len()).unwrap();
    ///     heap.add_region(low.as_mut_ptr(), low.len()).unwrap();
    /// }
    /// assert_eq!((heap.stats().free_cells, heap.stats().added_bytes), (1, 8192));
    /// ```
    ///
    /// # Errors
    ///
    /// The memory cannot be used: see [`RegionError`]. The heap is as it was.
    ///
    /// # Time
    ///
    /// O(regions).
    ///
    /// # Safety
    ///
    /// * The memory is readable and writable, and nothing else uses it from now on, as long as the
    ///   heap or a block of it is in use. It is no part of what the break, or the provider of
    ///   mappings, ever grants.
    /// * If it touches memory of the heap, or memory that the break will grant, both are one
    ///   piece of memory: a pointer into one may be moved into the other.
    pub unsafe fn add_region(&mut self, base: *mut u8, len: usize) -> Result<usize, RegionError> {
        // SAFETY: the clauses are those of this method.
        unsafe { self.inner.large.chunks.add_region(base, len) }
    }

    /// Moves the break down as far as the top allows, in the provider's steps, and leaves a top of
    /// at least `keep` bytes, if the top is larger. Returns the number of bytes given back.
    ///
    /// An empty heap that keeps 0 bytes gives back all granted memory, unless holes divide it. The
    /// heap gives nothing back if the provider refuses, or if memory that the break did not grant
    /// lies between the heap's end and the break, or directly above it.
    ///
    /// # Time
    ///
    /// That of [`flush`](Heap::flush), plus one call of the provider; for a provider of segments,
    /// plus O(segments).
    pub fn trim(&mut self, keep: usize) -> usize {
        self.inner.trim(keep)
    }

    /// Frees all slabs without live blocks. Free memory is then in free cells, except in slabs with
    /// live blocks.
    ///
    /// # Time
    ///
    /// O(size classes + slabs).
    pub fn flush(&mut self) {
        self.inner.flush();
        if P::CHECKED {
            Checker(&mut self.inner).report_broken_links();
        }
    }

    /// Sets a hook that is called before a request is refused, and may return more memory. See
    /// [`OutOfMemoryHook`].
    ///
    /// ```
    /// use brkalloc::{FixedBreak, Heap};
    /// use core::alloc::Layout;
    /// use core::ptr::NonNull;
    ///
    /// fn one_page(_: Layout) -> Option<NonNull<[u8]>> {
    ///     Some(NonNull::from(Box::leak(Box::new([0_u8; 4096]))))
    /// }
    ///
    /// let mut heap = Heap::new(FixedBreak::from_array(Box::leak(Box::new([]))));
    /// // SAFETY: the hook returns memory that nothing else uses. The heap outlives the block.
    /// let block = unsafe {
    ///     heap.set_out_of_memory_hook(Some(one_page));
    ///     heap.allocate(Layout::new::<u64>())
    /// };
    /// assert!(block.is_some());
    /// ```
    ///
    /// # Safety
    ///
    /// Memory that the hook returns fulfils the contract of [`add_region`](Heap::add_region).
    pub const unsafe fn set_out_of_memory_hook(&mut self, hook: Option<OutOfMemoryHook>) {
        self.inner.large.chunks.expect_regions();
        self.inner.oom_hook = hook;
    }

    /// Sets when a `free` moves the break down. See [`Trim`].
    pub const fn set_trim(&mut self, trim: Trim) {
        self.inner.large.chunks.set_trim(trim);
    }

    /// Sets the minimum size of mapped blocks. See [`MapThreshold`].
    pub const fn set_map_threshold(&mut self, threshold: MapThreshold) {
        self.inner.large.mapped.threshold = threshold;
    }

    /// Calls `forget` with each piece of free memory that holds no word of the heap: whole granules
    /// of together `least` bytes or more. The provider may lose the contents, if the memory can be
    /// written to again when it is allocated. The top is left out: [`trim`](Heap::trim) gives it
    /// back.
    ///
    /// `granule` is a power of two.
    ///
    /// # Time
    ///
    /// O(free cells of at least `least` bytes).
    pub fn unused_memory(&self, granule: usize, least: usize, forget: impl FnMut(NonNull<[u8]>)) {
        self.inner.chunks().unused_memory(granule, least, forget);
    }

    /// Returns whether an address lies in memory that the heap holds, in use or not: granted by its
    /// break, or added. (Blocks with mappings of their own lie elsewhere.) O(regions), so O(1)
    /// unless there are holes.
    ///
    /// A heap that has [stopped](crate::Rule::BreakBelowHeap) owns no address.
    #[must_use]
    pub fn owns(&self, address: *const u8) -> bool {
        let mut regions = self.inner.chunks().space().regions();
        !self.inner.has_stopped()
            && regions.any(|region| (region.start..region.end).contains(&address.addr()))
    }

    /// Verifies that an address lies in memory of the heap, or that a block with a mapping of its
    /// own may begin there; and outside slabs, that a header precedes it. O(regions).
    ///
    /// # Panics
    ///
    /// If it does not hold.
    ///
    /// # Safety
    ///
    /// The word in front of the address is readable.
    pub(crate) unsafe fn require_owned(&self, block: NonNull<u8>) {
        let address = block.addr().get();
        // SAFETY: the word is readable: this method's clause.
        let may_be_mapped = || unsafe { self.inner.large.mapped.may_be_mapped::<P>(block) };
        if !self.owns(block.as_ptr()) && !may_be_mapped() {
            panic!("{}", Misuse::never_allocated(address, None));
        }
        if self.inner.layer.class_at(address).is_none() {
            // SAFETY: outside slabs a header precedes a block; the word is memory of the heap, or
            // that of a block that may be mapped.
            unsafe { self.inner.large.require_block(block) };
        }
    }

    /// Counts regions, cells and slabs: O(cells). Finds none of them in a heap that has
    /// [stopped](crate::Rule::BreakBelowHeap).
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.view().stats()
    }

    /// Verifies every invariant of the heap. O(cells + free blocks of slabs), or, if there are
    /// holes, O(cells · regions + free blocks of slabs).
    ///
    /// Reads only the heap's own words and follows no link out of the heap, so it survives an
    /// overwritten heap. (If three or more regions exist, an overwritten fencepost can lead it into
    /// a hole below the break's region.)
    ///
    /// # Errors
    ///
    /// The first broken rule, with the address.
    pub fn check(&self) -> Result<(), Corruption> {
        check::check(self.view())?;
        if P::CHECKED { Look(&self.inner).check_records() } else { Ok(()) }
    }
}

impl<B, M, P: Profile> Heap<B, M, P> {
    /// Returns the provider.
    pub const fn provider(&self) -> &B {
        &self.inner.chunks().space().source
    }

    /// Returns the provider, for its settings. A movement of the break through it counts as a
    /// foreign movement.
    pub const fn provider_mut(&mut self) -> &mut B {
        self.inner.large.chunks.source_mut()
    }

    /// Returns the provider of mappings.
    pub const fn map_provider(&self) -> &M {
        &self.inner.large.mapped.map
    }

    /// Returns the provider of mappings, for its settings.
    pub const fn map_provider_mut(&mut self) -> &mut M {
        &mut self.inner.large.mapped.map
    }

    /// Returns the payload bytes of all used cells and mapped blocks. A slab counts as one used
    /// cell: [`stats`](Heap::stats) distinguishes its blocks. O(1).
    #[must_use]
    pub const fn used(&self) -> usize {
        let counters = &self.inner.chunks().counters;
        counters.used_bytes() + counters.mapped_bytes()
    }

    /// Returns the bytes that the heap holds outside of used cells: free cells, and the words
    /// between cells. The provider may [grant](crate::Break::grow) more. O(1).
    #[must_use]
    pub const fn free(&self) -> usize {
        let chunks = self.inner.chunks();
        chunks.space().len() - chunks.counters.used_bytes()
    }

    /// Returns the bytes that the heap holds: granted by its break and not given back, added, or
    /// mapped. (The provider knows what the break can still grant:
    /// [`FixedBreak::remaining`](crate::FixedBreak::remaining).) O(1).
    #[must_use]
    pub const fn size(&self) -> usize {
        let chunks = self.inner.chunks();
        chunks.space().len() + chunks.counters.mapped_bytes()
    }

    /// Returns the sizes of blocks of slabs, in bytes, the smallest first. Empty for [`Plain`] and
    /// [`Small`] heaps, which have no slabs. O(1) a size.
    pub fn block_sizes(&self) -> impl Iterator<Item = usize> {
        P::LayerOf::<P>::block_sizes()
    }

    /// Returns all cells and holes, in the order of addresses. They tile the heap without gaps.
    /// O(1) a cell.
    ///
    /// A walk of a heap that has [stopped](crate::Rule::BreakBelowHeap) is empty.
    #[must_use]
    pub fn cells(&self) -> Cells<'_> {
        self.view().cells()
    }

    /// Returns the heap as a line of `width` characters, each for an equal part of the addresses
    /// from the first cell to the last. A character shows the most common use in its part. O(cells)
    /// when it is printed.
    #[must_use]
    pub fn picture(&self, width: usize) -> Picture<'_> {
        Picture::new(self.cells(), width)
    }

    /// Returns the state of a checked heap beside its cells.
    pub(crate) const fn checks_mut(&mut self) -> &mut P::Checks {
        &mut self.inner.large.chunks.checks
    }

    pub(crate) const fn view(&self) -> View<'_, B, M, P, P::LayerOf<P>> {
        View { layer: &self.inner.layer, large: &self.inner.large }
    }
}

impl<B, M, P: Profile> Heap<B, M, Checked<P>> {
    /// Sets the hook that receives each report of a misuse and decides how the heap responds. By
    /// default, every misuse is a panic. O(1).
    pub fn set_misuse_hook(&mut self, hook: MisuseHook) {
        self.checks_mut().set_hook(hook);
    }
}

impl<B: Source, M: Map, P: Profile> Heap<B, M, Checked<P>>
where
    Checked<P>: Profile,
{
    /// Verifies that a live block with this layout begins at an address: its header and its
    /// neighbours', its record, and the bytes behind the requested ones. Reports a misuse to the
    /// hook. Returns `false` if there is one. O(mappings), but O(cells) before a report.
    pub fn verify(&mut self, block: NonNull<u8>, layout: Layout) -> bool {
        Checker(&mut self.inner).verify(block, layout)
    }
}

/// For the heaps of arenas, and their parent.
impl<B: Source, M: Map, P: Profile> Heap<B, M, P> {
    /// Returns the heap without its public methods.
    #[inline(always)]
    pub(crate) const fn inner(&mut self) -> &mut Unchecked<B, M, P> {
        &mut self.inner
    }

    /// Returns the parts of the cells, so that a test can break one.
    #[cfg(test)]
    pub(crate) fn parts(&mut self) -> crate::chunks::Parts<'_, B, P> {
        self.inner.large.chunks.parts()
    }

    /// Returns the layer of small blocks, for tests.
    #[cfg(test)]
    pub(crate) fn layer_ref(&self) -> &P::LayerOf<P> {
        &self.inner.layer
    }

    /// Returns the cells.
    pub(crate) const fn chunks(&self) -> &Chunks<B, P> {
        self.inner.chunks()
    }

    /// Returns the layer of small blocks.
    #[inline(always)]
    pub(crate) const fn layer(&mut self) -> &mut P::LayerOf<P> {
        &mut self.inner.layer
    }
}

impl<B: fmt::Debug, M, P: Profile> fmt::Debug for Heap<B, M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap")
            .field("provider", self.provider())
            .field("size", &self.size())
            .field("used", &self.used())
            .finish_non_exhaustive()
    }
}

impl<B: Default> Default for Heap<B> {
    fn default() -> Self {
        Self::new(B::default())
    }
}

impl<B, M, P: Profile> Sealed for Heap<B, M, P> {}

// SAFETY: blocks are disjoint: each is the payload of one used cell, a block of one slab, or alone
// in a mapping. Each has the requested size and alignment, and keeps its address until it is freed.
unsafe impl<B: Source, M: Map, P: Profile> RawHeap for Heap<B, M, P> {
    const REPORTS: bool = P::CHECKED;

    unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the clauses are those of this method.
        unsafe { self.allocate(layout) }
    }

    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the clauses are those of this method.
        unsafe { self.allocate_zeroed(layout) }
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the clauses are those of this method.
        unsafe { self.deallocate(block, layout) }
    }

    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the clauses are those of this method.
        unsafe { self.reallocate(block, layout, new_size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::FixedBreak;

    #[test]
    fn the_state_of_an_empty_heap_is_small() {
        let limit = |bytes32, bytes64| if usize::BITS == 32 { bytes32 } else { bytes64 };
        let sizes = [
            (size_of::<SmallHeap<FixedBreak>>(), limit(124, 248)),
            (size_of::<PlainHeap<FixedBreak>>(), limit(2048, 4096)),
            (size_of::<Heap<FixedBreak>>(), 4096),
            (size_of::<CheckedHeap<FixedBreak>>(), 8192),
        ];
        for (index, (bytes, most)) in sizes.into_iter().enumerate() {
            assert!(bytes <= most, "heap {index} of the list takes {bytes} bytes, not {most}");
        }
    }
}
