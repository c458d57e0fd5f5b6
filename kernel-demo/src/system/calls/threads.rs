//! `clone`, `exit`, `futex`, `arch_prctl`, `gettid`, `set_tid_address`: threads of a process, which
//! have one address space.

use super::super::Interruption;
use super::super::machine::Machine;
use super::super::process::{Room, Slot, Thread};
use super::super::table::{Wait, Word};
use super::super::threads::word_at;
use super::{Answer, Call, process};
use crate::address_space::{Errno, USER_END};
use crate::memory::Registers;
use crate::strace::signature::{
    ARCH_GET_FS, ARCH_SET_FS, CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_FILES, CLONE_FS,
    CLONE_PARENT_SETTID, CLONE_SETTLS, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_THREAD, CLONE_VM,
    FUTEX_WAIT, FUTEX_WAKE,
};
use crate::words::Status;

/// Makes another thread of the caller's process. Returns its number, and 0 to it.
///
/// The flags say that all is shared, or nothing, which is `fork`. All that can fail is done before
/// the thread is in the table.
pub(super) fn clone<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    /// Nothing is shared, and the parent gets `SIGCHLD`, which this kernel does not have.
    const FORK: u64 = 17;
    const THREAD: u64 = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
    /// They share files and semaphores, which this kernel does not have.
    const WITHOUT_MEANING: u64 = CLONE_FS | CLONE_FILES | CLONE_SYSVSEM;
    const FOR_ONE: u64 =
        CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID;

    let [flags, stack, parent_at, child_at, tls, _] = call.arguments();
    if (flags, stack) == (FORK, 0) {
        return process::fork(call);
    }
    let has = |flag| flags & flag == flag;
    if !has(THREAD) || flags & !(THREAD | WITHOUT_MEANING | FOR_ONE) != 0 || stack == 0 {
        return Err(Errno::EINVAL.into());
    }
    let Call { system, process, thread } = call;
    let fs_base = if has(CLONE_SETTLS) { tls_base(tls)? } else { thread.registers.fs_base };
    let tid = system.table.vacancy().ok_or(Errno::EAGAIN)?;
    let room = Room::take(&mut system.commons.machine)?;
    for (flag, address) in [(CLONE_PARENT_SETTID, parent_at), (CLONE_CHILD_SETTID, child_at)] {
        if has(flag) {
            system.commons.copy_out(process, address, &tid.0.to_le_bytes())?;
        }
    }
    let registers = Registers { rax: 0, rsp: stack, fs_base, ..thread.registers };
    let mut new = Thread::new(tid, registers);
    if has(CLONE_CHILD_CLEARTID) {
        new.clear_at_end = child_at;
    }
    process.threads += 1;
    system.table.insert_thread(process.pid, Slot::of_thread(process.name, room.fill(new)));
    Ok(tid.0.into())
}

/// Ends the caller; its process goes on if there are other threads.
pub(super) fn exit<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    Err(Interruption::Leaves(Status::Exited(call.arguments()[0] as u8)))
}

/// The caller's number.
pub(super) fn gettid<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    Ok(call.thread.tid.0.into())
}

/// Says which word is to be cleared, and woken at, when the caller ends. Returns its number.
pub(super) fn set_tid_address<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    call.thread.clear_at_end = call.arguments()[0];
    gettid(call)
}

/// Sets or stores the base of FS, where the caller's thread-local storage is.
pub(super) fn arch_prctl<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [code, address, ..] = call.arguments();
    match code {
        ARCH_SET_FS => call.thread.registers.fs_base = tls_base(address)?,
        ARCH_GET_FS => {
            let base = call.thread.registers.fs_base;
            call.system.commons.copy_out(call.process, address, &base.to_le_bytes())?;
        }
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}

/// An address that FS may begin at: one of a process's.
fn tls_base(address: u64) -> Result<u64, Errno> {
    if address < USER_END { Ok(address) } else { Err(Errno::EPERM) }
}

/// Waits at a word that has the value that is expected, or wakes those who wait there.
///
/// Between the look at the word and the wait nothing else happens: who changes the word and then
/// wakes finds the caller either there, or not yet past the look. There are no time limits.
pub(super) fn futex<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    const PRIVATE: u64 = 128;
    let [address, operation, value, limit, ..] = call.arguments();
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL.into());
    }
    if address >= USER_END {
        return Err(Errno::EFAULT.into());
    }
    let Call { system, process, .. } = call;
    let word = match operation & PRIVATE {
        0 => word_at(process, address),
        _ => Word::Private(process.pid, address),
    };
    match operation & !PRIVATE {
        FUTEX_WAIT if limit == 0 => {
            let mut found = [0; 4];
            system.commons.copy_in(process, address, &mut found)?;
            if u32::from_le_bytes(found) != value as u32 {
                return Err(Errno::EAGAIN.into());
            }
            Err(Interruption::Waits(Wait::Word(word)))
        }
        // As in Linux, one at least.
        FUTEX_WAKE => Ok(system.wake(word, (value as i32).max(1) as u64)),
        _ => Err(Errno::ENOSYS.into()),
    }
}
