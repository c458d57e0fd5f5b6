//! `fork`, `exit_group`, `wait4`, `getpid`, `sched_yield`, `getrusage`: processes and what they
//! used.

use super::super::machine::Machine;
use super::super::process::{Process, Room, Slot, Thread};
use super::super::table::{Children, Pid, Wait, Which};
use super::super::{Interruption, System};
use super::{Answer, Call};
use crate::address_space::{Errno, Sharing};
use crate::memory::Registers;
use crate::story;
use crate::strace::signature::{RUSAGE_CHILDREN, RUSAGE_SELF, WNOHANG};
use crate::words::Status;

/// The caller's number.
pub(super) fn getpid<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    Ok(call.process.pid.0.into())
}

/// Gives the rest of the turn to the others.
pub(super) fn sched_yield<M: Machine>(_: &mut Call<'_, M>) -> Answer {
    Err(Interruption::Yields)
}

/// Ends the caller, and all other threads of its process.
pub(super) fn exit_group<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    Err(Interruption::Ends(Status::Exited(call.arguments()[0] as u8)))
}

/// Makes a second process of the caller: the same memory, each page copied when one of the two
/// writes to it. It has one thread, the caller. Returns its number, and 0 to it.
///
/// All that can fail is done before the first page is shared. The child waits in the table until
/// the last one is.
pub(super) fn fork<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let Call { system, process, thread } = call;
    let pid = match thread.pending.and_then(|pending| pending.child) {
        Some(pid) => pid,
        // A signal to a group ends all of it: no process makes a child after that.
        None if system.table.is_killed(process.pid) => return Err(Interruption::Yields),
        None => begin_fork(system, process, thread)?,
    };
    let child = system.table.get_mut(pid).and_then(|entry| entry.payload.process.as_mut());
    let child = child.expect("a child that is being made is in the table");
    let areas = process.space.vmas().iter().map(|vma| (vma.start, vma.end));
    let pages = &mut process.pages;
    let done = system
        .commons
        .machine
        .with_memory(|memory| pages.continue_fork(&mut memory.payer().0, &mut child.pages, areas));
    if !done {
        thread.pending.get_or_insert_default().child = Some(pid);
        return Err(Interruption::Restarts);
    }
    system.table.wake(pid);
    Ok(pid.0.into())
}

/// Enters a child in the table that has its areas and all that its page tables will need.
fn begin_fork<M: Machine>(
    system: &mut System<M>,
    process: &Process<M::Mmu>,
    thread: &Thread,
) -> Result<Pid, Errno> {
    let pid = system.table.vacancy().ok_or(Errno::EAGAIN)?;
    let commons = &mut system.commons;
    let room = (Room::take(&mut commons.machine)?, Room::take(&mut commons.machine)?);
    let space = process.space.fork()?;
    let pages = commons.machine.with_memory(|memory| {
        let (mut payer, kernel) = memory.payer();
        payer.charge(space.charged())?;
        let pages = process.pages.begin_fork(&mut payer, kernel);
        pages.inspect_err(|_| payer.uncharge(space.charged()))
    })?;
    for vma in space.vmas() {
        if let Sharing::Shared(object, _) = vma.sharing {
            commons.objects.share(object, vma.pages());
        }
    }
    let mut child = Process::new((pid, process.name), (space, pages), process.options);
    child.tell_made(process.pid);
    if story::is_on() {
        child.tell_areas();
    }
    child.heap = process.heap;
    let thread = Thread::new(pid, Registers { rax: 0, ..thread.registers });
    let slot = Slot::new(process.name, (room.0.fill(child), room.1.fill(thread)));
    system.table.insert(process.pid, slot);
    system.table.block(pid, Wait::Birth);
    Ok(pid)
}

/// Makes another program of the caller. There is no environment. A process with other threads
/// cannot: they would end in the middle of what they do.
pub(super) fn execve<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [path, arguments, ..] = call.arguments();
    let Call { system: System { commons, table, .. }, process, thread } = call;
    if process.threads > 1 {
        return Err(Errno::EAGAIN.into());
    }
    if thread.pending.and_then(|pending| pending.begins).is_none() {
        let begins = commons.execute(process, [path, arguments])?;
        thread.pending.get_or_insert_default().begins = Some(begins);
        // Neither the word nor the status is the new program's.
        (thread.clear_at_end, process.leader) = (0, None);
        if let Some(entry) = table.get_mut(process.pid) {
            entry.payload.name = process.name;
        }
    }
    if commons.give_up_old(process) { Ok(0) } else { Err(Interruption::Restarts) }
}

/// Waits until a child has ended, and tells how.
pub(super) fn wait4<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    /// `WUNTRACED | WCONTINUED`: children that are stopped, which this kernel never does.
    const STOPPED: u64 = 2 | 8;
    let [which, status_at, options, usage_at, ..] = call.arguments();
    if options & !(WNOHANG | STOPPED) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let Call { system, process, .. } = call;
    let own_group = || system.table.get(process.pid).map_or(process.pid, |entry| entry.group);
    let which = match which as i32 {
        -1 => Which::Any,
        0 => Which::Group(own_group()),
        pid if pid > 0 => Which::Child(Pid(pid.unsigned_abs())),
        group => Which::Group(Pid(group.unsigned_abs())),
    };
    match system.table.reap(process.pid, which) {
        Children::None => Err(Errno::ECHILD.into()),
        Children::Running if options & WNOHANG != 0 => Ok(0),
        Children::Running => Err(Interruption::Waits(Wait::Child(which))),
        Children::Ended(child, status) => {
            let used = child.payload.used;
            process.children += used;
            if status_at != 0 {
                system.commons.copy_out(process, status_at, &status.word().to_le_bytes())?;
            }
            if usage_at != 0 {
                system.commons.copy_out(process, usage_at, used.to_words().as_flattened())?;
            }
            Ok(child.pid.0.into())
        }
    }
}

/// What the caller has used, or the children that it has waited for.
pub(super) fn getrusage<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [who, at, ..] = call.arguments();
    let usage = match u64::from(who as u32) {
        RUSAGE_SELF => call.process.usage(),
        RUSAGE_CHILDREN => call.process.children,
        _ => return Err(Errno::EINVAL.into()),
    };
    call.system.commons.copy_out(call.process, at, usage.to_words().as_flattened())?;
    Ok(0)
}
