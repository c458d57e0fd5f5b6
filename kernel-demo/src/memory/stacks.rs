//! Kernel stacks: each in a slot of its own, with an unmapped guard page below it.
//!
//! ```text
//!   slot                                                         next slot
//!    │ guard │            stack, 32 pages, grows down ◄─── top │   unused   │ guard │ …
//!    └ 4 KiB ┴─────────────────────────────────────────────────┘
//! ```
//!
//! A stack is mapped whole when it is made: the processor pushes onto it while it reports a fault,
//! when nothing can be served. One that overflows runs into the guard page, and the fault report
//! says whose it was.
#![allow(unsafe_code)]

use x86_64::structures::paging::{FrameAllocator, PhysFrame, Size4KiB};

use super::frames::{OutOfFrames, Reservation};
use super::layout::{PAGE_SIZE, STACKS, page_at};
use super::manager::{DATA, Memory};
use super::pool::Pool;
use super::space::{Permissions, Region, RegionKind};
use super::tables::{Mmu, Unmapped, Work};
use super::trace::Purpose;

/// Pages of a stack.
pub const STACK_PAGES: u64 = 32;

/// Distance from one slot to the next. Divides what a level-1 table covers, so no stack needs two
/// of them.
const SLOT: u64 = 64 * PAGE_SIZE;

const NAMES: [&str; 8] = [
    "main stack",
    "double-fault stack",
    "NMI stack",
    "machine-check stack",
    "stack 4",
    "stack 5",
    "stack 6",
    "stack 7",
];

/// Where a stack lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackBounds {
    /// The unmapped page.
    pub guard: u64,
    /// Lowest address of the stack.
    pub bottom: u64,
    /// First address above it, where an empty stack's pointer stands.
    pub top: u64,
}

/// Why there is no stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackError {
    /// All slots are in use.
    NoSlot,
    /// There are not enough frames.
    OutOfFrames(OutOfFrames),
}

impl<M: Mmu> Memory<M> {
    /// Makes a stack in the first free slot. All frames for it are reserved before anything is
    /// mapped.
    ///
    /// # Errors
    ///
    /// Says what is missing. Nothing has changed.
    pub fn add_stack(&mut self) -> Result<StackBounds, StackError> {
        /// A level-3, a level-2 and a level-1 table.
        const TABLES: usize = 3;
        let (name, bounds) = self.free_slot().ok_or(StackError::NoSlot)?;
        let mut promise = Reservation::EMPTY;
        let most = STACK_PAGES as usize + TABLES;
        self.pool.frames.reserve(&mut promise, most, 0).map_err(StackError::OutOfFrames)?;
        for page in (bounds.bottom..bounds.top).step_by(PAGE_SIZE as usize) {
            let frame = self.pool.take_reserved(&mut promise, Purpose::Stack);
            let mut supply = Supply { pool: &mut self.pool, promise: &mut promise };
            // SAFETY: the frame just came from the page allocator, and the slot is free.
            let mapped = unsafe { self.tables.map(page_at(page), frame, DATA, &mut supply) };
            mapped.expect("a free slot has no page mapped, and its tables are reserved");
        }
        let unused = promise.frames();
        self.pool.frames.unreserve(&mut promise, unused);
        let data = Permissions::READ | Permissions::WRITE;
        let guard = Permissions::empty();
        for region in [
            Region {
                name,
                start: bounds.guard,
                end: bounds.bottom,
                permissions: guard,
                kind: RegionKind::Guard,
            },
            Region {
                name,
                start: bounds.bottom,
                end: bounds.top,
                permissions: data,
                kind: RegionKind::Stack,
            },
        ] {
            self.space
                .insert(region)
                .expect("the slot was seen to be free, and the list has room for every stack");
        }
        Ok(bounds)
    }

    /// Takes a stack away and gives its frames back.
    ///
    /// # Safety
    ///
    /// Nothing runs on the stack, and nobody will use what lay there.
    pub unsafe fn remove_stack(&mut self, bounds: StackBounds) {
        let pool = &mut self.pool;
        self.tables.unmap(
            bounds.bottom,
            bounds.top,
            &mut Work::unbounded(),
            &mut |gone| match gone {
                Unmapped::Page { frame, .. } => pool.give(frame, Purpose::Stack),
                Unmapped::Table(frame) => pool.give(frame, Purpose::Table),
            },
        );
        self.space.remove(bounds.guard);
        self.space.remove(bounds.bottom);
    }

    fn free_slot(&self) -> Option<(&'static str, StackBounds)> {
        NAMES.iter().zip((STACKS..).step_by(SLOT as usize)).find_map(|(name, guard)| {
            let bottom = guard + PAGE_SIZE;
            let bounds = StackBounds { guard, bottom, top: bottom + STACK_PAGES * PAGE_SIZE };
            self.space.overlapping(guard, bounds.top).is_none().then_some((*name, bounds))
        })
    }
}

/// Frames for page tables, out of a reservation.
struct Supply<'a> {
    pool: &'a mut Pool,
    promise: &'a mut Reservation,
}

// SAFETY: each frame was taken from the page allocator and is handed out once.
unsafe impl FrameAllocator<Size4KiB> for Supply<'_> {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        Some(self.pool.take_reserved(self.promise, Purpose::Table))
    }
}
