//! The tour: the documents' claims, one after the other, each with evidence that is computed and
//! checked.
//!
//! ```text
//!   machine   what the kernel stands on      C18 C22
//!   breaks    the break and the page fault   C11 C12 C13
//!   cells     the heap on it                 C1–C7
//!   buckets   slabs of small blocks          C9
//!   edge      the heap and its break         C8 C14
//!   compare   beside a fixed heap            linked_list_allocator
//!   processes address spaces in ring 3       C18–C23
//!   programs  a heap in a process            C12 C14–C17 C24
//! ```
//!
//! `make run` walks through the steps and prints them. The suite runs each as a case.
#![allow(unsafe_code)]

mod breaks;
mod buckets;
mod cells;
mod compare;
mod edge;
mod machine;
mod processes;
mod programs;
mod ring3;
mod watch;

use crate::evidence::Step;

/// All steps, in order, by part.
pub const PARTS: [&[Step]; 8] = [
    machine::STEPS,
    breaks::STEPS,
    cells::STEPS,
    buckets::STEPS,
    edge::STEPS,
    compare::STEPS,
    processes::STEPS,
    programs::STEPS,
];
