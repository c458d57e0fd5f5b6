//! What the host suites need of the machine that they run on: here, the kernel. (On the host:
//! `tests/common/platform.rs`.)

use core::fmt::Debug;
use core::ops::Range;
use core::ptr::{self, NonNull};

use brkalloc::BreakError;
use brkalloc::Misuse;
use kernel_demo::arch::qemu::option;
use kernel_demo::memory::kernel_break::{KernelBreak, RawBreak};
use kernel_demo::memory::layout::{page_ceil, page_floor};
use kernel_demo::memory::{self, Policy};
pub use kernel_demo::testing::CaseResult;
use kernel_demo::testing::{self, Case};
use proptest::test_runner::Config;
use spin::Mutex;

use super::prelude::*;
use crate::PAGE;

/// What the others' part of a page is filled with that they share with the heap. (On pages of their
/// own they write nothing.)
const FOREIGN: u8 = 0xEE;

/// Number of programs of each property test with the default profile. The host runs more of them,
/// and other ones each time.
const PROGRAMS: u32 = 100;

/// What `#[case]` makes of a function here: an entry among the suite's cases, which the linker puts
/// together ([`registered`]).
macro_rules! case {
    ({ $($function:tt)* } asserts $name:ident) => {
        $($function)*
        $crate::common::platform::register!($name, Assertions($name));
    };
    ({ $($function:tt)* } returns $name:ident) => {
        $($function)*
        $crate::common::platform::register!($name, Function($name));
    };
    ({ $($function:tt)* } $kind:ident $name:ident host_only $reason:literal) => {
        $crate::common::platform::register!($name, HostOnly($reason));
    };
}
pub(crate) use case;

/// An entry of the section.
macro_rules! register {
    ($name:ident, $run:ident($what:expr)) => {
        const _: () = {
            // SAFETY: the section has entries of this type alone.
            #[used]
            #[unsafe(link_section = "brkalloc_cases")]
            static CASE: ::kernel_demo::testing::Case = ::kernel_demo::testing::Case {
                name: $crate::common::platform::without_crate(concat!(
                    module_path!(),
                    "::",
                    stringify!($name)
                )),
                run: ::kernel_demo::testing::Run::$run($what),
            };
        };
    };
}
pub(crate) use register;

unsafe extern "C" {
    /// What the linker calls the start and the end of the section.
    #[link_name = "__start_brkalloc_cases"]
    static CASES_START: u8;
    #[link_name = "__stop_brkalloc_cases"]
    static CASES_STOP: u8;
}

/// The cases that `#[case]` made, in any order.
pub fn registered() -> &'static [Case] {
    let (start, stop): (*const Case, *const Case) =
        ((&raw const CASES_START).cast(), (&raw const CASES_STOP).cast());
    // SAFETY: the linker's symbols delimit one section of entries, which nobody writes to.
    unsafe { core::slice::from_raw_parts(start, stop.offset_from_unsigned(start)) }
}

/// `suite::host::claims::c1` is `host::claims::c1`.
pub const fn without_crate(path: &'static str) -> &'static str {
    path.split_at(env!("CARGO_CRATE_NAME").len() + "::".len()).1
}

/// Returns how property tests run: the same programs each time, for the kernel has no source of
/// chance, as many as the option `programs` says, `rarer` times fewer.
pub fn properties(rarer: u32) -> Config {
    let programs = option("programs", &mut [0; 8]).and_then(|text| text.parse().ok());
    let cases = programs.unwrap_or(PROGRAMS).div_ceil(rarer);
    Config { failure_persistence: None, cases, ..Config::default() }
}

/// Runs a part of a case. If it fails there, `what` it was is shown.
pub fn during(what: &dyn Debug, part: impl FnOnce()) {
    testing::during(what, part);
}

/// Runs a property test with one input. If it fails there, the input is shown as it is: a panic
/// ends the kernel, so proptest has no chance to make it shorter.
pub fn during_property(input: &dyn Debug, property: impl FnOnce()) {
    testing::during(input, property);
}

/// What was reported; one case runs at a time.
static NOTED: Mutex<Vec<Misuse>> = Mutex::new(Vec::new());

/// Notes a misuse that was reported.
pub fn note(misuse: Misuse) {
    NOTED.lock().push(misuse);
}

/// What was noted since this was asked.
pub fn take_noted() -> Vec<Misuse> {
    core::mem::take(&mut *NOTED.lock())
}

/// The memory that a test's break moves in: addresses of a break of the kernel's, at which nothing
/// is mapped until it is touched.
///
/// Nothing is written to what is granted: the first touch of each page is the heap's own. A touch
/// above the break is a fault that ends the case, unless memory up there was handed over: then the
/// kernel's break stands above that.
pub struct Memory {
    brk: KernelBreak,
    base: u64,
    /// Where the break is, for the heap under test.
    end: u64,
    /// What others had above the break when some of it was handed over, up to the end of that.
    above: Option<Range<u64>>,
}

impl Memory {
    /// `len` bytes from `skew` bytes above a multiple of 64 KiB on. Places in it are given as
    /// offsets from there.
    pub fn new(len: usize, skew: usize) -> Self {
        let brk = KernelBreak::claim(Policy::Strict).expect("a break that nobody uses");
        let base = brk.raw().position() + skew as u64;
        assert!(base + len as u64 <= brk.raw().info().limit, "{len} bytes in one break");
        move_by(brk.raw(), skew as isize).expect("a page below the memory");
        Self { brk, base, end: base, above: None }
    }

    /// Where it begins.
    pub fn base(&self) -> NonNull<u8> {
        pointer(self.base)
    }

    /// The break moves up over `range`. All of it is zero, whether that was promised or not.
    pub fn grant(&mut self, range: Range<usize>, _zeroed: bool) -> Result<(), BreakError> {
        assert_eq!(self.end, self.base + range.start as u64, "the break is not where it was left");
        if self.above.is_none() {
            move_by(self.brk.raw(), range.len() as isize)?;
        }
        self.end = self.base + range.end as u64;
        Ok(())
    }

    /// What was granted belongs to others than the heap under test.
    pub fn give_to_others(&mut self, range: Range<usize>) {
        for part in self.shared_pages(range) {
            // SAFETY: the others' own part of a page, below the break.
            unsafe { pointer(part.start).write_bytes(FOREIGN, (part.end - part.start) as usize) };
        }
    }

    /// Some of what is somebody else's is the heap's, wherever the break is.
    pub fn hand_over(&mut self, range: Range<usize>, of: Range<usize>) {
        let (start, end) = (self.base + of.start as u64, self.base + range.end as u64);
        if !range.is_empty() && end > self.end {
            let above = self.above.take().unwrap_or(start..end);
            let above = above.start.min(start)..above.end.max(end);
            self.move_to(above.end);
            self.above = Some(above);
        }
    }

    /// The break moves down over `range`. Its pages are gone.
    pub fn take_back(&mut self, range: Range<usize>) {
        assert_eq!(self.end, self.base + range.end as u64, "the break is not where it was left");
        self.end = self.base + range.start as u64;
        // What lies above the break goes too, and comes back as it was.
        let above = self.above.clone().unwrap_or(self.end..self.end);
        let mut kept = Vec::new();
        for page in (page_floor(above.start)..above.end).step_by(PAGE as usize) {
            let part = page.max(above.start)..(page + PAGE).min(above.end);
            if memory::with(|memory| memory.tables().translate(page)).is_some() {
                // SAFETY: below the kernel's break, and nobody writes to it meanwhile.
                let bytes = unsafe {
                    NonNull::slice_from_raw_parts(
                        pointer(part.start),
                        (part.end - part.start) as usize,
                    )
                    .as_ref()
                };
                kept.push((part.start, bytes.to_vec()));
            }
        }
        self.move_to(self.end);
        self.move_to(above.end);
        for (start, bytes) in kept {
            // SAFETY: below the kernel's break again, and as long.
            unsafe {
                pointer(start)
                    .copy_from_nonoverlapping(NonNull::from(bytes.as_slice()).cast(), bytes.len())
            };
        }
    }

    /// Moves the kernel's break.
    fn move_to(&self, end: u64) {
        let brk = self.brk.raw();
        move_by(brk, end as isize - brk.position() as isize)
            .expect("frames for what was there, or was handed over");
        assert_eq!(brk.position(), end, "the break is not where it was moved to");
    }

    /// Asserts that nobody but the others touched what they hold: no page of their own is there,
    /// not even for a look.
    pub fn assert_untouched(&self, range: Range<usize>) {
        let (start, end) = (self.base + range.start as u64, self.base + range.end as u64);
        for page in (page_ceil(start)..page_floor(end)).step_by(PAGE as usize) {
            let mapping = memory::with(|memory| memory.tables().translate(page));
            assert!(mapping.is_none(), "the page at {page:#x} is somebody else's and was touched");
        }
        for address in self.shared_pages(range).into_iter().flatten() {
            // SAFETY: below the break, and written by `give_to_others`.
            let found = unsafe { pointer(address).read() };
            assert_eq!(
                found, FOREIGN,
                "the byte at {address:#x} is somebody else's and was overwritten"
            );
        }
    }

    /// The parts of a range, as addresses below the kernel's break, that lie on its first and last
    /// page, if these are not its own as a whole.
    fn shared_pages(&self, range: Range<usize>) -> [Range<u64>; 2] {
        let (start, end) = (self.base + range.start as u64, self.base + range.end as u64);
        if end > self.brk.raw().position() {
            return [start..start, end..end];
        }
        let first = start..page_ceil(start).min(end);
        let last = page_floor(end).max(first.end)..end;
        [first, last]
    }
}

/// A mapping: a break of the kernel's that nobody moves. It is as long as it is, and gone for good
/// when it is dropped.
pub struct Mapping(KernelBreak);

impl Mapping {
    /// `len` bytes from the start of a page on. `None` if there is no more to be had: the kernel
    /// has a dozen such breaks.
    pub fn new(len: usize) -> Option<Self> {
        let brk = KernelBreak::claim(Policy::Strict)?;
        move_by(brk.raw(), len as isize).ok()?;
        Some(Self(brk))
    }

    /// Where it begins.
    pub fn start(&self) -> NonNull<u8> {
        pointer(self.0.raw().info().base)
    }
}

/// An address of a break, to be used.
fn pointer(address: u64) -> NonNull<u8> {
    NonNull::new(ptr::with_exposed_provenance_mut(address as usize))
        .expect("no break has address null")
}

fn move_by(brk: RawBreak, by: isize) -> Result<(), BreakError> {
    // SAFETY: what a negative step takes away was taken from, or given up by, the heap under test.
    unsafe { brk.sbrk(by) }?;
    Ok(())
}
