//! What is in a process's memory: as text what Linux has in `/proc`, as numbers the rest.

use core::array;
use core::fmt::{self, Write};

use super::System;
use super::machine::Machine;
use super::process::{Process, Progress};
use super::table::Pid;
use crate::memory::frames::MAX_ORDER;
use crate::memory::tables::Budget;
use crate::memory::{Counts, Mmu};

/// A view: of the memory of a process, or of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The areas, as in `/proc/PID/maps`.
    Maps,
    /// The areas with what is behind them, as in `/proc/PID/smaps`.
    Smaps,
    /// The sums, as in `/proc/PID/status`.
    Status,
    /// The page-table entries on the way to an address, as numbers.
    Walk,
    /// The process table.
    Processes,
    /// The page allocator, as numbers.
    Frames,
    /// The names of all programs.
    Programs,
}

impl View {
    /// All of them, by the numbers that programs ask for them with.
    const ALL: [Self; 7] = {
        use View::{Frames, Maps, Processes, Programs, Smaps, Status, Walk};
        [Maps, Smaps, Status, Walk, Processes, Frames, Programs]
    };

    /// The view that programs ask for by this number.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

impl<M: Mmu + Clone> Process<M> {
    /// Writes a part of a view of its areas. `false` if there is more.
    ///
    /// # Errors
    ///
    /// The writer's.
    pub fn write_part(
        &mut self,
        machine: &impl Machine<Mmu = M>,
        view: View,
        progress: &mut Progress,
        out: &mut impl Write,
    ) -> Result<bool, fmt::Error> {
        /// What writing a line takes, in pages that are counted.
        const LINE: u64 = 16;
        let Self { space, pages, .. } = self;
        let mut work = Budget::slice();
        while let Some(vma) = space.first_from(progress.next) {
            if !work.is_left() {
                return Ok(false);
            }
            if view != View::Maps {
                let from = progress.counted.max(vma.start);
                let (range, there) = ((from, vma.end), &mut progress.there);
                progress.counted = machine.with_memory(|memory| {
                    pages.count_resident(&mut memory.payer().0, range, there, &mut work)
                });
                if progress.counted < vma.end {
                    return Ok(false);
                }
            }
            let there = core::mem::take(&mut progress.there);
            match view {
                View::Maps => vma.write_map(out)?,
                View::Smaps => vma.write_smap(there, out)?,
                _ => progress.sums[usize::from(vma.is_shared())] += there.pages(),
            }
            work.spend(match view {
                View::Maps => LINE,
                View::Smaps => 10 * LINE,
                _ => 1,
            });
            progress.next = vma.end;
        }
        if view == View::Status {
            space.write_status(out, progress.sums, (pages.peak(), pages.table_frames()))?;
        }
        Ok(true)
    }
}

/// Free blocks of an order that are counted.
const MOST_BLOCKS: usize = 256;

impl<M: Mmu + Clone> Process<M> {
    /// Walks down its page tables to an address. Returns their root,
    /// [`PageState`](crate::address_space::PageState) as a number, and the entries of the levels 4
    /// to 1.
    pub(super) fn walk(&mut self, machine: &impl Machine<Mmu = M>, address: u64) -> [u64; 6] {
        let pages = &mut self.pages;
        let [four, three, two, one] = pages.tables.entries_to(address);
        let found = machine.with_memory(|memory| pages.find(memory.payer().0.pool, address));
        [self.space_number(), found.state as u64, four, three, two, one]
    }
}

/// Counts the frames of the machine: all, those that are free, those of these that are reserved,
/// those that are charged to processes; and the free blocks of each order, up to [`MOST_BLOCKS`].
pub(super) fn count_frames(machine: &impl Machine) -> [u64; 5 + MAX_ORDER as usize] {
    machine.with_memory(|memory| {
        let Counts { total, free, reserved } = memory.counts();
        let (all, charged) = ([total, free, reserved], memory.processes().charged());
        array::from_fn(|index| match index {
            0..3 => all[index] as u64,
            3 => charged,
            order => memory.frames().free_blocks(order as u8 - 4, MOST_BLOCKS) as u64,
        })
    })
}

impl<M: Machine> System<M> {
    /// Writes a view of the memory of a process. Nothing if there is no such process, or it has
    /// ended.
    ///
    /// # Errors
    ///
    /// The writer's.
    pub fn write_view(&mut self, pid: Pid, view: View, out: &mut impl Write) -> fmt::Result {
        let process = self.table.get_mut(pid).and_then(|entry| entry.payload.process.as_mut());
        let Some(process) = process else { return Ok(()) };
        let mut progress = Progress::default();
        let machine = &self.commons.machine;
        while !process.write_part(machine, view, &mut progress, out)? {}
        Ok(())
    }
}
