//! Kernel stacks: each at a place of its own, with an unmapped guard page below it.

use super::Memory;
use crate::address_space::{AreaKind, Decision, Errno, Vma};
use crate::memory::tables::Mmu;
use crate::words::Permissions;
use crate::words::layout::{PAGE_SIZE, STACKS};

/// Pages of a stack.
pub const STACK_PAGES: u64 = 32;

/// Distance from one stack to the next. Divides what a level-1 table covers, so no stack needs two
/// of them.
const STACK_STRIDE: u64 = 64 * PAGE_SIZE;

/// Places for stacks: four for each CPU, and some to borrow.
const MOST_STACKS: usize = 48;

/// Where a stack lies.
///
/// ```text
///   │ guard │            stack, 32 pages, grows down ◄─── top │   unused   │ guard │ …
///   └ 4 KiB ┴─────────────────────────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackBounds {
    /// The unmapped page.
    pub guard: u64,
    /// Lowest address of the stack.
    pub bottom: u64,
    /// First address above it, where an empty stack's pointer stands.
    pub top: u64,
}

impl<M: Mmu + Clone> Memory<M> {
    /// Makes a stack at the first free place, mapped whole: the processor pushes onto it while it
    /// reports a fault, when nothing can be served. One that overflows runs into the guard page.
    ///
    /// # Errors
    ///
    /// All places are in use, or there are not enough frames. Nothing has changed.
    pub fn add_stack(&mut self, name: &'static str) -> Result<StackBounds, Errno> {
        let mut places = (STACKS..).step_by(STACK_STRIDE as usize).take(MOST_STACKS);
        let free = |guard: &u64| self.space.overlapping(*guard, guard + STACK_STRIDE).is_none();
        let guard = places.find(free).ok_or(Errno::EAGAIN)?;
        let bottom = guard + PAGE_SIZE;
        let bounds = StackBounds { guard, bottom, top: bottom + STACK_PAGES * PAGE_SIZE };
        let permissions = Permissions::READ | Permissions::WRITE;
        let stack = Vma::private(bottom, bounds.top, permissions, AreaKind::Mapping);
        self.add_area(Vma { name, ..stack })?;
        let guard = Vma::private(guard, bottom, Permissions::empty(), AreaKind::Guard);
        self.add_area(Vma { name, ..guard }).expect("the list has room for every stack");
        let (mut mapped, _) = self.at(bottom);
        for page in (bottom..bounds.top).step_by(PAGE_SIZE as usize) {
            let entered = mapped.carry_out(page, Decision::MapZeroed, permissions);
            entered.expect("every frame was promised");
        }
        Ok(bounds)
    }

    /// Takes a stack away and gives its frames back.
    ///
    /// # Safety
    ///
    /// Nothing runs on the stack, and nobody will use what lay there.
    pub unsafe fn remove_stack(&mut self, bounds: StackBounds) {
        self.remove_areas(bounds.guard, bounds.top).expect("no area is split");
    }
}
