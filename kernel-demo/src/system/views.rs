//! What is in a process's memory, as text: what Linux has in `/proc`.

use core::fmt::{self, Write};

use super::System;
use super::machine::Machine;
use super::process::Process;
use super::table::Pid;
use crate::address_space::Figures;
use crate::memory::Reach;

/// A view of an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Its areas, as in `/proc/PID/maps`.
    Maps,
    /// With what is behind them, as in `/proc/PID/smaps`.
    Smaps,
    /// The sums, as in `/proc/PID/status`.
    Status,
}

impl View {
    /// The view that programs ask for by this number.
    pub fn from_number(number: u64) -> Option<Self> {
        [Self::Maps, Self::Smaps, Self::Status]
            .into_iter()
            .zip(0..)
            .find(|(_, its)| *its == number)
            .map(|(view, _)| view)
    }
}

impl<R: Reach> Process<R> {
    /// Writes a view of its memory.
    ///
    /// # Errors
    ///
    /// The writer's.
    pub fn write_view(&mut self, view: View, out: &mut impl Write) -> fmt::Result {
        let Self { space, pages, .. } = self;
        let figures = Figures { most_resident: pages.peak(), tables: pages.table_frames() };
        let resident = |start, end| pages.resident_in(start, end);
        match view {
            View::Maps => space.write_maps(out),
            View::Smaps => space.write_smaps(out, resident),
            View::Status => space.write_status(out, figures, resident),
        }
    }
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
        process.map_or(Ok(()), |process| process.write_view(view, out))
    }
}
