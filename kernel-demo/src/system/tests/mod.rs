//! Whole systems on the host: programs by hand, system calls, faults, and what becomes of frames.

pub(crate) mod by_hand;
mod calls;
mod exec;
mod faults;
mod interrupted;
mod jobs;
mod memory;
mod processes;
mod random;
mod threads;
mod views;

/// An error as a system call returns it.
const fn error(errno: crate::address_space::Errno) -> u64 {
    errno.to_result()
}
