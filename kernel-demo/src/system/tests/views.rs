//! Processes that others look at: views, traces, heaps, and the screen that shows them.

use super::by_hand::{DATA, NOTES, PAUSES, Step, run, run_with};
use super::error;
use crate::address_space::Errno;
use crate::system::console::Output;
use crate::system::{Options, Settings};

/// Views by number, as `View::from_number` has them.
const WALK: u64 = 3;
const PROCESSES: u64 = 4;
const FRAMES_VIEW: u64 = 5;
const PROGRAMS: u64 = 6;

#[test]
fn others_are_looked_at_by_number() {
    const LOOKS: &[Step] = &[
        |cpu| cpu.call("proc_view", &[0, cpu.text() + DATA, 0x2000, 2, 0]),
        |cpu| cpu.call("write", &[1, cpu.text() + DATA, cpu.result()]),
        |cpu| cpu.call("proc_view", &[WALK, cpu.text() + DATA, 0x2000, 0, cpu.text()]),
        |cpu| cpu.call("write", &[1, cpu.text() + DATA, cpu.result()]),
        |cpu| cpu.call("proc_view", &[PROCESSES, cpu.text() + DATA, 0x2000, 0, 0]),
        |cpu| cpu.call("write", &[1, cpu.text() + DATA, cpu.result()]),
        |cpu| cpu.call("proc_view", &[FRAMES_VIEW, cpu.text() + DATA, 0x2000, 0, 0]),
        |cpu| cpu.call("write", &[1, cpu.text() + DATA, cpu.result()]),
        |cpu| cpu.call("proc_view", &[PROGRAMS, cpu.text() + DATA, 0x2000, 0, 0]),
        |cpu| cpu.call("write", &[1, cpu.text() + DATA, cpu.result()]),
        |cpu| cpu.call("proc_view", &[0, cpu.text() + DATA, 0x2000, 99, 0]),
        NOTES,
        |cpu| cpu.call("kill", &[2, 9]),
    ];
    let (_, mut system) = run(&[LOOKS, PAUSES]);
    let text = system.output().to_owned();
    for part in [
        "[stack]\n",
        " in by hand, from the table at 0x",
        "  level 1  entry ",
        "  a frame of its own: physical 0x",
        "    1     0     1 running",
        "    2     0     2 signal",
        " frames: ",
        "  order 10  blocks of 4096 kB  ",
        "by name\n",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert_eq!(system.machine().seen, [error(Errno::ESRCH)]);
}

#[test]
fn the_trace_of_another_is_turned_on_and_off() {
    const TRACES: &[Step] = &[
        |cpu| cpu.call("proc_trace", &[2, 1]),
        |cpu| cpu.call("sched_yield", &[]),
        |cpu| cpu.call("proc_trace", &[2, 0]),
        |cpu| cpu.call("sched_yield", &[]),
        |cpu| cpu.call("proc_trace", &[2, 3]),
        NOTES,
        |cpu| cpu.call("kill", &[2, 9]),
    ];
    const YIELDS: &[Step] = &[
        |cpu| cpu.call("sched_yield", &[]),
        |cpu| {
            cpu.jump(0);
            None
        },
    ];
    let output = Output::Memory(10_000);
    let settings = Settings { output, ..Settings::default() };
    let (_, mut system) = run_with(settings, Options::default(), &[TRACES, YIELDS]);
    let lines = system.output().lines().filter(|line| line.starts_with("[pid     2] sched_yield"));
    assert_eq!(lines.count(), 1, "{}", system.output());
    assert_eq!(system.machine().seen, [error(Errno::EINVAL)]);
}

#[test]
fn a_heap_that_is_registered_is_found_and_read_by_another() {
    const OWNER: &[Step] = &[
        |cpu| cpu.store(cpu.text() + DATA, &7_u64.to_le_bytes()),
        |cpu| cpu.call("heap_register", &[cpu.text() + DATA]),
        |cpu| {
            let data = cpu.text() + DATA;
            cpu.note(data)
        },
        |cpu| cpu.call("pause", &[]),
    ];
    const READER: &[Step] = &[
        |cpu| cpu.call("heap_layout", &[3, cpu.text() + DATA]),
        NOTES,
        |cpu| cpu.call("heap_layout", &[1, cpu.text() + DATA]),
        NOTES,
        |cpu| cpu.load(cpu.text() + DATA),
        |cpu| {
            let (own, theirs) = (cpu.text() + DATA + 64, cpu.text() + DATA + 96);
            let ranges = [own, 8, theirs, 8];
            let bytes: Vec<u8> = ranges.iter().flat_map(|word| word.to_le_bytes()).collect();
            cpu.store(cpu.text() + DATA + 128, &bytes)
        },
        // Its own memory, by its own number: what it reads is zero, and then nothing is mapped.
        |cpu| {
            let at = cpu.text() + DATA + 128;
            cpu.call("process_vm_readv", &[2, at, 1, at + 16, 1, 0])
        },
        NOTES,
        |cpu| cpu.store(cpu.text() + DATA + 144, &8_u64.to_le_bytes()),
        |cpu| {
            let at = cpu.text() + DATA + 128;
            cpu.call("process_vm_readv", &[1, at, 1, at + 16, 1, 0])
        },
        NOTES,
        |cpu| cpu.call("kill", &[1, 9]),
        |cpu| cpu.call("kill", &[3, 9]),
    ];
    let (_, mut system) = run(&[OWNER, READER, PAUSES]);
    let seen = system.machine().seen[1..].to_vec();
    assert_eq!(seen, [error(Errno::ENOENT), 0, 7, 8, error(Errno::EFAULT)]);
}

#[test]
fn a_row_of_the_screen_is_shown_or_refused() {
    const SHOWS: &[Step] = &[
        |cpu| cpu.store(cpu.text() + DATA, &[b'x'; 80]),
        |cpu| cpu.call("screen", &[24, cpu.text() + DATA, 7]),
        |cpu| cpu.call("screen", &[25, cpu.text() + DATA, 7]),
        NOTES,
        |cpu| cpu.call("screen", &[0, 8, 7]),
        NOTES,
    ];
    let (_, mut system) = run(&[SHOWS]);
    assert_eq!(system.machine().seen, [Errno::EINVAL, Errno::EFAULT].map(error));
    assert_eq!(system.machine().printed, [&[24, 7][..], &[b'x'; 80]].concat());
}
