//! What a process's address space has that the kernel's has not: limits, an image, a stack, and
//! children.

use alloc::vec::Vec;

use super::{
    AddressSpace, AreaKind, Backing, Break, Errno, Layout, List, MIN_ADDRESS, PAGE_SIZE, USER_END,
    Vma,
};
use crate::words::Permissions;
use crate::words::layout::checked_page_ceil;

/// The most a process may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of data: the program's own and the heap together (`RLIMIT_DATA` at `brk`), and all
    /// private writable memory.
    pub data: u64,
    /// Bytes of a stack.
    pub stack: u64,
    /// Areas.
    pub areas: usize,
}

impl Default for Limits {
    /// Any amount of data, a stack of 8 MiB, 1024 areas: one change of a full list moves 100 KiB at
    /// most.
    fn default() -> Self {
        Self { data: u64::MAX, stack: 8 << 20, areas: 1024 }
    }
}

impl AddressSpace {
    /// A process's address space with nothing in it, and the break at its start.
    pub const fn new(layout: Layout, limits: Limits) -> Self {
        let brk = Break::new("", layout.start_brk, layout.start_brk.saturating_add(limits.data));
        let areas = List::new(Vec::new(), limits.areas);
        let bounds = MIN_ADDRESS..USER_END;
        Self { areas, breaks: [Some(brk)], bounds, layout, limits, charged: 0, faults: 0 }
    }

    /// Enters a part of the program, for the loader.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert); and `EACCES` when it would be writable and executable.
    pub fn insert_image(&mut self, vma: Vma, backing: &mut impl Backing) -> Result<(), Errno> {
        if vma.permissions.write_code() {
            return Err(Errno::EACCES);
        }
        self.insert(vma, backing)?;
        if let (Some(brk), true) = (&mut self.breaks[0], vma.is_data()) {
            brk.limit = brk.limit.saturating_sub(vma.len());
        }
        Ok(())
    }

    /// Enters a stack of so many bytes (rounded up to pages) that ends at the layout's `stack_top`.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn insert_stack(&mut self, len: u64, backing: &mut impl Backing) -> Result<(), Errno> {
        let end = self.layout.stack_top;
        let start =
            checked_page_ceil(len).and_then(|len| end.checked_sub(len)).ok_or(Errno::EINVAL)?;
        let permissions = Permissions::READ | Permissions::WRITE;
        self.insert(Vma::private(start, end, permissions, AreaKind::Stack), backing)
    }

    /// The address space of a child: the same areas, the same break, no faults. All that is charged
    /// here must be charged once more, because each of the two may come to write to all of it.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the heap has no room for the list.
    pub fn fork(&self) -> Result<Self, Errno> {
        let (areas, bounds) = (self.areas.try_clone()?, self.bounds.clone());
        Ok(Self { areas, bounds, faults: 0, ..*self })
    }

    /// Makes room for the areas that one call can add, so that the call needs no memory. `reserve`
    /// makes sure of bytes on the kernel's heap.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the kernel's heap has no room.
    pub fn make_room(
        &mut self,
        reserve: impl FnOnce(usize) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        self.areas.make_room(reserve)
    }

    /// Bytes of the kernel's heap that its list of areas takes.
    pub const fn heap_bytes(&self) -> usize {
        self.areas.heap_bytes()
    }

    /// Where the parts lie.
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The most it may have.
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether the data limit allows `more` pages of data when `less` go. Linear, if there is one.
    pub(super) fn data_may_change(&self, less: u64, more: u64) -> bool {
        let Limits { data: limit, .. } = self.limits;
        more <= less
            || limit == u64::MAX
            || self.pages_that(Vma::is_data) - less + more <= limit / PAGE_SIZE
    }
}
