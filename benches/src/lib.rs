//! Measures heaps: time, instructions, cache misses, tightness, bounds.
//!
//! ```text
//!   subject/  who: this project's heaps, its peers, whole libraries, a floor     ┐ one trait each,
//!   workload/ what: pairs, random replacement, fills, vectors, traces            ┘ static dispatch
//!   measure/  how: time.rs · counts.rs · tightness.rs · bounds/                  each job in a process of its own
//!   report/   tables, targets, JSON, SVG
//!   trace/    what real programs asked of malloc (recorded by benches/recorder)
//! ```
//!
//! # Rules
//!
//! 1. Nobody is favoured: same sequences, same memory, same optimisation, each subject by its own
//!    fastest published interface.
//! 2. One job, one process: no subject sees what another has left, and a crash costs one figure.
//! 3. Ratios of one run are compared, never times of two.
//! 4. A subject that has no figure says why.

pub mod differential;
pub mod measure;
pub mod memory;
pub mod random;
pub mod report;
pub mod subject;
pub mod threads;
pub mod trace;
mod watched;
pub mod workload;
