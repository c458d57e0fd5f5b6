//! All system calls: number, name, what the arguments are, and what comes back, with the function
//! that does it. Numbers and order of arguments are Linux's for x86-64; from 1000 on they are this
//! kernel's own, and stand for files of Linux.

use super::super::System;
use super::super::machine::Machine;
use super::{Answer, Call, console, heaps, jobs, memory, process, threads, views};
use crate::strace::signature::Argument::{
    self, Address, Choice, Flags, Int, Path, Size, StatusOut, TextIn, TextOut, UsageOut,
};
use crate::strace::signature::{
    ARCH_CODES, CLONE_FLAGS, FUTEX_OPERATIONS, MAP_FLAGS, PROTECTION, REQUESTS, SIGNALS, Signature,
    WAIT_OPTIONS, WHO,
};

/// Does what a system call asks for.
type Handler<M> = fn(&mut Call<'_, M>) -> Answer;

/// A system call, and what does it.
type Row<M> = (Signature, Handler<M>);

/// Numbers of calls are below this.
const NUMBERS: usize = 1024;

const fn call(
    number: u64,
    name: &'static str,
    arguments: &'static [Argument],
    result: Argument,
) -> Signature {
    Signature { number, name, arguments, result }
}

const PROT: Argument = Flags(PROTECTION, "PROT_NONE");
const MAP: Argument = Flags(MAP_FLAGS, "0");
const CLONE: Argument = Flags(CLONE_FLAGS, "0");
const WAIT: Argument = Flags(WAIT_OPTIONS, "0");
const FUTEX: Argument = Choice(FUTEX_OPERATIONS);

impl<M: Machine> System<M> {
    const CALLS: &'static [Row<M>] = &[
        (call(0, "read", &[Int, TextOut, Size], Int), console::read),
        (call(1, "write", &[Int, TextIn, Size], Int), console::write),
        (call(9, "mmap", &[Address, Size, PROT, MAP, Int, Size], Address), memory::mmap),
        (call(10, "mprotect", &[Address, Size, PROT], Int), memory::mprotect),
        (call(11, "munmap", &[Address, Size], Int), memory::munmap),
        (call(12, "brk", &[Address], Address), memory::brk),
        (call(16, "ioctl", &[Int, Choice(REQUESTS), Address], Int), jobs::ioctl),
        (call(24, "sched_yield", &[], Int), process::sched_yield),
        (call(34, "pause", &[], Int), jobs::pause),
        (call(39, "getpid", &[], Int), process::getpid),
        // Flags, stack, two addresses for the thread's number, thread-local storage.
        (call(56, "clone", &[CLONE, Address, Address, Address, Address], Int), threads::clone),
        (call(57, "fork", &[], Int), process::fork),
        (call(59, "execve", &[Path, Address, Address], Int), process::execve),
        (call(60, "exit", &[Int], Int), threads::exit),
        (call(61, "wait4", &[Int, StatusOut, WAIT, UsageOut], Int), process::wait4),
        (call(62, "kill", &[Int, Choice(SIGNALS)], Int), jobs::kill),
        (call(98, "getrusage", &[Choice(WHO), UsageOut], Int), process::getrusage),
        (call(109, "setpgid", &[Int, Int], Int), jobs::setpgid),
        (call(158, "arch_prctl", &[Choice(ARCH_CODES), Address], Int), threads::arch_prctl),
        (call(186, "gettid", &[], Int), threads::gettid),
        (call(202, "futex", &[Address, FUTEX, Int, Address], Int), threads::futex),
        (call(218, "set_tid_address", &[Address], Int), threads::set_tid_address),
        (call(231, "exit_group", &[Int], Int), process::exit_group),
        // A process, and one range each to write to and to read from.
        (
            call(310, "process_vm_readv", &[Int, Address, Size, Address, Size, Size], Size),
            heaps::process_vm_readv,
        ),
        // The text of a view of a process (0: the caller), or of the machine.
        (call(1000, "proc_view", &[Int, TextOut, Size, Int, Address], Int), views::proc_view),
        // Frames of the machine that are free.
        (call(1001, "frames_free", &[], Size), views::frames_free),
        // What is written down of a process (0: the caller).
        (call(1002, "proc_trace", &[Int, Int], Int), views::proc_trace),
        // How the cells of the caller's heap are laid out.
        (call(1003, "heap_register", &[Address], Int), heaps::heap_register),
        // What a process (0: the caller) has registered.
        (call(1004, "heap_layout", &[Int, Address], Int), heaps::heap_layout),
        // A row of the text screen.
        (call(1005, "screen", &[Int, Address, Int], Int), console::screen),
    ];

    /// The call of each number: finding one takes as long for each.
    const BY_NUMBER: &'static [Option<&'static Row<M>>; NUMBERS] = &{
        let mut by_number: [Option<&'static Row<M>>; NUMBERS] = [None; NUMBERS];
        let mut place = 0;
        while place < Self::CALLS.len() {
            by_number[Self::CALLS[place].0.number as usize] = Some(&Self::CALLS[place]);
            place += 1;
        }
        by_number
    };

    /// Returns the call of a number. Constant time.
    #[inline]
    pub(super) fn find_call(number: u64) -> Option<&'static Row<M>> {
        *Self::BY_NUMBER.get(number as usize)?
    }

    /// Returns the call of a name.
    #[cfg(test)]
    pub(crate) fn call_named(name: &str) -> &'static Signature {
        let named = Self::CALLS.iter().find(|(signature, _)| signature.name == name);
        &named.unwrap_or_else(|| panic!("no call is named {name}")).0
    }
}
