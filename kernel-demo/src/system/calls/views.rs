//! `proc_view` and `frames_free`: what Linux has in `/proc`.

use alloc::string::String;
use core::fmt::{self, Write};

use super::super::machine::Machine;
use super::super::views::View;
use super::{Answer, Call};
use crate::address_space::Errno;
use crate::memory::Reach;

/// Stores a view of the caller's memory and returns its length. `ERANGE` when the buffer is too
/// small.
pub(super) fn proc_view<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [number, address, size, ..] = call.arguments();
    let view = View::from_number(number).ok_or(Errno::EINVAL)?;
    if !call.system.commons.machine.reserve_heap(MOST) {
        return Err(Errno::ENOMEM.into());
    }
    let mut text = Fallible(String::new());
    call.process.write_view(view, &mut text).map_err(|fmt::Error| Errno::ENOMEM)?;
    let len = text.0.len() as u64;
    if len > size {
        return Err(Errno::ERANGE.into());
    }
    call.system.commons.copy_out(call.process, address, text.0.as_bytes())?;
    Ok(len)
}

/// Bytes of text that most views have.
const MOST: usize = 4 << 10;

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
    Ok(call.system.commons.machine.reach().with(|memory| memory.counts().free) as u64)
}
