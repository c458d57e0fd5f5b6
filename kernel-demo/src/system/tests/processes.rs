//! Processes: turns, children, ends.

use super::by_hand::{DATA, FRAMES, Step, image, run, run_in, run_with, system};
use super::error;
use crate::address_space::Errno;
use crate::memory::Stop;
use crate::system::console::Output;
use crate::system::table::MAX_PROCESSES;
use crate::system::{Accounting, Options, Settings};
use crate::words::{Signal, Status};

#[test]
fn the_timer_lets_everybody_run() {
    /// Notes its argument twelve times, a tick after each.
    const SPIN: &[Step] = &[
        |cpu| cpu.call("getpid", &[]),
        |cpu| {
            cpu.registers.r14 = cpu.result();
            None
        },
        |cpu| {
            cpu.registers.r15 += 1;
            let pid = cpu.registers.r14;
            cpu.note(pid);
            if cpu.registers.r15 < 12 {
                cpu.jump(2);
            }
            Some(Stop::Timer)
        },
    ];
    let (statuses, mut system) = run(&[SPIN, SPIN, SPIN]);
    assert_eq!(statuses, [Status::Exited(0); 3]);
    let seen = system.machine().seen.clone();
    assert_eq!(seen.len(), 36);
    assert!(
        seen.windows(3)
            .all(|turns| turns[0] != turns[1] && turns[1] != turns[2] && turns[0] != turns[2]),
        "{seen:?}"
    );
    assert!(system.started().iter().all(|started| started.usage.involuntary_switches == 12));
}

#[test]
fn a_fork_has_the_same_memory_until_one_writes() {
    let (statuses, mut system) = run(&[&[
        |cpu| cpu.store(cpu.text() + DATA, b"original"),
        |cpu| cpu.call("fork", &[]),
        |cpu| {
            cpu.registers.r15 = cpu.result();
            if cpu.registers.r15 == 0 {
                cpu.store(cpu.text() + DATA, b"children")
            } else {
                cpu.call("wait4", &[u64::MAX, 0, 0, 0])
            }
        },
        |cpu| cpu.load(cpu.text() + DATA),
        |cpu| cpu.call("exit", &[if cpu.registers.r15 == 0 { 7 } else { 8 }]),
    ]]);
    assert_eq!(statuses, [Status::Exited(8)]);
    assert_eq!(
        system.machine().seen,
        [b"children", b"original"].map(|text| u64::from_le_bytes(*text))
    );
}

#[test]
fn who_waits_learns_how_the_child_ended_and_what_it_used() {
    let (_, mut system) = run(&[&[
        |cpu| cpu.call("fork", &[]),
        |cpu| if cpu.result() == 0 { cpu.store(8, b"x") } else { None },
        |cpu| cpu.call("wait4", &[2, cpu.text() + DATA, 0, cpu.text() + DATA + 16]),
        |cpu| {
            let child = cpu.result();
            cpu.note(child);
            cpu.load(cpu.text() + DATA)
        },
        |cpu| cpu.call("getrusage", &[u64::MAX, cpu.text() + DATA + 160]),
        |cpu| {
            let same =
                (cpu.load(cpu.text() + DATA + 16 + 32), cpu.load(cpu.text() + DATA + 160 + 32));
            assert_eq!(same, (None, None));
            cpu.call("wait4", &[u64::MAX, 0, 0, 0])
        },
        |cpu| {
            let none = cpu.result();
            cpu.note(none)
        },
    ]]);
    let seen = system.machine().seen.clone();
    assert_eq!((seen[0], seen[1] & 0xffff_ffff, seen[4]), (2, 11, error(Errno::ECHILD)));
    assert!(seen[2] == seen[3] && seen[2] > 0, "resident: {seen:?}");
}

#[test]
fn waiting_without_waiting_and_for_nobody() {
    let (_, mut system) = run(&[&[
        |cpu| cpu.call("wait4", &[u64::MAX, 0, 0, 0]),
        |cpu| {
            let result = cpu.result();
            cpu.note(result);
            cpu.call("wait4", &[u64::MAX, 0, 0x1_0000, 0])
        },
        |cpu| {
            let result = cpu.result();
            cpu.note(result);
            cpu.call("fork", &[])
        },
        |cpu| {
            if cpu.result() == 0 {
                return cpu.call("exit", &[0]);
            }
            cpu.call("wait4", &[u64::MAX, 0, 1, 0])
        },
        |cpu| {
            let result = cpu.result();
            cpu.note(result);
            cpu.call("wait4", &[99, 0, 0, 0])
        },
        |cpu| {
            let result = cpu.result();
            cpu.note(result)
        },
    ]]);
    assert_eq!(
        system.machine().seen,
        [error(Errno::ECHILD), error(Errno::EINVAL), 0, error(Errno::ECHILD)]
    );
}

#[test]
fn a_full_table_refuses_a_fork_until_somebody_has_ended() {
    const PARENT: &[Step] = &[
        |cpu| cpu.call("fork", &[]),
        |cpu| {
            match cpu.result().cast_signed() {
                0 => return cpu.call("exit", &[0]),
                1.. => {
                    cpu.registers.r15 += 1;
                    cpu.jump(0);
                    return None;
                }
                _ => {}
            }
            let (children, result) = (cpu.registers.r15, cpu.result());
            cpu.note(children);
            cpu.note(result);
            cpu.call("wait4", &[u64::MAX, 0, 0, 0])
        },
        |cpu| cpu.call("fork", &[]),
        |cpu| {
            let result = cpu.result();
            if result == 0 { None } else { cpu.note(result) }
        },
    ];
    let settings = Settings { accounting: Accounting::Overcommit, ..Settings::default() };
    let mut system = system(2048, settings, &[PARENT]);
    let statuses = run_in(&mut system, Options::default());
    assert_eq!(statuses, [Status::Exited(0)]);
    let most = MAX_PROCESSES as u64;
    assert_eq!(system.machine().seen, [most - 1, error(Errno::EAGAIN), most + 1]);
}

#[test]
fn exceptions_end_a_process_with_linuxs_signal() {
    let (statuses, _) = run(&[
        &[|_| Some(Stop::Exception { vector: 0, error: 0 })],
        &[|_| Some(Stop::Exception { vector: 6, error: 0 })],
        &[|_| Some(Stop::Exception { vector: 13, error: 0x18 })],
        &[|cpu| cpu.call("exit", &[0x1_02])],
    ]);
    let killed = |signal| Status::Killed(signal);
    assert_eq!(
        statuses,
        [
            killed(Signal::SIGFPE),
            killed(Signal::SIGILL),
            killed(Signal::SIGSEGV),
            Status::Exited(2)
        ]
    );
}

#[test]
fn what_is_no_program_is_not_started() {
    let mut system = system(FRAMES, Settings::default(), &[&[]]);
    let spawned = system.spawn("bad", b"#!/bin/sh\n", &[], Options::default());
    assert_eq!(spawned, Err(Errno::ENOEXEC));
    let too_long = "x".repeat(16 << 20);
    let spawned = system.spawn("long", &image(0), &[&too_long], Options::default());
    assert_eq!(spawned, Err(Errno::E2BIG));
    assert_eq!(run_in(&mut system, Options::default()), [Status::Exited(0)]);
}

#[test]
fn a_system_that_is_dropped_takes_its_processes_with_it() {
    let mut system = system(FRAMES, Settings::default(), &[&[]]);
    let frames = system.machine().frames.clone();
    let before = frames.counts();
    system.spawn("by hand", &image(0), &[], Options::default()).unwrap();
    assert_ne!(frames.counts(), before);
    drop(system);
    assert_eq!(frames.counts(), before);
}

#[test]
fn output_that_does_not_fit_is_counted() {
    let settings = Settings { output: Output::Memory(10), ..Settings::default() };
    let (_, system) = run_with(
        settings,
        Options::default(),
        &[&[
            |cpu| cpu.store(cpu.text() + DATA, b"a line that is long"),
            |cpu| cpu.call("write", &[1, cpu.text() + DATA, 19]),
        ]],
    );
    assert_eq!((system.output(), system.output_lost()), ("a line tha", 9));
}
