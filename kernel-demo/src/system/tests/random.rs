//! Programs that do anything: whatever they ask for, the kernel answers, and every frame is back.

use proptest::prelude::*;

use super::by_hand::{ByHand, Cpu, DATA, Step, image, system};
use crate::address_space::Cause;
use crate::address_space::USER_END;
use crate::memory::Stop;
use crate::memory::kernel::RESERVE;
use crate::strace::signature::*;
use crate::system::console::{Input, Output};
use crate::system::crash::{Crash, Reason};
use crate::system::{Accounting, Options, Settings, System, Tracing};

const CALLS: [&str; 18] = [
    "read",
    "write",
    "mmap",
    "mprotect",
    "munmap",
    "brk",
    "sched_yield",
    "fork",
    "wait4",
    "getrusage",
    "proc_view",
    "frames_free",
    "clone",
    "clone",
    "arch_prctl",
    "futex",
    "set_tid_address",
    "exit",
];

/// An address that something may be at: the program's parts, what earlier calls returned, and their
/// surroundings; or any number.
fn address(cpu: &mut Cpu<'_>) -> u64 {
    let registers = &cpu.registers;
    let bases = [
        cpu.text(),
        cpu.text() + DATA,
        registers.rsp,
        registers.r12,
        registers.r13,
        registers.r14,
        0x10_0000_0000,
        0,
    ];
    let base = bases[cpu.rng.usize(..bases.len())];
    let offset = match cpu.rng.u8(..8) {
        0..4 => 0,
        4..6 => cpu.rng.u64(..16) << 12,
        6 => cpu.rng.u64(..0x5000).wrapping_neg(),
        _ => cpu.rng.u64(..),
    };
    base.wrapping_add(offset)
}

/// A length, flags, a number of anything.
fn number(cpu: &mut Cpu<'_>) -> u64 {
    match cpu.rng.u8(..8) {
        0..4 => cpu.rng.u64(..8) << 12,
        4..6 => cpu.rng.u64(..40),
        6 => cpu.rng.u64(..1 << 30),
        _ => cpu.rng.u64(..),
    }
}

/// Arguments that make sense for a call about as often as not.
fn arguments(cpu: &mut Cpu<'_>, call: &Signature) -> [u64; 6] {
    let mut all = [0; 6];
    for (argument, kind) in all.iter_mut().zip(call.arguments) {
        let any = cpu.rng.u8(..16) == 0;
        *argument = match kind {
            _ if any => cpu.rng.u64(..),
            Argument::Address
            | Argument::TextIn
            | Argument::TextOut
            | Argument::Path
            | Argument::StatusOut
            | Argument::UsageOut => address(cpu),
            Argument::Flags(PROTECTION, _) => cpu.rng.u64(..6),
            Argument::Flags(MAP_FLAGS, _) => {
                [0x22, 0x21, 0x32, 0x31, 0x10_0022][cpu.rng.usize(..5)]
            }
            Argument::Flags(CLONE_FLAGS, _) => {
                [0x1_0900, 0x3F_0F00, 0x139_0900, 17, 0][cpu.rng.usize(..5)]
            }
            Argument::Choice(FUTEX_OPERATIONS) => cpu.rng.u64(..3) | cpu.rng.u64(..2) << 7,
            Argument::Choice(ARCH_CODES) => 0x1002 + cpu.rng.u64(..2),
            Argument::Int => cpu.rng.u64(..4).wrapping_sub(1),
            Argument::Size | Argument::Flags(..) | Argument::Choice(_) => number(cpu),
        };
    }
    // What is written takes a turn for each piece.
    if call.name == "write" && all[2] < USER_END {
        all[2] %= 1 << 14;
    }
    all
}

/// Does one thing or another a hundred times.
const ANYTHING: &[Step] = &[
    |cpu| {
        // What the latest call returned may be an address.
        match cpu.rng.u8(..4) {
            0 => cpu.registers.r12 = cpu.result(),
            1 => cpu.registers.r13 = cpu.result(),
            2 => cpu.registers.r14 = cpu.result(),
            _ => {}
        }
        let call = CALLS[cpu.rng.usize(..CALLS.len())];
        let at = address(cpu);
        match cpu.rng.u8(..8) {
            0 => Some(Stop::Timer),
            // Where something is mapped, or else the process ends soon.
            1 if cpu.rng.u8(..8) == 0 => cpu.store(at, &[1; 5000]),
            2 if cpu.rng.u8(..8) == 0 => cpu.load(at),
            3 => cpu.store(cpu.text() + DATA, &[2; 0x2000]),
            4 => cpu.store(cpu.registers.rsp.wrapping_sub(0x2000), &[3; 0x100]),
            _ => {
                // Few threads end early.
                let call = if call == "exit" && cpu.rng.u8(..8) > 0 { "gettid" } else { call };
                let arguments = arguments(cpu, System::<ByHand>::call_named(call));
                cpu.call(call, &arguments)
            }
        }
    },
    |cpu| {
        cpu.registers.r15 += 1;
        if cpu.registers.r15 < 100 {
            cpu.jump(0);
        }
        None
    },
];

proptest! {
    #[test]
    fn whatever_programs_do_the_kernel_goes_on(
        seed in any::<u64>(),
        frames in 60..400_usize,
        strict in any::<bool>(),
        refused in prop::option::of(1..300_usize),
    ) {
        let settings = Settings {
            accounting: if strict { Accounting::Strict } else { Accounting::Overcommit },
            output: Output::Memory(1 << 16),
            input: Input::Text(b"some input"),
        };
        let mut system = system(frames, settings, &[ANYTHING, ANYTHING]);
        system.machine().rng.seed(seed);
        let all = system.machine().frames.clone();
        let before = all.counts();
        let floor = (before.available() / 16).min(RESERVE);
        all.fail_nth(refused);
        for number in 0..2 {
            let options = Options { seed: Some(seed ^ number), trace: Tracing::CallsAndFaults, ..Options::default() };
            // There may be no memory for it.
            let _ = system.spawn("by hand", &image(number as u8), &[], options);
        }
        for turn in 0.. {
            prop_assert!(turn < 200_000, "{}", &system.output()[system.output().len() - 3000..]);
            if !system.step() {
                break;
            }
            prop_assert!(all.counts().available() >= floor, "the kernel's reserve is touched");
            for process in system.table.entries().filter_map(|entry| entry.payload.process.as_ref()) {
                crate::address_space::model::check(&process.space).unwrap();
            }
        }
        all.fail_nth(None);
        let out = |crash: &Crash| matches!(crash.reason, Reason::Access(_, Cause::OutOfFrames(_)));
        let broken = system.started().iter().filter_map(|started| started.crash.as_ref()).any(out);
        prop_assert!(!(strict && broken), "a frame that was promised is missing");
        prop_assert_eq!((all.counts(), system.promised()), (before, 0));
    }
}
