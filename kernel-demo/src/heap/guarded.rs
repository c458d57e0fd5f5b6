//! Needs of a heap that samples ([`brkalloc::Sampled`]): pages that are opened and closed one by
//! one, and the calls that led to it.
//!
//! ```text
//!   base of a scratch break                                           its limit
//!   │ closed │ open: an area, mapped on first touch │ closed │ …       │
//!   └────────┴──────────────────────────────────────┴────────┴─────────┘
//! ```
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};

use brkalloc::{CallSites, GuardPages, MapError, Trace};

use crate::address_space::{AreaKind, Vma};
use crate::backtrace::{calls, frame};
use crate::memory::kernel_break::KernelBreak;
use crate::memory::{Policy, with};
use crate::words::Permissions;
use crate::words::layout::{BREAK_LIMIT, PAGE_SIZE};

/// The addresses above a break that stays at its base. Released when dropped, with all pages.
pub struct GuardedPages(KernelBreak);

impl GuardedPages {
    /// Claims a break that nobody uses; `None` when all are in use.
    pub fn claim() -> Option<Self> {
        KernelBreak::claim(Policy::Strict).map(Self)
    }
}

impl Drop for GuardedPages {
    fn drop(&mut self) {
        let base = self.0.raw().info().base;
        // Each time some areas go.
        while with(|memory| memory.remove_areas(base, base + BREAK_LIMIT)).is_err() {}
    }
}

// SAFETY: nobody else has the break, so nothing is mapped above it but what is opened, with frames
// that are promised; a closed page has no area, and each CPU has flushed it.
unsafe impl GuardPages for GuardedPages {
    fn granule(&self) -> usize {
        PAGE_SIZE as usize
    }

    fn reserve(&mut self, len: usize) -> Result<NonNull<u8>, MapError> {
        let base = ptr::with_exposed_provenance_mut(self.0.raw().position() as usize);
        let fits = len as u64 <= BREAK_LIMIT;
        NonNull::new(base).filter(|_| fits).ok_or(MapError::OutOfMemory)
    }

    unsafe fn open(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError> {
        let start = start.addr().get() as u64;
        let permissions = Permissions::READ | Permissions::WRITE;
        let pages = Vma::private(start, start + len as u64, permissions, AreaKind::Mapping);
        let area = Vma { name: "sampled block", ..pages };
        with(|memory| memory.add_area(area)).map_err(|_| MapError::OutOfMemory)
    }

    unsafe fn close(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError> {
        let start = start.addr().get() as u64;
        let removed = with(|memory| memory.remove_areas(start, start + len as u64));
        removed.map_err(|_| MapError::Refused)
    }
}

/// Call sites of a heap: the calls that led to it.
#[derive(Clone, Copy, Debug)]
pub struct Calls;

impl CallSites for Calls {
    fn trace(&self) -> Trace {
        Trace::of(calls(frame()).map(|address| address as usize))
    }
}
