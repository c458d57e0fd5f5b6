//! `proc_view` and `frames_free`: what Linux has in `/proc`.

use alloc::string::String;
use core::fmt::{self, Write};

use super::super::machine::Machine;
use super::super::process::Process;
use super::{Answer, Call};
use crate::address_space::{Errno, Figures};
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
    fn from_number(number: u64) -> Option<Self> {
        [Self::Maps, Self::Smaps, Self::Status].into_iter().zip(0..).find(|(_, its)| *its == number).map(|(view, _)| view)
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

/// Stores a view of the caller's memory and returns its length. `ERANGE` when the buffer is too small.
pub(super) fn proc_view<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [number, address, size, ..] = call.arguments;
    let view = View::from_number(number).ok_or(Errno::EINVAL)?;
    let mut text = Fallible(String::new());
    call.process.write_view(view, &mut text).map_err(|fmt::Error| Errno::ENOMEM)?;
    let len = text.0.len() as u64;
    if len > size {
        return Err(Errno::ERANGE.into());
    }
    call.system.commons.copy_out(call.process, address, text.0.as_bytes())?;
    Ok(len)
}

/// Text on the kernel's heap that says so when there is no room.
struct Fallible(String);

impl Write for Fallible {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.try_reserve(text.len()).map_err(|_| fmt::Error)?;
        self.0.push_str(text);
        Ok(())
    }
}

/// Frames that no process has.
pub(super) fn frames_free<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    Ok(call.system.commons.machine.frames_free())
}
