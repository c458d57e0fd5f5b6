//! The suite that runs under QEMU: one image, cases chosen at run time.
//!
//! ```text
//!   boot  frames  paging        the kernel owns the machine
//!   breaks  strict  injection   moving a break, touching what it grants, running out
//!   faults  trace               what nobody can serve is reported; what happened is written down
//!   backtrace                   the calls that led to a failure
//!   cpus                        each CPU has what it needs of its own; locks and requests
//!   ring3                       programs of a few instructions: every way to stop, nothing they can harm
//!   heaps                       what hobby kernels test of a heap, for three heaps
//!   sampled                     blocks between guard pages: each kind of misuse is caught
//!   images  programs            the ring-3 programs that the image carries; each run, to the end that it must come to
//!   single_step                 a handler that allocates comes after every instruction of a heap of arenas
//!   host                        every case of the host suites that a kernel can run
//!   selftest                    fails on purpose, one case for each kind of failure
//!   claims                      the tour's steps (kernel-demo/src/tour), of which all evidence must hold
//! ```
//!
//! Each case leaves frames and reservations as it found them: the framework counts.

#![no_std]
#![no_main]
#![allow(unsafe_code)]

extern crate alloc;

mod common;
mod host;

case_finder::kernel_suites!();

use kernel_demo::address_space::tables_of;
use kernel_demo::arch::qemu::Exit;
use kernel_demo::memory::kernel_break::{KernelBreak, RawBreak};
use kernel_demo::memory::{self, Counts, Policy};
use kernel_demo::testing::{self, Failed, OrFail, Suite};
use kernel_demo::tour;

kernel_demo::main!(main);

fn main() -> Exit {
    testing::run(&Suite {
        cases: common::platform::registered(),
        tour: &tour::CHAPTERS,
        host_only: host::HOST_ONLY,
    })
}

/// Frames that `[base, end)` takes when every page of it is mapped, with its page tables.
fn cost(base: u64, end: u64) -> usize {
    ((end - base).div_ceil(PAGE) + tables_of(None, None, core::iter::once((base, end)))) as usize
}

/// A break of this case's own, and the same break by hand.
fn scratch(policy: Policy) -> Result<(KernelBreak, RawBreak), Failed> {
    let scratch = KernelBreak::claim(policy).or_fail("a break that nobody uses")?;
    let raw = scratch.raw();
    Ok((scratch, raw))
}

/// Frames now.
fn counts() -> Counts {
    memory::with(|memory| memory.counts())
}

const PAGE: u64 = memory::layout::PAGE_SIZE;
const MIB: isize = 1 << 20;
const GIB: isize = 1 << 30;
