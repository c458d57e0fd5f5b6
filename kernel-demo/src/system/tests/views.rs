//! Processes that others look at: views, traces, heaps, and the screen that shows them.

use super::by_hand::{Cpu, DATA, NOTES, PAUSES, Step, run, run_with};
use super::error;
use crate::address_space::{Errno, PageState};
use crate::memory::Stop;
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
        |cpu| cpu.call("proc_view", &[PROCESSES, cpu.text() + DATA, 0x2000, 0, 0]),
        |cpu| cpu.call("write", &[1, cpu.text() + DATA, cpu.result()]),
        |cpu| cpu.call("proc_view", &[PROGRAMS, cpu.text() + DATA, 0x2000, 0, 0]),
        |cpu| cpu.call("write", &[1, cpu.text() + DATA, cpu.result()]),
        |cpu| cpu.call("proc_view", &[0, cpu.text() + DATA, 0x2000, 99, 0]),
        NOTES,
        |cpu| cpu.call("kill", &[2, 9]),
    ];
    let (_, mut system) = run(&[LOOKS, PAUSES]);
    let text = system.output().to_owned();
    for part in ["[stack]\n", "    1     0     1 running", "    2     0     2 signal", "by name\n"]
    {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert_eq!(system.machine().seen, [error(Errno::ESRCH)]);
}

/// Stores a view of this process in its data, and notes the length and so many words of it.
fn note_words(cpu: &mut Cpu<'_>, words: u64) -> Option<Stop> {
    let length = cpu.result();
    cpu.note(length);
    (0..words).find_map(|word| cpu.load(cpu.text() + DATA + 8 * word))
}

#[test]
fn a_walk_is_told_entry_by_entry() {
    const LOOKS: &[Step] = &[
        |cpu| cpu.store(cpu.text() + DATA, &[0; 8]),
        |cpu| cpu.call("proc_view", &[WALK, cpu.text() + DATA, 48, 0, cpu.text()]),
        |cpu| note_words(cpu, 6),
        // Next to the text is nothing.
        |cpu| cpu.call("proc_view", &[WALK, cpu.text() + DATA, 48, 0, cpu.text() - 0x1000]),
        |cpu| note_words(cpu, 6),
        |cpu| cpu.call("proc_view", &[WALK, cpu.text() + DATA, 47, 0, cpu.text()]),
        NOTES,
    ];
    const FLAGS: u64 = 0xfff;
    const TABLE: u64 = 0b111;
    const TEXT: u64 = 0b101;
    let (_, mut system) = run(&[LOOKS]);
    let seen = &system.machine().seen;
    let [of_text, of_nothing] = [&seen[..7], &seen[7..14]];
    assert_eq!((of_text[0], of_text[2]), (48, PageState::Own as u64));
    assert_eq!([3, 4, 5, 6].map(|level| of_text[level] & FLAGS), [TABLE, TABLE, TABLE, TEXT]);
    assert_eq!((of_nothing[2], of_nothing[6] & 1), (PageState::Missing as u64, 0));
    assert_eq!((of_nothing[1], of_nothing[3]), (of_text[1], of_text[3]));
    assert_eq!(seen[14..], [error(Errno::ERANGE)]);
}

#[test]
fn frames_are_counted_order_by_order() {
    const LOOKS: &[Step] = &[
        |cpu| cpu.store(cpu.text() + DATA, &[0; 8]),
        |cpu| cpu.call("proc_view", &[FRAMES_VIEW, cpu.text() + DATA, 0x800, 0, 0]),
        |cpu| note_words(cpu, 15),
    ];
    let (_, mut system) = run(&[LOOKS]);
    let seen = system.machine().seen.clone();
    let [length, total, free, reserved, charged, blocks @ ..] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!((*length, *total), (15 * 8, system.machine().frames.counts().total as u64));
    assert!(reserved < charged && charged < free && free < total, "{seen:?}");
    let in_blocks: u64 = blocks.iter().enumerate().map(|(order, blocks)| blocks << order).sum();
    assert_eq!(in_blocks, *free);
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
