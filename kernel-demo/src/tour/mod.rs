//! The tour: the documents' claims in order, each with evidence that is computed and checked.
//!
//! ```text
//!   chapters  the table of contents: which claim is shown by which steps
//!  ──────────────────────────────────────────────────────────────────────
//!   cells     the heap on its break          C1–C7
//!   edge      where the heap ends            C8 C14
//!   buckets   slabs of small blocks          C9
//!   compare   three heaps beside each other  C10
//!   arenas    two CPUs, played               C25–C27 C29
//!   breaks    the break and the page fault   C11 C12 C13
//!   guarded   blocks between guard pages     C16
//!   machine   what the kernel stands on      C18 C22
//!   processes address spaces in ring 3       C18–C23
//!   programs  a heap in a process            C12 C14–C17 C24
//!   threads   one in a process with threads  C25–C27 C29
//!   host      a program of the host          C28
//!  ──────────────────────────────────────────────────────────────────────
//!   ring3     programs for one step          watch   what the memory manager does meanwhile
//!   told      what a story tells of heaps
//! ```
//!
//! `make run` walks through the claims and prints them. The suite runs each step as a case.
#![allow(unsafe_code)]

mod arenas;
mod breaks;
mod buckets;
mod cells;
mod chapters;
mod compare;
mod edge;
mod guarded;
mod host;
mod machine;
mod processes;
mod programs;
mod ring3;
mod threads;
mod told;
mod watch;

pub use self::chapters::CHAPTERS;
