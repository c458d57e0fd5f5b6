//! Page faults: who is killed, who is not, and what is reported.

use super::by_hand::{DATA, FRAMES, Step, run, run_in, run_with, system};
use crate::address_space::Cause;
use crate::memory::Stop;
use crate::system::console::Output;
use crate::system::crash::Reason;
use crate::system::{Accounting, Options, Settings};
use crate::words::{Signal, Status};

#[test]
fn c19_a_segmentation_fault_ends_that_process_and_nobody_else() {
    let (statuses, mut system) = run(&[
        &[|_| Some(Stop::Timer), |cpu| cpu.store(0x123, b"x"), |cpu| cpu.note(1)],
        &[|_| Some(Stop::Timer), |cpu| cpu.store(cpu.text(), b"x"), |cpu| cpu.note(2)],
        &[|_| Some(Stop::Timer), |_| Some(Stop::Timer), |cpu| cpu.note(3)],
    ]);
    let segv = Status::Killed(Signal::SIGSEGV);
    assert_eq!(statuses, [segv, segv, Status::Exited(0)]);
    assert_eq!(system.machine().seen, [3]);
    let crashes: Vec<_> = system.started().iter().filter_map(|started| started.crash).collect();
    assert!(
        matches!(crashes[0].reason, Reason::Access(fault, Cause::Null) if fault.address == 0x123)
    );
    assert!(matches!(crashes[1].reason, Reason::Access(_, Cause::WriteToReadOnly)));
    assert_eq!(crashes[1].nearest.map(|vma| vma.start), crashes[1].address());
    let report = system.output();
    assert!(
        report.starts_with("process 1 (by hand): Segmentation fault: write to 0x0000000000000123: null pointer\n  nearest: "),
        "{report}"
    );
    assert!(report.contains(" r-x by hand\n  rip 0x"), "{report}");
}

#[test]
fn quiet_processes_crash_without_a_report() {
    let settings = Settings { output: Output::Memory(1000), ..Settings::default() };
    let quiet = Options { quiet: true, ..Options::default() };
    let (statuses, system) = run_with(settings, quiet, &[&[|cpu| cpu.load(0)]]);
    assert_eq!(
        (statuses.as_slice(), system.output()),
        (&[Status::Killed(Signal::SIGSEGV)][..], "")
    );
    assert!(system.started()[0].crash.is_some());
}

/// Moves the break up by 300 pages and writes to each of them.
const GREEDY: &[Step] = &[
    |cpu| cpu.call("brk", &[0]),
    |cpu| {
        cpu.registers.r15 = cpu.result();
        cpu.call("brk", &[cpu.registers.r15 + (300 << 12)])
    },
    |cpu| {
        cpu.registers.r14 = cpu.result();
        let refused = cpu.registers.r14 == cpu.registers.r15;
        if refused { cpu.call("exit", &[12]) } else { None }
    },
    |cpu| {
        if cpu.registers.r15 == cpu.registers.r14 {
            return None;
        }
        let stop = cpu.store(cpu.registers.r15, b"x");
        if stop.is_none() {
            cpu.registers.r15 += 4096;
            cpu.jump(3);
        }
        stop.or(Some(Stop::Timer))
    },
];

/// Takes 300 turns.
const MODEST: &[Step] = &[|cpu| {
    cpu.registers.r15 += 1;
    if cpu.registers.r15 < 300 {
        cpu.jump(0);
    }
    Some(Stop::Timer)
}];

#[test]
fn strict_accounting_refuses_what_it_could_not_keep() {
    let settings = Settings { output: Output::Memory(10_000), ..Settings::default() };
    let (statuses, _) = run_with(settings, Options::default(), &[GREEDY, GREEDY, MODEST]);
    assert_eq!(statuses, [Status::Exited(0), Status::Exited(12), Status::Exited(0)]);
}

#[test]
fn overcommit_kills_who_touches_more_than_there_is() {
    let settings = Settings {
        accounting: Accounting::Overcommit,
        output: Output::Memory(10_000),
        ..Settings::default()
    };
    let (statuses, system) = run_with(settings, Options::default(), &[GREEDY, GREEDY, MODEST]);
    let killed =
        statuses.iter().filter(|status| **status == Status::Killed(Signal::SIGKILL)).count();
    assert_eq!((killed, statuses[2]), (1, Status::Exited(0)), "{statuses:?}");
    assert!(system.output().contains("): Killed: write to 0x"), "{}", system.output());
    assert!(
        system.output().contains(": out of frames: asked for 1 frame, 0 available\n  there: "),
        "{}",
        system.output()
    );
}

/// Whichever frame is refused, the kernel goes on, and every frame is back.
#[test]
fn each_refused_frame_is_survived() {
    const EVERYTHING: &[Step] = &[
        |cpu| cpu.call("mmap", &[0, 3 << 12, 3, 0x21, u64::MAX, 0]),
        |cpu| {
            cpu.registers.r15 = cpu.result();
            if cpu.result().cast_signed() < 0 {
                cpu.call("exit", &[1])
            } else {
                cpu.store(cpu.result() + 4096, b"shared")
            }
        },
        |cpu| cpu.call("fork", &[]),
        |cpu| {
            cpu.registers.r14 = cpu.result();
            cpu.store(cpu.text() + DATA, b"copied")
        },
        |cpu| cpu.load(cpu.text() + DATA + 0x1800),
        |cpu| cpu.call("munmap", &[cpu.registers.r15 + (2 << 12), 1 << 12]),
        |cpu| cpu.call("getrusage", &[0, cpu.text() + DATA + 0x1000]),
        |cpu| cpu.call("proc_view", &[1, cpu.text() + DATA, 0x2000]),
        |cpu| {
            if cpu.registers.r14 == 0 {
                cpu.call("exit", &[0])
            } else {
                cpu.call("wait4", &[u64::MAX, cpu.text() + DATA, 0, 0])
            }
        },
    ];
    let settings = Settings { output: Output::Memory(1 << 16), ..Settings::default() };
    for n in 1.. {
        let mut system = system(FRAMES, settings, &[EVERYTHING]);
        let frames = system.machine().frames.clone();
        let before = frames.counts();
        frames.fail_nth(Some(n));
        let spawned =
            system.spawn("by hand", &super::by_hand::image(0), &["argument"], Options::default());
        system.run();
        let pending = frames.fail_nth(None);
        assert_eq!((frames.counts(), system.promised()), (before, 0), "frame {n}");
        // The kernel is as good as new.
        assert_eq!(run_in(&mut system, Options::default()), [Status::Exited(0)], "after frame {n}");
        if pending {
            assert!(spawned.is_ok() && n > 20, "only {n} frames were asked for");
            break;
        }
    }
}
