//! The page tables of a process and the page allocator, as text.
//!
//! ```text
//!   0x000055fd8a270ff8 in [heap], from the table at 0xcc5000
//!     level 4  entry 171  0x0000000000cc7027  table at 0xcc7000 rwx user
//!     level 3  entry 502  0x0000000000038027  table at 0x38000 rwx user
//!     level 2  entry  81  0x0000000000067027  table at 0x67000 rwx user
//!     level 1  entry 112  0x8000000000066067  page at 0x66000 rw- user, accessed, dirty
//!     the frame of this page alone: physical 0x66ff8
//! ```

use core::array;
use core::fmt::{self, Write};

use x86_64::structures::paging::PageTableFlags;

use super::machine::Machine;
use super::process::Process;
use crate::address_space::PageState;
use crate::memory::Mmu;
use crate::memory::frames::MAX_ORDER;
use crate::memory::layout::PAGE_SIZE;
use crate::memory::tables::Step;

/// Free blocks of an order that are counted.
const MOST_BLOCKS: usize = 256;

impl<M: Mmu + Clone> Process<M> {
    /// Writes the page-table entries on the way to an address, and what is there.
    ///
    /// # Errors
    ///
    /// The writer's.
    pub(super) fn write_walk(
        &mut self,
        machine: &impl Machine<Mmu = M>,
        address: u64,
        out: &mut impl Write,
    ) -> fmt::Result {
        let Self { space, pages, .. } = self;
        let label = space.find(address).map_or("no area", |vma| vma.label());
        let root = pages.root().start_address();
        writeln!(out, "{address:#018x} in {label}, from the table at {root:#x}")?;
        for step in pages.tables.steps_to(address) {
            write_step(&step, out)?;
        }
        let state = machine.with_memory(|memory| pages.find(memory.payer().0.pool, address).state);
        let what = match state {
            PageState::Missing => return writeln!(out, "  nothing is mapped there"),
            PageState::ZeroPage => "the page of zeros, which all share",
            PageState::Shared => "a frame that others have too",
            PageState::Own => "a frame of its own",
        };
        let frame = pages.frame(address & !(PAGE_SIZE - 1));
        let physical =
            frame.map_or(0, |frame| frame.start_address().as_u64() + address % PAGE_SIZE);
        writeln!(out, "  {what}: physical {physical:#x}")
    }
}

fn write_step(Step { level, index, entry }: &Step, out: &mut impl Write) -> fmt::Result {
    let flags = entry.flags();
    let bits = entry.addr().as_u64() | flags.bits();
    write!(out, "  level {level}  entry {index:>3}  {bits:#018x}  ")?;
    if !flags.contains(PageTableFlags::PRESENT) {
        return writeln!(out, "not present");
    }
    let letter = |flag, letter| if flags.contains(flag) { letter } else { '-' };
    let to = if *level == 1 { "page" } else { "table" };
    let write = letter(PageTableFlags::WRITABLE, 'w');
    let execute = if flags.contains(PageTableFlags::NO_EXECUTE) { '-' } else { 'x' };
    let whose = if flags.contains(PageTableFlags::USER_ACCESSIBLE) { "user" } else { "kernel" };
    write!(out, "{to} at {:#x} r{write}{execute} {whose}", entry.addr())?;
    for (flag, name) in [(PageTableFlags::ACCESSED, "accessed"), (PageTableFlags::DIRTY, "dirty")] {
        if flags.contains(flag) {
            write!(out, ", {name}")?;
        }
    }
    writeln!(out)
}

/// Writes what the page allocator says of itself.
///
/// # Errors
///
/// The writer's.
pub(super) fn write_frames(machine: &impl Machine, out: &mut impl Write) -> fmt::Result {
    let (counts, charged, blocks) = machine.with_memory(|memory| {
        let blocks: [usize; MAX_ORDER as usize + 1] =
            array::from_fn(|order| memory.frames().free_blocks(order as u8, MOST_BLOCKS));
        (memory.counts(), memory.processes().charged(), blocks)
    });
    writeln!(out, "{counts}; {charged} charged to processes")?;
    for (order, blocks) in blocks.into_iter().enumerate() {
        let size = (PAGE_SIZE << order) / 1024;
        let sign = if blocks == MOST_BLOCKS { "at least " } else { "" };
        writeln!(out, "  order {order:>2}  blocks of {size:>4} kB  {sign}{blocks} free")?;
    }
    Ok(())
}
