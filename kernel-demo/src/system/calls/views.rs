//! `proc_view`, `proc_trace` and `frames_free`: what Linux has in `/proc`.

use alloc::string::String;
use core::fmt::{self, Write};

use super::super::machine::Machine;
use super::super::process::{Process, Progress, Tracing};
use super::super::table::{Pid, Table};
use super::super::views::{View, count_frames};
use super::super::{Interruption, System, ps};
use super::{Answer, Call};
use crate::address_space::Errno;
use crate::system::process::Slot;

/// Stores a view and returns its length: of the memory of the caller, or of the process of that
/// number, or of the machine. `ERANGE` when the buffer is too small.
pub(super) fn proc_view<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [number, address, size, whose, of, _] = call.arguments();
    let Call { system: System { commons, table, .. }, process, .. } = call;
    match View::from_number(number).ok_or(Errno::EINVAL)? {
        View::Walk => {
            let walk = find(table, process, whose)?.walk(&commons.machine, of);
            store(call, (address, size), walk)
        }
        View::Frames => {
            let counts = count_frames(&commons.machine);
            store(call, (address, size), counts)
        }
        view => text(call, view),
    }
}

/// Stores numbers, and returns their length.
pub(super) fn store<M: Machine, const N: usize>(
    call: &mut Call<'_, M>,
    (address, size): (u64, u64),
    words: [u64; N],
) -> Answer {
    let bytes = words.map(u64::to_le_bytes);
    let bytes = bytes.as_flattened();
    if size < bytes.len() as u64 {
        return Err(Errno::ERANGE.into());
    }
    call.system.commons.copy_out(call.process, address, bytes)?;
    Ok(bytes.len() as u64)
}

/// Stores a view that is text, which is written part by part.
fn text<M: Machine>(call: &mut Call<'_, M>, view: View) -> Answer {
    let [_, address, size, whose, ..] = call.arguments();
    let Call { system: System { commons, table, .. }, process, thread } = call;
    let mut text = Fallible(core::mem::take(&mut thread.text));
    commons.machine.reserve_heap(text.0.len() + PART)?;
    let mut progress = thread.pending.map_or(Progress::default(), |pending| pending.view);
    let (out, machine) = (&mut text, &commons.machine);
    let done = match view {
        View::Processes => ps::write_part(table, Some(process), &mut progress.next, out),
        View::Programs => {
            machine.programs().try_for_each(|name| writeln!(out, "{name}")).map(|()| true)
        }
        view => find(table, process, whose)?.write_part(machine, view, &mut progress, out),
    };
    let done = done.map_err(|fmt::Error| Errno::ENOMEM)?;
    let len = text.0.len() as u64;
    if len > size {
        return Err(Errno::ERANGE.into());
    }
    if !done {
        thread.pending.get_or_insert_default().view = progress;
        thread.text = text.0;
        return Err(Interruption::Restarts);
    }
    commons.copy_out(process, address, text.0.as_bytes())?;
    Ok(len)
}

/// Turns the trace of a process on or off: 0 nothing, 1 its calls, 2 its page faults as well.
pub(super) fn proc_trace<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [whose, what, ..] = call.arguments();
    let trace = match what {
        0 => Tracing::Off,
        1 => Tracing::Calls,
        2 => Tracing::CallsAndFaults,
        _ => return Err(Errno::EINVAL.into()),
    };
    find(&mut call.system.table, call.process, whose)?.options.trace = trace;
    Ok(0)
}

/// The process of that number, or for 0 the caller, which the table does not hold. One whose memory
/// is being given back is none.
pub(super) fn find<'a, M>(
    table: &'a mut Table<Slot<M>>,
    caller: &'a mut Process<M>,
    number: u64,
) -> Result<&'a mut Process<M>, Errno> {
    let pid = u32::try_from(number).map(Pid).map_err(|_| Errno::ESRCH)?;
    if number == 0 || pid == caller.pid {
        return Ok(caller);
    }
    let process = table.get_mut(pid).and_then(|entry| entry.payload.process.as_deref_mut());
    process.filter(|process| process.ending.is_none()).ok_or(Errno::ESRCH)
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
