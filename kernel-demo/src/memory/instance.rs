//! The one memory manager of the running kernel, behind its lock.

use super::{Memory, Neighbours, PageFault, Pages};
use crate::address_space::Cause;
use crate::cpu::Lock;
use crate::memory::PhysicalMap;

static MEMORY: Lock<Option<Memory<PhysicalMap>>> = Lock::new(None);

/// Puts the memory manager into place.
pub(crate) fn install(memory: Memory<PhysicalMap>) {
    *MEMORY.lock() = Some(memory);
}

/// Does something with the memory manager, which is locked meanwhile: see the rules above.
///
/// # Panics
///
/// Before the manager is in place, and when this CPU has the lock: the closure must not call
/// `with`, allocate from a heap, or touch memory that has to be faulted in.
pub fn with<R>(action: impl FnOnce(&mut Memory<PhysicalMap>) -> R) -> R {
    action(MEMORY.lock().as_mut().expect("the memory manager is in place"))
}

/// The page tables of a process.
pub type ProcessPages = Pages<PhysicalMap>;

/// Serves a page fault, or says why it cannot be served, and what lies there.
pub(crate) fn serve(fault: &PageFault) -> Result<(), (Cause, Option<Neighbours>)> {
    ask(|memory| {
        let served = memory.page_fault(fault);
        served.map_err(|cause| (cause, Some(memory.around(fault.address))))
    })
    .unwrap_or_else(|cause| Err((cause, None)))
}

/// What is wrong with an access, and what lies there. [`Cause::Exception`] if it would be served.
/// No page table is looked at: they may be those of a process, which have no map of physical
/// memory.
pub(crate) fn judge(fault: &PageFault) -> (Cause, Option<Neighbours>) {
    let judged = ask(|memory| match memory.mistake(fault) {
        None => (Cause::Exception, None),
        Some(cause) => (cause, Some(memory.around(fault.address))),
    });
    judged.unwrap_or_else(|cause| (cause, None))
}

/// Like [`with`], for exception handlers: they wait for a lock that another CPU has, and cannot
/// wait for one that the interrupted code has.
fn ask<R>(question: impl FnOnce(&mut Memory<PhysicalMap>) -> R) -> Result<R, Cause> {
    let mut memory = MEMORY.lock_unless_owned().ok_or(Cause::InsideMemoryManager)?;
    memory.as_mut().map(question).ok_or(Cause::Exception)
}
