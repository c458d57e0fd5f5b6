//! The system calls that Linux does not have: a look at processes, and at the machine.

use syscalls::{Sysno, syscall};

use super::Errno;
use crate::HeapLayout;

/// Above all numbers that Linux has.
const PROC_VIEW: usize = 1000;
const FRAMES_FREE: usize = 1001;
const PROC_TRACE: usize = 1002;
const HEAP_REGISTER: usize = 1003;
const HEAP_LAYOUT: usize = 1004;
const SCREEN: usize = 1005;

/// A text about a process, or the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Its regions, one a line.
    Maps,
    /// Its regions, with what of each is in memory.
    Smaps,
    /// Its sums.
    Status,
    /// The page-table entries on the way to an address, as numbers: [`walk_of`].
    Walk,
    /// The process table.
    Processes,
    /// The page allocator, as numbers: [`frame_counts`].
    Frames,
    /// The names of all programs.
    Programs,
}

/// What a view is of: the process of this number (0: the caller), and an address in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The process.
    pub process: usize,
    /// The address, which [`View::Walk`] goes to.
    pub address: usize,
}

/// Writes the text of a view of this process and returns how long it is.
///
/// # Errors
///
/// `ERANGE` if there is no room for all of it; `ENOSYS` on Linux.
pub fn proc_view(view: View, text: &mut [u8]) -> Result<usize, Errno> {
    proc_view_of(view, Subject::default(), text)
}

/// The same of any process.
///
/// # Errors
///
/// `ESRCH` if there is none of that number; `ERANGE` if there is no room for all of it; `ENOSYS` on
/// Linux.
pub fn proc_view_of(view: View, of: Subject, text: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes into what is borrowed for writing.
    Errno::from_ret(unsafe {
        syscalls::raw::syscall5(
            PROC_VIEW,
            view as usize,
            text.as_mut_ptr().expose_provenance(),
            text.len(),
            of.process,
            of.address,
        )
    })
}

/// What is mapped at a page.
pub const PAGE_STATES: [&str; 4] = [
    "nothing is mapped there",
    "the page of zeros, which all share",
    "a frame that others have too",
    OWN_FRAME,
];

/// The state of a page that no other process has.
pub const OWN_FRAME: &str = "a frame of its own";

/// The way of the processor to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Physical address of the level-4 table.
    pub root: u64,
    /// Which of [`PAGE_STATES`] is there.
    pub state: usize,
    /// The entries of the levels 4 to 1; zero where there is no table.
    pub entries: [u64; 4],
}

/// Walks down the page tables of a process.
///
/// # Errors
///
/// `ESRCH` if there is none of that number; `ENOSYS` on Linux.
pub fn walk_of(of: Subject) -> Result<Walk, Errno> {
    let [root, state, entries @ ..] = numbers::<6>(View::Walk, of)?;
    Ok(Walk { root, state: state as usize, entries })
}

/// Frames: all, those that are free, those of these that are reserved, those that are charged to
/// processes; then the free blocks of each order, which are counted up to 256.
///
/// # Errors
///
/// `ENOSYS` on Linux.
pub fn frame_counts() -> Result<[u64; 15], Errno> {
    numbers(View::Frames, Subject::default())
}

/// The numbers of a view that has so many.
fn numbers<const N: usize>(view: View, of: Subject) -> Result<[u64; N], Errno> {
    let mut bytes = [[0; 8]; N];
    proc_view_of(view, of, bytes.as_flattened_mut())?;
    Ok(bytes.map(u64::from_le_bytes))
}

/// What is written down about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// Nothing.
    Off,
    /// Its system calls.
    Calls,
    /// These, and its page faults.
    CallsAndFaults,
}

/// Turns the trace of a process on or off.
///
/// # Errors
///
/// `ESRCH` if there is none of that number; `ENOSYS` on Linux.
pub fn proc_trace(process: usize, trace: Trace) -> Result<(), Errno> {
    // SAFETY: it changes nothing of ours.
    let answer = unsafe { syscalls::raw::syscall2(PROC_TRACE, process, trace as usize) };
    Errno::from_ret(answer).map(drop)
}

/// Registers the layout of this process's heap.
pub(crate) fn heap_register(layout: &HeapLayout) -> Result<(), Errno> {
    // SAFETY: the kernel reads it.
    let answer = unsafe { syscalls::raw::syscall1(HEAP_REGISTER, (&raw const *layout).addr()) };
    Errno::from_ret(answer).map(drop)
}

/// Asks for the layout of a process's heap.
pub(crate) fn heap_layout(process: usize, layout: &mut HeapLayout) -> Result<(), Errno> {
    let to = (&raw mut *layout).expose_provenance();
    // SAFETY: borrowed for writing, and all of it numbers.
    Errno::from_ret(unsafe { syscalls::raw::syscall2(HEAP_LAYOUT, process, to) }).map(drop)
}

/// Reads the memory of another process as it is, and returns how many bytes that were: what is not
/// mapped is not read.
///
/// # Errors
///
/// `EFAULT` if nothing is mapped there; `ESRCH` if there is no such process.
pub fn read_memory(process: usize, address: usize, to: &mut [u8]) -> Result<usize, Errno> {
    let own = [to.as_mut_ptr().expose_provenance(), to.len()];
    let theirs = [address, to.len()];
    // SAFETY: the ranges are read, and the first one describes what is borrowed for writing.
    unsafe { syscall!(Sysno::process_vm_readv, process, own.as_ptr(), 1, theirs.as_ptr(), 1, 0) }
}

/// Rows and columns of the text screen.
pub const SCREEN_SIZE: (usize, usize) = (25, 80);

/// Shows a row of the text screen in a colour of the VGA's.
///
/// # Errors
///
/// `EINVAL` if there is no such row; `ENOSYS` on Linux.
pub fn show_row(row: usize, text: &[u8; SCREEN_SIZE.1], colour: u8) -> Result<(), Errno> {
    let (text, colour) = (text.as_ptr().addr(), usize::from(colour));
    // SAFETY: the kernel reads the text.
    Errno::from_ret(unsafe { syscalls::raw::syscall3(SCREEN, row, text, colour) }).map(drop)
}

/// How many frames of the machine nobody has.
///
/// # Errors
///
/// `ENOSYS` on Linux.
pub fn frames_free() -> Result<usize, Errno> {
    // SAFETY: it looks at nothing of ours.
    Errno::from_ret(unsafe { syscalls::raw::syscall0(FRAMES_FREE) })
}
