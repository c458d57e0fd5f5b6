//! `fork`, `exit`, `wait4`, `getpid`, `sched_yield`, `getrusage`: processes and what they used.

use alloc::boxed::Box;

use super::super::Instead;
use super::super::machine::Machine;
use super::super::process::{Process, Slot};
use super::super::status::Status;
use super::super::table::{Children, Pid, Wait, Which};
use super::super::usage::Usage;
use super::{Answer, Call};
use crate::address_space::Errno;

/// The caller's number.
pub(super) fn getpid<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    Ok(call.process.pid.0.into())
}

/// Gives the rest of the turn to the others.
pub(super) fn sched_yield<M: Machine>(_: &mut Call<'_, M>) -> Answer {
    Err(Instead::Yields)
}

/// Ends the caller.
pub(super) fn exit<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    Err(Instead::Ends(Status::Exited(call.arguments()[0] as u8)))
}

/// Makes a second process of the caller: the same memory, each page copied when one of the two
/// writes to it. Returns its number, and 0 to it.
pub(super) fn fork<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let Call { system, process, .. } = call;
    let pid = system.table.vacancy().ok_or(Errno::EAGAIN)?;
    let commons = &mut system.commons;
    if !commons.machine.reserve_heap(size_of::<Process<M::Reach>>()) {
        return Err(Errno::ENOMEM.into());
    }
    let areas = process.space.vmas().iter().map(|vma| (vma.start, vma.end));
    let pages = process.pages.fork(areas).map_err(|_| Errno::ENOMEM)?;
    let space = process.space.fork(&mut commons.account)?;
    let mut registers = process.registers;
    registers.rax = 0;
    let child = Process {
        pid,
        name: process.name,
        space,
        pages,
        registers,
        pending: None,
        options: process.options,
        switches: Usage::default(),
        children: Usage::default(),
    };
    system
        .table
        .insert(process.pid, Slot { process: Some(Box::new(child)), used: Usage::default() });
    Ok(pid.0.into())
}

/// Waits until a child has ended, and tells how.
pub(super) fn wait4<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    /// Do not wait. The other two are about children that are stopped, which this kernel never
    /// does.
    const WNOHANG: u64 = 1;
    const WUNTRACED: u64 = 2;
    const WCONTINUED: u64 = 8;
    let [which, status_at, options, usage_at, ..] = call.arguments();
    if options & !(WNOHANG | WUNTRACED | WCONTINUED) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let which = match which as i32 {
        // All processes are one group.
        -1 | 0 => Which::Any,
        pid => Which::Child(Pid(u32::try_from(pid).map_err(|_| Errno::ECHILD)?)),
    };
    let Call { system, process, .. } = call;
    match system.table.reap(process.pid, which) {
        Children::None => Err(Errno::ECHILD.into()),
        Children::Running if options & WNOHANG != 0 => Ok(0),
        Children::Running => Err(Instead::Waits(Wait::Child(which))),
        Children::Ended(child, status) => {
            let used = child.payload.used;
            process.children += used;
            if status_at != 0 {
                system.commons.copy_out(process, status_at, &status.word().to_le_bytes())?;
            }
            if usage_at != 0 {
                system.commons.copy_out(process, usage_at, &used.to_bytes())?;
            }
            Ok(child.pid.0.into())
        }
    }
}

/// What the caller has used, or the children that it has waited for.
pub(super) fn getrusage<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    const SELF: i32 = 0;
    const CHILDREN: i32 = -1;
    let [who, at, ..] = call.arguments();
    let usage = match who as i32 {
        SELF => call.process.usage(),
        CHILDREN => call.process.children,
        _ => return Err(Errno::EINVAL.into()),
    };
    call.system.commons.copy_out(call.process, at, &usage.to_bytes())?;
    Ok(0)
}
