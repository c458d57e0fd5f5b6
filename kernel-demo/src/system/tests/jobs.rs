//! Processes that others end, in groups, at a terminal, and beside each other.

use super::by_hand::{ByHand, DATA, FRAMES, NOTES, PAUSES, Step, image, run, run_in, system};
use super::error;
use crate::address_space::Errno;
use crate::memory::Stop;
use crate::system::console::{Input, Output};
use crate::system::machine::Machine;
use crate::system::run::{Next, Running};
use crate::system::table::Pid;
use crate::system::{Options, Settings, System};
use crate::words::{Signal, Status};

const SPINS: &[Step] = &[
    |_| Some(Stop::Timer),
    |cpu| {
        cpu.jump(0);
        None
    },
];

/// A machine with a terminal.
fn at_terminal(programs: &[&'static [Step]]) -> System<ByHand> {
    let output = Output::Memory(10_000);
    let settings = Settings { input: Input::Console, output, ..Settings::default() };
    system(FRAMES, settings, programs)
}

/// Starts all programs of the machine, and makes some steps.
fn start(system: &mut System<ByHand>, count: u8) {
    for number in 0..count {
        system.spawn("by hand", &image(number), &[], Options::default()).unwrap();
    }
    assert!((0..20).all(|_| system.step()));
}

#[test]
fn a_process_that_waits_or_spins_is_ended_by_another() {
    let (statuses, mut system) = run(&[
        &[
            |cpu| cpu.call("kill", &[2, 0]),
            NOTES,
            |cpu| cpu.call("kill", &[2, 15]),
            |cpu| cpu.call("kill", &[3, 9]),
            NOTES,
        ],
        PAUSES,
        SPINS,
    ]);
    assert_eq!(system.machine().seen, [0, 0]);
    let killed = [Signal::SIGTERM, Signal::SIGKILL].map(Status::Killed);
    assert_eq!(statuses, [Status::Exited(0), killed[0], killed[1]]);
}

#[test]
fn kill_refuses_what_is_no_process_and_no_signal() {
    let (statuses, mut system) = run(&[&[
        |cpu| cpu.call("kill", &[99, 9]),
        NOTES,
        |cpu| cpu.call("kill", &[1, 64]),
        NOTES,
        |cpu| cpu.call("kill", &[0, 2]),
        NOTES,
    ]]);
    assert_eq!(system.machine().seen, [error(Errno::ESRCH), error(Errno::EINVAL)]);
    assert_eq!(statuses, [Status::Killed(Signal::SIGINT)], "it has ended itself");
}

#[test]
fn the_parent_of_a_process_that_is_ended_gets_to_know() {
    let (_, mut system) = run(&[&[
        |cpu| cpu.call("fork", &[]),
        |cpu| if cpu.result() == 0 { cpu.call("pause", &[]) } else { None },
        |cpu| cpu.call("kill", &[2, 9]),
        |cpu| cpu.call("wait4", &[2, cpu.text() + DATA, 0, 0]),
        |cpu| cpu.load(cpu.text() + DATA),
    ]]);
    assert_eq!(system.machine().seen[0] & 0xffff_ffff, 9);
}

#[test]
fn a_group_is_ended_as_one() {
    const PARENT: &[Step] = &[
        |cpu| cpu.call("fork", &[]),
        |cpu| if cpu.result() == 0 { cpu.call("pause", &[]) } else { None },
        |cpu| cpu.call("setpgid", &[2, 0]),
        |cpu| cpu.call("fork", &[]),
        |cpu| if cpu.result() == 0 { cpu.call("pause", &[]) } else { None },
        |cpu| cpu.call("setpgid", &[3, 2]),
        |cpu| cpu.call("kill", &[(-2_i64).cast_unsigned(), 2]),
        |cpu| cpu.call("wait4", &[2, cpu.text() + DATA, 0, 0]),
        |cpu| cpu.call("wait4", &[3, cpu.text() + DATA + 4, 0, 0]),
        |cpu| cpu.load(cpu.text() + DATA),
        |cpu| cpu.call("setpgid", &[99, 0]),
        NOTES,
        |cpu| cpu.call("setpgid", &[0, 99]),
        NOTES,
    ];
    let (_, mut system) = run(&[PARENT]);
    let seen = system.machine().seen.clone();
    assert_eq!(seen, [2 << 32 | 2, error(Errno::ESRCH), error(Errno::EPERM)]);
}

#[test]
fn ctrl_c_ends_the_foreground_and_nothing_else() {
    const SHELL: &[Step] = &[
        |cpu| cpu.store(cpu.text() + DATA, &2_u32.to_le_bytes()),
        |cpu| cpu.call("ioctl", &[0, 0x5410, cpu.text() + DATA]),
        |cpu| cpu.call("pause", &[]),
    ];
    let mut system = at_terminal(&[SHELL, SPINS, PAUSES]);
    start(&mut system, 3);
    system.machine().keys.extend(b"\x03");
    assert!((0..20).all(|_| system.step()));
    let statuses: Vec<_> = system.started().iter().map(|started| started.status).collect();
    assert_eq!(statuses, [None, Some(Status::Killed(Signal::SIGINT)), None]);
    assert_eq!(system.output(), "^C\n");
}

#[test]
fn a_process_in_the_background_reads_nothing() {
    const SHELL: &[Step] = &[
        |cpu| cpu.store(cpu.text() + DATA, &1_u32.to_le_bytes()),
        |cpu| cpu.call("ioctl", &[0, 0x5410, cpu.text() + DATA]),
        |cpu| cpu.call("read", &[0, cpu.text() + DATA, 8]),
        NOTES,
    ];
    const READER: &[Step] = &[|cpu| cpu.call("read", &[0, cpu.text() + DATA, 8]), NOTES];
    let mut system = at_terminal(&[SHELL, READER]);
    system.machine().keys.extend(b"line\n");
    assert_eq!(run_in(&mut system, Options::default()), [Status::Exited(0); 2]);
    assert_eq!(system.machine().seen, [5, error(Errno::EIO)]);
}

#[test]
fn ctrl_p_shows_the_process_table_though_a_process_spins() {
    let mut system = at_terminal(&[SPINS, PAUSES]);
    start(&mut system, 2);
    system.machine().keys.extend(b"\x10");
    assert!((0..4).all(|_| system.step()));
    let lines: Vec<_> = system.output().lines().collect();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(words(lines[1])[..4], ["1", "0", "1", "ready"]);
    assert_eq!(words(lines[2])[..4], ["2", "0", "2", "signal"]);
}

#[test]
fn a_program_that_reads_gets_bytes_as_they_come_if_it_asks_for_them() {
    const READER: &[Step] = &[
        |cpu| cpu.call("ioctl", &[0, 0x5401, cpu.text() + DATA]),
        |cpu| cpu.load(cpu.text() + DATA + 12),
        |cpu| cpu.store(cpu.text() + DATA + 12, &0_u32.to_le_bytes()),
        |cpu| cpu.call("ioctl", &[0, 0x5402, cpu.text() + DATA]),
        |cpu| cpu.call("read", &[0, cpu.text() + DATA, 8]),
        NOTES,
        |cpu| cpu.call("ioctl", &[0, 77, 0]),
        NOTES,
    ];
    let mut system = at_terminal(&[READER]);
    system.machine().keys.extend(b"x");
    assert_eq!(run_in(&mut system, Options::default()), [Status::Exited(0)]);
    let seen = system.machine().seen.clone();
    assert_eq!((seen[0] & 0xffff_ffff, &seen[1..]), (0o13, &[1, error(Errno::ENOTTY)][..]));
    let (_, mut without) = run(&[&[|cpu| cpu.call("ioctl", &[0, 0x5401, 0]), NOTES]]);
    assert_eq!(without.machine().seen, [error(Errno::ENOTTY)], "text is no terminal");
}

#[test]
fn numbers_at_the_ends_of_their_range_are_refused() {
    /// The lowest number of 32 bits, whose negative is none.
    const LOWEST: u64 = 1 << 31;
    const CALLER: &[Step] = &[
        |cpu| cpu.call("kill", &[LOWEST, 9]),
        NOTES,
        |cpu| cpu.call("wait4", &[LOWEST, 0, 0, 0]),
        NOTES,
        |cpu| cpu.store(cpu.text() + DATA, b"0\0"),
        |cpu| cpu.call("execve", &[cpu.text() + DATA, u64::MAX, 0]),
        NOTES,
        |cpu| cpu.call("execve", &[cpu.text() + DATA, u64::MAX - 7, 0]),
        NOTES,
    ];
    let (statuses, mut system) = run(&[CALLER]);
    assert_eq!(statuses, [Status::Exited(0)]);
    let expected = [Errno::ESRCH, Errno::ECHILD, Errno::EFAULT, Errno::EFAULT].map(error);
    assert_eq!(system.machine().seen, expected);
}

/// Lets the system give a turn, up to the stop in ring 3, as a CPU does.
fn begin(system: &mut System<ByHand>) -> Running {
    loop {
        match system.next() {
            Next::Run(running) => return running,
            Next::Again => {}
            Next::Wait | Next::Nothing => panic!("a thread is ready"),
        }
    }
}

/// Runs a thread until it stops for the kernel.
fn until_stop(system: &mut System<ByHand>, running: &mut Running) -> Stop {
    let process = system.table.at(running.thread.slots[1]).payload.process.as_mut().unwrap();
    system.commons.machine.run(&mut process.pages, &mut running.thread.registers)
}

/// Goes on with a turn to its end.
fn end(system: &mut System<ByHand>, running: Running) {
    let mut next = Some(running);
    while let Some(mut running) = next {
        let stop = until_stop(system, &mut running);
        next = system.stopped(running, stop);
    }
}

#[test]
fn a_process_that_begins_to_wait_on_another_cpu_when_it_is_ended_ends() {
    const READS: &[Step] = &[|cpu| cpu.call("read", &[0, cpu.text() + DATA, 8])];
    const FORKS: &[Step] = &[
        |cpu| cpu.call("fork", &[]),
        |cpu| match cpu.result() {
            0 => cpu.call("pause", &[]),
            _ => cpu.call("wait4", &[u64::MAX, 0, 0, 0]),
        },
    ];
    const WAITS: &[Step] = &[|cpu| cpu.call("futex", &[cpu.text() + DATA, 0, 0xdddd_dddd, 0])];
    for waits in [PAUSES, READS, FORKS, WAITS] {
        let mut system = at_terminal(&[waits, &[|cpu| cpu.call("kill", &[1, 15])]]);
        for number in 0..2 {
            system.spawn("by hand", &image(number), &[], Options::default()).unwrap();
        }
        let mut first = begin(&mut system);
        // It is about to wait.
        let mut stop = until_stop(&mut system, &mut first);
        if waits.len() > 1 {
            first = system.stopped(first, stop).unwrap();
            stop = until_stop(&mut system, &mut first);
        }
        // Meanwhile, on another CPU.
        let second = begin(&mut system);
        assert_eq!(second.thread.tid, Pid(2));
        end(&mut system, second);
        if let Some(goes_on) = system.stopped(first, stop) {
            end(&mut system, goes_on);
        }
        assert!((0..20).any(|_| !system.step() || system.started()[0].status.is_some()));
        assert_eq!(system.started()[0].status, Some(Status::Killed(Signal::SIGTERM)));
    }
}

#[test]
fn wait4_waits_for_a_child_of_a_group() {
    const PARENT: &[Step] = &[
        |cpu| cpu.call("fork", &[]),
        |cpu| if cpu.result() == 0 { cpu.call("exit", &[7]) } else { None },
        |cpu| cpu.call("setpgid", &[2, 0]),
        |cpu| cpu.call("fork", &[]),
        |cpu| if cpu.result() == 0 { cpu.call("pause", &[]) } else { None },
        // Its own group has one child, which does not end by itself.
        |cpu| cpu.call("wait4", &[0, 0, 1, 0]),
        NOTES,
        |cpu| cpu.call("wait4", &[(-9_i64).cast_unsigned(), 0, 0, 0]),
        NOTES,
        |cpu| cpu.call("wait4", &[(-2_i64).cast_unsigned(), 0, 0, 0]),
        NOTES,
        |cpu| cpu.call("wait4", &[(-2_i64).cast_unsigned(), 0, 0, 0]),
        NOTES,
        |cpu| cpu.call("kill", &[3, 9]),
        |cpu| cpu.call("wait4", &[0, 0, 0, 0]),
        NOTES,
    ];
    let (statuses, mut system) = run(&[PARENT]);
    assert_eq!(statuses, [Status::Exited(0)]);
    let none = error(Errno::ECHILD);
    assert_eq!(system.machine().seen, [0, none, 2, none, 3]);
}

#[test]
fn a_process_in_the_background_cannot_take_the_terminal() {
    const SHELL: &[Step] = &[
        |cpu| cpu.store(cpu.text() + DATA, &1_u32.to_le_bytes()),
        |cpu| cpu.call("ioctl", &[0, 0x5410, cpu.text() + DATA]),
        NOTES,
        |cpu| cpu.store(cpu.text() + DATA, &99_u32.to_le_bytes()),
        |cpu| cpu.call("ioctl", &[0, 0x5410, cpu.text() + DATA]),
        NOTES,
        |cpu| cpu.store(cpu.text() + DATA, &3_u32.to_le_bytes()),
        |cpu| cpu.call("ioctl", &[0, 0x5410, cpu.text() + DATA]),
        NOTES,
        // It is not in the foreground any more, and takes the terminal back.
        |cpu| cpu.store(cpu.text() + DATA, &1_u32.to_le_bytes()),
        |cpu| cpu.call("ioctl", &[0, 0x5410, cpu.text() + DATA]),
        NOTES,
        |cpu| cpu.call("kill", &[3, 9]),
        |cpu| cpu.call("pause", &[]),
    ];
    const TAKES: &[Step] = &[
        |cpu| cpu.store(cpu.text() + DATA, &2_u32.to_le_bytes()),
        |cpu| cpu.call("ioctl", &[0, 0x5410, cpu.text() + DATA]),
        NOTES,
        |cpu| cpu.call("ioctl", &[0, 0x5402, cpu.text() + DATA]),
        NOTES,
        |cpu| cpu.call("kill", &[1, 9]),
    ];
    let mut system = at_terminal(&[SHELL, TAKES, PAUSES]);
    let statuses = run_in(&mut system, Options::default());
    assert_eq!(statuses[1], Status::Exited(0));
    let refused = [Errno::EPERM, Errno::EIO, Errno::EIO].map(error);
    let mut seen = system.machine().seen.clone();
    assert_eq!(seen.len(), 6);
    seen.retain(|result| *result != 0);
    assert_eq!(seen, refused);
}

#[test]
fn a_flood_of_keys_keeps_nobody_from_a_turn() {
    let mut system = at_terminal(&[SPINS]);
    system.spawn("by hand", &image(0), &[], Options::default()).unwrap();
    system.machine().keys.extend([3; 1000]);
    assert!(system.step());
    assert!(system.machine().keys.len() > 900);
}

#[test]
fn a_group_that_is_ended_while_it_forks_on_another_cpu_has_no_survivor() {
    const FORKS: &[Step] = &[
        |cpu| cpu.call("fork", &[]),
        |cpu| {
            cpu.jump(0);
            None
        },
    ];
    let mut system = system(
        FRAMES,
        Settings { output: Output::Memory(1000), ..Settings::default() },
        &[FORKS, &[|cpu| cpu.call("kill", &[u64::MAX, 9])]],
    );
    for number in 0..2 {
        system.spawn("by hand", &image(number), &[], Options::default()).unwrap();
    }
    let mut first = begin(&mut system);
    let stop = until_stop(&mut system, &mut first);
    let second = begin(&mut system);
    end(&mut system, second);
    if let Some(goes_on) = system.stopped(first, stop) {
        end(&mut system, goes_on);
    }
    (0..20).take_while(|_| system.step()).for_each(drop);
    assert!(system.table.is_empty(), "{} processes go on", system.table.processes().count());
}
