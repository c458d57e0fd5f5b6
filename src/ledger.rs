//! A report of live blocks with their call sites: which code has the memory?
//!
//! ```text
//!   alloc ───► the heap's block ─► an entry: address, layout, call site
//!   dealloc ─► the entry of the block is free again
//!   live, sites ─► entries, one by one, or summed up by call site
//! ```
//!
//! The entries are a hash table with linear probing. A block for which there is no place is not
//! recorded, and counted.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::fmt;
use core::mem;

use crate::lock::{RawLock, Spin};
use crate::shared_heap::SharedHeap;
use crate::trace::{CallSites, Trace};

/// Live block of a [`Ledger`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveBlock {
    /// Address of the block.
    pub address: usize,
    /// Requested size, in bytes.
    pub size: usize,
    /// Requested alignment, in bytes.
    pub align: usize,
    /// Call that allocated the block, or resized it last.
    pub allocated_by: Trace,
}

/// Live blocks of one call site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveSite {
    /// Call that allocated the blocks.
    pub allocated_by: Trace,
    /// Number of blocks.
    pub blocks: usize,
    /// Sum of their sizes, in bytes.
    pub bytes: usize,
}

impl fmt::Display for LiveSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { allocated_by, blocks, bytes } = self;
        write!(f, "{bytes} bytes in {blocks} blocks allocated by {allocated_by}")
    }
}

impl LiveBlock {
    /// Free entry of the table.
    const FREE: Self = Self { address: 0, size: 0, align: 0, allocated_by: Trace::UNKNOWN };
}

/// Table of live blocks.
///
/// # Invariants
///
/// Between the place to which the address of an entry leads and the entry itself, no place is free.
#[derive(Debug)]
struct Table<const N: usize> {
    entries: [LiveBlock; N],
    count: usize,
    /// Number of blocks that found no place.
    lost: usize,
}

impl<const N: usize> Table<N> {
    const fn new() -> Self {
        const { assert!(N > 0) };
        Self { entries: [LiveBlock::FREE; N], count: 0, lost: 0 }
    }

    /// Returns the place to which an address leads.
    const fn place_of(address: usize) -> usize {
        // Blocks are apart by 16 bytes at least. The factor is near the golden ratio.
        ((address >> 4).wrapping_mul(0x9E37_79B1) >> 8) % N
    }

    /// Returns the place of an address, or the free one where it would be; `None` if there is none.
    fn find(&self, address: usize) -> Option<usize> {
        let first = Self::place_of(address);
        let mut places = (first..N).chain(0..first);
        places.find(|&place| {
            let entry = self.entries[place].address;
            entry == address || entry == 0
        })
    }

    fn insert(&mut self, entry: LiveBlock) {
        let Some(place) = self.find(entry.address) else {
            self.lost += 1;
            return;
        };
        self.count += usize::from(self.entries[place].address == 0);
        self.entries[place] = entry;
    }

    /// Removes an entry. Entries behind it move up, so that they are found.
    fn remove(&mut self, address: usize) {
        let Some(mut free) = self.find(address).filter(|&place| self.entries[place].address != 0)
        else {
            return;
        };
        self.count -= 1;
        self.entries[free] = LiveBlock::FREE;
        let mut place = free;
        for _ in 1..N {
            place = (place + 1) % N;
            let entry = self.entries[place];
            if entry.address == 0 {
                return;
            }
            // The entry may move if the free place is not in front of where it leads to.
            let (wanted, distance) =
                (Self::place_of(entry.address), |from, to| (to + N - from) % N);
            if distance(wanted, place) >= distance(free, place) {
                self.entries[free] = mem::replace(&mut self.entries[place], LiveBlock::FREE);
                free = place;
            }
        }
    }

    fn live(&self) -> impl Iterator<Item = LiveBlock> + '_ {
        self.entries.iter().copied().filter(|entry| entry.address != 0)
    }
}

/// A global allocator that records its live blocks with their call sites.
///
/// `S` tells the call sites, `N` is the number of blocks that are recorded at most, each in
/// twelve words; `L` locks the table, and must be one that interrupt handlers may wait for if they
/// allocate.
///
/// ```
/// use brkalloc::{CallSites, FixedBreak, Ledger, LockedHeap, Trace};
/// # use core::alloc::{GlobalAlloc, Layout};
/// # use core::sync::atomic::{AtomicUsize, Ordering};
/// # static SITE: AtomicUsize = AtomicUsize::new(0);
///
/// /// The kernel's stacks: see `CallSites`.
/// struct Stacks;
///
/// impl CallSites for Stacks {
///     fn trace(&self) -> Trace {
///         // …
/// #       Trace::of([SITE.load(Ordering::Relaxed)])
///     }
/// }
///
/// static HEAP: Ledger<LockedHeap<FixedBreak>, Stacks, 1000> =
///     Ledger::new(LockedHeap::empty(), Stacks);
/// # let memory = Box::leak(Box::new([0_u8; 10_000]));
/// # unsafe { HEAP.heap().init(memory.as_mut_ptr(), memory.len()) }.unwrap();
/// # let layout = Layout::new::<[u64; 4]>();
/// # SITE.store(0x1234, Ordering::Relaxed);
/// # let _leaks = unsafe { [HEAP.alloc(layout), HEAP.alloc(layout)] };
/// # SITE.store(0x5678, Ordering::Relaxed);
/// # let _leak = unsafe { HEAP.alloc(layout) };
///
/// let mut report = String::new();
/// HEAP.sites(|site| report += &format!("{site}\n"));
/// assert_eq!(
///     report,
///     "64 bytes in 2 blocks allocated by 0x1234\n32 bytes in 1 blocks allocated by 0x5678\n"
/// );
/// ```
///
/// To find a leak, a test compares [`blocks`](Ledger::blocks) before and after an operation, and
/// prints [`live`](Ledger::live) if they differ.
pub struct Ledger<H, S, const N: usize, L = Spin> {
    heap: H,
    sites: S,
    lock: L,
    table: UnsafeCell<Table<N>>,
}

// SAFETY: the table is reached with the lock held.
unsafe impl<H: Sync, S: Sync, const N: usize, L: Sync> Sync for Ledger<H, S, N, L> {}

impl<H, S, const N: usize, L: RawLock> Ledger<H, S, N, L> {
    /// Wraps a heap without live blocks.
    #[must_use]
    pub const fn new(heap: H, sites: S) -> Self {
        Self { heap, sites, lock: L::INIT, table: UnsafeCell::new(Table::new()) }
    }

    /// Returns the heap.
    pub const fn heap(&self) -> &H {
        &self.heap
    }

    /// Runs `run` with the table locked.
    fn with<R>(&self, run: impl FnOnce(&mut Table<N>) -> R) -> R {
        let _held = self.lock.lock();
        // SAFETY: the lock is held, and no caller in this file calls this method in `run`.
        run(unsafe { &mut *self.table.get() })
    }

    /// Returns the number of live blocks that are recorded. O(1), behind the lock.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.with(|table| table.count)
    }

    /// Returns the number of blocks that were not recorded, because the table was full. O(1),
    /// behind the lock.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.with(|table| table.lost)
    }

    /// Calls `show` for each live block, in no order. O(`N`).
    ///
    /// `show` may use the heap: it runs without the lock. Blocks that callers allocate or free
    /// meanwhile may be shown or not.
    pub fn live(&self, mut show: impl FnMut(LiveBlock)) {
        for place in 0..N {
            let entry = self.with(|table| table.entries[place]);
            if entry.address != 0 {
                show(entry);
            }
        }
    }

    /// Calls `show` for each call site that has live blocks, in the order of the traces. O(call
    /// sites · `N`).
    ///
    /// `show` may use the heap: it runs without the lock.
    pub fn sites(&self, mut show: impl FnMut(LiveSite)) {
        let mut last = None;
        loop {
            let site = self.with(|table| {
                let traces = table.live().map(|block| block.allocated_by);
                let allocated_by = traces.filter(|&trace| Some(trace) > last).min()?;
                let blocks = table.live().filter(|block| block.allocated_by == allocated_by);
                let (blocks, bytes) =
                    blocks.fold((0, 0), |(blocks, bytes), block| (blocks + 1, bytes + block.size));
                Some(LiveSite { allocated_by, blocks, bytes })
            });
            let Some(site) = site else { return };
            last = Some(site.allocated_by);
            show(site);
        }
    }
}

impl<H, S: CallSites, const N: usize, L: RawLock> Ledger<H, S, N, L> {
    /// Records a new block, unless it is null, and returns it.
    fn record(&self, block: *mut u8, size: usize, align: usize) -> *mut u8 {
        if !block.is_null() {
            let (address, allocated_by) = (block.addr(), self.sites.trace());
            self.with(|table| table.insert(LiveBlock { address, size, align, allocated_by }));
        }
        block
    }

    /// Forgets a block, before it is freed: then another caller may get its address.
    fn forget(&self, block: *mut u8) {
        self.with(|table| table.remove(block.addr()));
    }
}

// SAFETY: a block is the heap's.
unsafe impl<H: GlobalAlloc, S: CallSites, const N: usize, L: RawLock> GlobalAlloc
    for Ledger<H, S, N, L>
{
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the clauses are those of this method.
        self.record(unsafe { self.heap.alloc(layout) }, layout.size(), layout.align())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.forget(block);
        // SAFETY: the clauses are those of this method.
        unsafe { self.heap.dealloc(block, layout) };
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the clauses are those of this method.
        self.record(unsafe { self.heap.alloc_zeroed(layout) }, layout.size(), layout.align())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let before = self.with(|table| {
            let entry = table.find(block.addr()).map(|place| table.entries[place]);
            table.remove(block.addr());
            entry
        });
        // SAFETY: the clauses are those of this method.
        let moved = unsafe { self.heap.realloc(block, layout, new_size) };
        // After a refusal the block is as it was.
        if let Some(entry) = before.filter(|entry| entry.address != 0 && moved.is_null()) {
            self.with(|table| table.insert(entry));
        }
        self.record(moved, new_size, layout.align())
    }
}

// SAFETY: the methods are those of `GlobalAlloc` above.
unsafe impl<H: GlobalAlloc, S: CallSites, const N: usize, L: RawLock> SharedHeap
    for Ledger<H, S, N, L>
{
}

impl<H, S, const N: usize, L> fmt::Debug for Ledger<H, S, N, L> {
    /// Does not wait for the lock, and so does not show the blocks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn entry(address: usize, size: usize) -> LiveBlock {
        LiveBlock { address, size, ..LiveBlock::FREE }
    }

    #[test]
    fn the_table_has_what_was_inserted_and_not_removed() {
        let (mut table, mut expected) = (Table::<64>::new(), BTreeMap::new());
        let mut random = 1_u32;
        for step in 0..20_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let address = 16 + (random >> 16) as usize % 100 * 16;
            if random >> 8 & 3 == 0 || expected.len() >= 60 {
                table.remove(address);
                expected.remove(&address);
            } else {
                table.insert(entry(address, step));
                expected.insert(address, step);
            }
            assert_eq!(table.count, expected.len());
            let found: BTreeMap<_, _> =
                table.live().map(|block| (block.address, block.size)).collect();
            assert_eq!(found, expected);
            for address in expected.keys() {
                assert_eq!(table.entries[table.find(*address).unwrap()].address, *address);
            }
        }
        assert_eq!(table.lost, 0);
    }

    #[test]
    fn a_full_table_counts_what_it_loses() {
        let mut table = Table::<8>::new();
        (1..=10).for_each(|number| table.insert(entry(number * 16, 1)));
        assert_eq!((table.count, table.lost), (8, 2));
        (1..=10).for_each(|number| table.remove(number * 16));
        assert_eq!((table.count, table.live().count()), (0, 0));
    }
}
