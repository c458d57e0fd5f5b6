//! What a program tells of its heap while a story of it is recorded: each call, and the cells that
//! it changed.
//!
//! ```text
//!   alloc ─► Told ─► is a story recorded? no ─► the heap
//!                          │ yes
//!                          ▼
//!            begins ─► the heap ─► walk over the cells ─► those that have changed ─► done
//! ```
//!
//! The kernel says so in the auxiliary vector, with the number of the call that takes what is told.
//! Linux does not. The last walk is kept in a mapping of its own, so that the heap is as it would
//! be without a story.

use core::alloc::{GlobalAlloc, Layout};
use core::slice;
use core::sync::atomic::{AtomicUsize, Ordering};

use brkalloc::{CellInfo, CellState, Locked, RawLock};
use spin::Mutex;

use crate::system::memory::{self, MapFlags, Protection};
use crate::system::raw;
use crate::{ProcessBreak, ProcessHeap, SimpleProcessHeap};

/// Key of the auxiliary vector.
pub(crate) const AT_STORY: u32 = 0x6272_6b61;

/// Number of the call; 0 without a story.
static CALL: AtomicUsize = AtomicUsize::new(0);

/// A call of a heap.
#[derive(Clone, Copy, Debug)]
pub enum HeapCall {
    /// `malloc`: the size.
    Allocate(usize),
    /// `calloc`: the size.
    AllocateZeroed(usize),
    /// `free`: the block's address, and its size, 0 if the caller does not say it.
    Free(usize, usize),
    /// `realloc`: the block's address, its size or 0, the new size.
    Reallocate(usize, usize, usize),
}

impl HeapCall {
    /// As the kernel is told: kind, block, size, new size.
    const fn numbers(self) -> [usize; 4] {
        match self {
            Self::Allocate(size) => [0, 0, size, 0],
            Self::AllocateZeroed(size) => [1, 0, size, 0],
            Self::Free(block, size) => [2, block, size, 0],
            Self::Reallocate(block, size, new) => [3, block, size, new],
        }
    }
}

/// What is told, as the first argument says.
mod what {
    pub const BEGINS: usize = 0;
    pub const DONE: usize = 1;
    pub const CELLS: usize = 2;
    pub const ROOM: usize = 3;
}

/// A cell: address, size, state.
type Cell = [usize; 3];

/// Number of cells for which there is room at first.
const CAPACITY: usize = 512;

/// The last walk, and room for the next one.
struct Walks {
    /// Two arrays of this many cells, one behind the other; without a story at no address.
    cells: usize,
    capacity: usize,
    /// Number of cells of the last walk.
    len: usize,
    /// The array of the last walk.
    current: usize,
}

static WALKS: Mutex<Walks> = Mutex::new(Walks { cells: 0, capacity: 0, len: 0, current: 0 });

/// Begins to tell, if the kernel has given the number of a call.
pub(crate) fn start(call: Option<usize>) {
    let Some(call) = call else { return };
    CALL.store(call, Ordering::Relaxed);
    if !WALKS.lock().make_room(CAPACITY) {
        CALL.store(0, Ordering::Relaxed);
    }
}

/// A heap whose cells can be told.
pub trait Cells {
    /// Shows each cell, in the order of addresses.
    fn each(&self, show: &mut dyn FnMut(Cell));
}

impl Cells for ProcessHeap {
    fn each(&self, show: &mut dyn FnMut(Cell)) {
        self.inspect(|heap| heap.cells().for_each(|cell| show(told(cell))));
    }
}

/// A simple heap knows its free cells only.
impl<L: RawLock> Cells for Locked<brkalloc::SimpleHeap<ProcessBreak>, L> {
    fn each(&self, show: &mut dyn FnMut(Cell)) {
        self.inspect(|heap| {
            heap.free_cells().for_each(|(address, size)| show([address, size, state::FREE]));
        });
    }
}

const _: fn(&SimpleProcessHeap, &mut dyn FnMut(Cell)) = SimpleProcessHeap::each;

/// States of cells.
mod state {
    pub const USED: usize = 0;
    pub const FREE: usize = 1;
    pub const TOP: usize = 2;
    pub const SLAB: usize = 3;
    pub const INTERNAL: usize = 4;
    pub const HOLE: usize = 5;
}

fn told(cell: CellInfo) -> Cell {
    let state = match cell.state {
        CellState::Used => state::USED,
        CellState::Free => state::FREE,
        CellState::Top => state::TOP,
        CellState::Slab { block_size, live, total } => {
            state::SLAB | (live & 0xfff) << 4 | (total & 0xfff) << 16 | block_size << 28
        }
        CellState::Internal => state::INTERNAL,
        _ => state::HOLE,
    };
    [cell.address, cell.size, state]
}

/// A heap that tells what happens to it, if a story is recorded.
#[derive(Debug)]
pub struct Told<H: 'static>(&'static H);

impl<H> Told<H> {
    /// Tells of this heap.
    pub const fn new(heap: &'static H) -> Self {
        Self(heap)
    }
}

impl<H: Cells> Told<H> {
    /// Runs a call of the heap, which returns the block or null, and tells it if a story is
    /// recorded.
    #[inline(always)]
    pub fn call(&self, call: HeapCall, run: impl FnOnce(&'static H) -> *mut u8) -> *mut u8 {
        if is_on() { self.tell(call, run) } else { run(self.0) }
    }

    #[cold]
    #[inline(never)]
    fn tell(&self, call: HeapCall, run: impl FnOnce(&'static H) -> *mut u8) -> *mut u8 {
        let heap = core::ptr::from_ref(self.0).addr();
        let [kind, block, size, new] = call.numbers();
        send([what::BEGINS, heap, kind, block, size, new]);
        let result = run(self.0);
        // Before the call is done: another process may run in between, and the reader finds no
        // live block in a free cell then.
        WALKS.lock().walk(heap, self.0);
        send([what::DONE, heap, result.addr(), 0, 0, 0]);
        result
    }
}

/// Hands something to the kernel.
fn send(arguments: [usize; 6]) {
    // SAFETY: the call of this number changes nothing of this process.
    unsafe { raw(CALL.load(Ordering::Relaxed), arguments) };
}

#[inline(always)]
fn is_on() -> bool {
    CALL.load(Ordering::Relaxed) != 0
}

// SAFETY: the heap's own answers.
unsafe impl<H: GlobalAlloc + Cells> GlobalAlloc for Told<H> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        self.call(HeapCall::Allocate(layout.size()), |heap| unsafe { heap.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let call = HeapCall::AllocateZeroed(layout.size());
        // SAFETY: the caller's promise.
        self.call(call, |heap| unsafe { heap.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.call(HeapCall::Free(block.addr(), layout.size()), |heap| {
            // SAFETY: the caller's promise.
            unsafe { heap.dealloc(block, layout) };
            core::ptr::null_mut()
        });
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new: usize) -> *mut u8 {
        let call = HeapCall::Reallocate(block.addr(), layout.size(), new);
        // SAFETY: the caller's promise.
        self.call(call, |heap| unsafe { heap.realloc(block, layout, new) })
    }
}

impl Walks {
    /// Makes room for so many cells, all of it touched. `false` if the kernel refuses.
    fn make_room(&mut self, capacity: usize) -> bool {
        let bytes = 2 * capacity * size_of::<Cell>();
        let permissions = Protection::READ | Protection::WRITE;
        let Ok(new) = memory::map_anonymous(bytes, permissions, MapFlags::PRIVATE) else {
            return false;
        };
        // Before the first touch: its page faults are the story's, not the program's.
        send([what::ROOM, new.as_ptr().addr(), bytes, 0, 0, 0]);
        // SAFETY: a new mapping of so many bytes.
        unsafe { new.write_bytes(0, bytes) };
        let old = core::mem::replace(
            self,
            Self { cells: new.as_ptr().expose_provenance(), capacity, len: self.len, current: 0 },
        );
        if old.capacity > 0 {
            let (from, to) = (old.array(old.current), self.array(0));
            to[..old.len].copy_from_slice(&from[..old.len]);
            // SAFETY: the old mapping, which nothing uses any more.
            let _ = unsafe { memory::munmap(old.cells, 2 * old.capacity * size_of::<Cell>()) };
        }
        true
    }

    /// One of the two arrays.
    fn array(&self, which: usize) -> &'static mut [Cell] {
        let at = self.cells + which * self.capacity * size_of::<Cell>();
        let at = core::ptr::with_exposed_provenance_mut(at);
        // SAFETY: this type's own mapping, which is as long; each array is borrowed by one at a
        // time, who holds the lock.
        unsafe { slice::from_raw_parts_mut(at, self.capacity) }
    }

    /// Walks over the cells of a heap, and tells those that differ from the last walk.
    fn walk(&mut self, heap: usize, cells: &impl Cells) {
        let mut len = 0;
        cells.each(&mut |_| len += 1);
        if len > self.capacity && !self.make_room(len.next_power_of_two()) {
            return;
        }
        let (old, new) = (self.array(self.current), self.array(1 - self.current));
        let mut at = 0;
        cells.each(&mut |cell| {
            new[at] = cell;
            at += 1;
        });
        let (old, new) = (&old[..self.len], &new[..len]);
        let alike = |pairs: &mut dyn Iterator<Item = (&Cell, &Cell)>| {
            pairs.take_while(|(old, new)| old == new).count()
        };
        let first = alike(&mut old.iter().zip(new));
        let last = alike(&mut old[first..].iter().rev().zip(new[first..].iter().rev()));
        let (gone, come) = (old.len() - first - last, &new[first..new.len() - last]);
        if gone + come.len() > 0 {
            let array = come.as_ptr().expose_provenance();
            send([what::CELLS, heap, first, gone, array, come.len()]);
        }
        (self.len, self.current) = (len, 1 - self.current);
    }
}
