//! Makes system calls with arguments of chance, in children, of which many end by a signal. The
//! kernel must go on, and the frames of all of them must come back: the kernel's side counts.
//!
//! `fuzz SEED CHILDREN CALLS`. The same seed makes the same calls. On Linux it makes none: some of
//! its calls are others there.

#![no_std]
#![no_main]

use core::ffi::CStr;

use fastrand::Rng;
use programs::{Span, machine};
use runtime::system::memory::MapFlags;
use runtime::system::process::{self, Ending, Fork};
use runtime::system::{self, view};
use runtime::{Arguments, PAGE, Untrue, Verdict, println, program, thread};

program!(run);

/// Places that calls are made about: mappings, and what other calls returned.
const PLACES: usize = 8;

/// Where user memory ends.
const USER_END: usize = 0x7FFF_FFFF_F000;

/// Calls that a child of a child makes, or a thread.
const GRANDCHILD: usize = 20;

const READ: usize = 0;
const WRITE: usize = 1;
const MMAP: usize = 9;
const MPROTECT: usize = 10;
const MUNMAP: usize = 11;
const BRK: usize = 12;
const YIELD: usize = 24;
const MREMAP: usize = 25;
const CLONE: usize = 56;
const FORK: usize = 57;
const EXECVE: usize = 59;
const EXIT: usize = 60;
const WAIT4: usize = 61;
const KILL: usize = 62;
const GETRUSAGE: usize = 98;
const SETPGID: usize = 109;
const ARCH_PRCTL: usize = 158;
const FUTEX: usize = 202;
const SET_TID_ADDRESS: usize = 218;
const PROCESS_VM_READV: usize = 310;
const PROC_VIEW: usize = 1000;
const HEAP_REGISTER: usize = 1003;
const HEAP_LAYOUT: usize = 1004;

/// Views, by number below this one.
const VIEWS: usize = 7;

/// Numbers of processes and groups at the ends of their range.
const WHOM: [usize; 5] = [1 << 31, i32::MAX as usize, usize::MAX - 1, (1 << 31) + 1, 1 << 32];

/// A path that leads to no program, and one that does.
const PATHS: [&CStr; 2] = [c"none", c"hello"];

/// Numbers of calls, more often those that change memory.
const CALLS: [usize; 31] = [
    READ,
    WRITE,
    MMAP,
    MMAP,
    MMAP,
    MPROTECT,
    MPROTECT,
    MUNMAP,
    MUNMAP,
    BRK,
    YIELD,
    MREMAP,
    MREMAP,
    FORK,
    CLONE,
    FUTEX,
    FUTEX,
    ARCH_PRCTL,
    SET_TID_ADDRESS,
    WAIT4,
    GETRUSAGE,
    KILL,
    SETPGID,
    EXECVE,
    PROCESS_VM_READV,
    HEAP_REGISTER,
    HEAP_LAYOUT,
    PROC_VIEW,
    1001,
    1023,
    1024,
];

/// `CLONE_VM`: so that what makes no thread makes no process either.
const CLONE_VM: usize = 0x100;
const CLONE_THREAD: usize = 0x1_0000;

/// `mmap` flags: private, shared, at a fixed place, and some that make no sense.
const MAP_FLAGS: [usize; 7] = [0x22, 0x22, 0x21, 0x32, 0x31, 0x10_0022, 0x23];

fn run(arguments: Arguments) -> Verdict {
    if machine::is_linux() {
        println!("this is Linux");
        return Ok(());
    }
    let (seed, children, calls) =
        (arguments.number(0, 1), arguments.number(1, 8), arguments.number(2, 500));
    let (mut well, mut killed) = (0, 0);
    for child in 0..children {
        match process::fork() {
            Ok(Fork::Child) => {
                let mut rng = Rng::with_seed((seed as u64) << 32 | child as u64);
                Fuzzer::new(&mut rng)?.go(calls, true);
            }
            Ok(Fork::Parent { .. }) => {}
            Err(errno) => println!("fork: {errno}"),
        }
        // Two run beside each other.
        if child % 2 == 1 {
            count(&mut well, &mut killed);
        }
    }
    while count(&mut well, &mut killed) {}
    println!("children: {well} ended, {killed} were killed; frames free: {}", view::frames_free()?);
    Ok(())
}

/// Waits for a child; `false` if there is none.
fn count(well: &mut usize, killed: &mut usize) -> bool {
    match process::wait() {
        Ok((_, Ending::Exited(_))) => *well += 1,
        Ok((_, Ending::Killed(_))) => *killed += 1,
        Err(_) => return false,
    }
    true
}

struct Fuzzer<'a> {
    rng: &'a mut Rng,
    places: [usize; PLACES],
}

impl<'a> Fuzzer<'a> {
    fn new(rng: &'a mut Rng) -> Result<Self, Untrue> {
        let mut places = [0; PLACES];
        for place in &mut places[2..] {
            *place = Span::map(16 * PAGE, MapFlags::PRIVATE)?.address();
        }
        // Its own text and stack are at risk in one of four.
        if rng.u8(..4) == 0 {
            places[0] = run as *const () as usize & !(PAGE - 1);
            places[1] = (&raw const places).addr() & !(PAGE - 1);
        } else {
            (places[0], places[1]) = (places[2], places[3]);
        }
        Ok(Self { rng, places })
    }

    /// Makes so many calls, and ends.
    fn go(&mut self, calls: usize, may_fork: bool) -> ! {
        for _ in 0..calls {
            self.call(may_fork);
        }
        process::exit(0)
    }

    /// Makes so many calls, in a thread.
    fn make(&mut self, calls: usize) {
        for _ in 0..calls {
            self.call(false);
        }
    }

    fn call(&mut self, may_fork: bool) {
        let number = CALLS[self.rng.usize(..CALLS.len())];
        let mut arguments = [0; 6];
        for argument in &mut arguments {
            *argument = match self.rng.u8(..4) {
                0 => self.address(),
                1 => self.len(),
                2 => self.rng.usize(..64),
                _ => self.rng.usize(..),
            };
        }
        let usually = self.rng.u8(..8) > 0;
        match number {
            FORK => {
                if may_fork && self.rng.u8(..8) == 0 && process::fork() == Ok(Fork::Child) {
                    self.go(GRANDCHILD, false);
                }
                return;
            }
            EXIT => return,
            // A thread that does the same, on a stack of its own; or flags that make none.
            CLONE if usually => {
                if may_fork && self.rng.u8(..4) == 0 {
                    let (seed, places) = (self.rng.u64(..), self.places);
                    let _ = thread::spawn(move || {
                        Fuzzer { rng: &mut Rng::with_seed(seed), places }.make(GRANDCHILD);
                    });
                }
                return;
            }
            CLONE => arguments[0] = (arguments[0] | CLONE_VM) & !CLONE_THREAD,
            // Most do not wait: nobody may be there to wake them.
            FUTEX if usually => {
                let value = if self.rng.u8(..64) == 0 { 0 } else { 1 + self.rng.usize(..4) };
                let operation = self.rng.usize(..2) | self.rng.usize(..2) << 7;
                arguments[..4].copy_from_slice(&[self.address(), operation, value, 0]);
            }
            ARCH_PRCTL => {
                arguments[..2].copy_from_slice(&[0x1002 + self.rng.usize(..2), self.address()])
            }
            READ if usually => arguments[..3].copy_from_slice(&[0, self.address(), self.len()]),
            // What is written costs time: a page at most.
            WRITE => arguments[..3].copy_from_slice(&[1, self.address(), self.rng.usize(..PAGE)]),
            MMAP if usually => {
                let flags = MAP_FLAGS[self.rng.usize(..MAP_FLAGS.len())];
                arguments = [self.address(), self.len(), self.rng.usize(..8), flags, usize::MAX, 0];
            }
            MPROTECT if usually => {
                arguments[..3].copy_from_slice(&[self.address(), self.len(), self.rng.usize(..8)])
            }
            MUNMAP if usually => {
                arguments[..2].copy_from_slice(&[self.address(), self.len().min(1 << 30)])
            }
            BRK if usually => arguments[0] = self.near_break(),
            MREMAP if usually => {
                arguments[..4].copy_from_slice(&[
                    self.address(),
                    self.len(),
                    self.len(),
                    self.rng.usize(..4),
                ]);
            }
            // It does not wait.
            WAIT4 => arguments[2] |= 1,
            // Others stay: what is sent to them is no signal.
            KILL => arguments[..2].copy_from_slice(&[self.whom(), 0]),
            SETPGID if usually => arguments[..2].copy_from_slice(&[self.whom(), self.whom()]),
            EXECVE if usually => {
                let path = PATHS[usize::from(self.rng.u8(..16) == 0)];
                arguments[..2].copy_from_slice(&[path.as_ptr().addr(), self.address()]);
            }
            PROC_VIEW if usually => {
                let (view, whose) = (self.rng.usize(..VIEWS), self.rng.usize(..32));
                arguments[..5].copy_from_slice(&[
                    view,
                    self.address(),
                    self.len(),
                    whose,
                    self.address(),
                ]);
            }
            PROCESS_VM_READV if usually => {
                let (to, from) = (self.address(), self.address());
                arguments = [self.rng.usize(..32), to, 1, from, 1, 0];
            }
            HEAP_LAYOUT if usually => arguments[0] = self.rng.usize(..32),
            _ => {}
        }
        // SAFETY: what it does to this process is what is tested. Nothing else is at risk: it
        // keeps what it needs on its stack, and ends by a signal if that is gone.
        let result = unsafe { system::raw(number, arguments) };
        if number == MMAP && result < USER_END {
            self.places[2 + self.rng.usize(..PLACES - 2)] = result;
            // Most that are written to may be: a child that goes on makes more calls.
            let is_writable = arguments[2] & 2 != 0;
            if self.rng.u8(..3) == 0 && (is_writable || self.rng.u8(..32) == 0) {
                // SAFETY: as above.
                unsafe { programs::probe::write(result, 1) };
            }
        }
    }

    /// A number of a process or a group.
    fn whom(&mut self) -> usize {
        match self.rng.u8(..4) {
            0 => WHOM[self.rng.usize(..WHOM.len())],
            1 => self.rng.usize(..32).wrapping_neg(),
            2 => self.rng.usize(..32),
            _ => 0,
        }
    }

    fn near_break(&mut self) -> usize {
        // SAFETY: no break is that low, so nothing moves.
        let now = unsafe { system::raw(BRK, [0; 6]) };
        now.wrapping_add(self.len()).wrapping_sub(self.len())
    }

    fn address(&mut self) -> usize {
        const SPECIAL: [usize; 10] = [
            0,
            1,
            0xF000,
            0x1_0000,
            USER_END - PAGE,
            USER_END,
            1 << 47,
            0xFFFF_8000_0000_0000,
            0xFFFF_FFFF_8000_0000,
            usize::MAX,
        ];
        let place = self.places[self.rng.usize(..PLACES)];
        match self.rng.u8(..8) {
            0..=3 => place.wrapping_add(self.rng.usize(..48) * PAGE).wrapping_sub(8 * PAGE),
            4 | 5 => place,
            6 => place.wrapping_add(self.rng.usize(..2 * PAGE)),
            _ => SPECIAL[self.rng.usize(..SPECIAL.len())],
        }
    }

    fn len(&mut self) -> usize {
        const SPECIAL: [usize; 8] =
            [0, 1, PAGE - 1, PAGE + 1, 1 << 21, 1 << 30, 1 << 46, usize::MAX];
        match self.rng.u8(..6) {
            0 => SPECIAL[self.rng.usize(..SPECIAL.len())],
            1 => self.rng.usize(..1 << 16),
            _ => self.rng.usize(..40) * PAGE,
        }
    }
}
