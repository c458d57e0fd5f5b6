//! `proc_view` and `frames_free`: what Linux has in `/proc`.

use alloc::string::String;
use core::fmt::{self, Write};

use super::super::machine::Machine;
use super::super::views::{Progress, View};
use super::super::{Interruption, System};
use super::{Answer, Call};
use crate::address_space::Errno;

/// Stores a view of the caller's memory and returns its length. `ERANGE` when the buffer is too
/// small.
pub(super) fn proc_view<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [number, address, size, ..] = call.arguments();
    let view = View::from_number(number).ok_or(Errno::EINVAL)?;
    let Call { system: System { commons, .. }, process } = call;
    let mut text = Fallible(core::mem::take(&mut process.text));
    if !commons.machine.reserve_heap(text.0.len() + PART) {
        return Err(Errno::ENOMEM.into());
    }
    let mut progress = process.pending.map_or(Progress::default(), |pending| pending.view);
    let done = process.write_part(&commons.machine, view, &mut progress, &mut text);
    let done = done.map_err(|fmt::Error| Errno::ENOMEM)?;
    let len = text.0.len() as u64;
    if len > size {
        return Err(Errno::ERANGE.into());
    }
    if !done {
        process.pending.get_or_insert_default().view = progress;
        process.text = text.0;
        return Err(Interruption::Restarts);
    }
    commons.copy_out(process, address, text.0.as_bytes())?;
    Ok(len)
}

/// Bytes of text that one part of a view has at most.
const PART: usize = 4 << 10;

/// Text on the kernel's heap that says so when there is no room.
struct Fallible(String);

impl Write for Fallible {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.try_reserve(text.len()).map_err(|_| fmt::Error)?;
        self.0.push_str(text);
        Ok(())
    }
}

/// Frames of the machine that are free.
pub(super) fn frames_free<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    Ok(call.system.commons.machine.with_memory(|memory| memory.counts().free) as u64)
}
