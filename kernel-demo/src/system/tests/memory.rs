//! Memory of several processes: apart, or shared on purpose.

use super::by_hand::{DATA, FRAMES, Step, image, run, run_in, system};
use crate::memory::Stop;
use crate::system::views::View;
use crate::system::{Options, Settings};
use crate::words::Status;

const PROTECTION: u64 = 3;
const SHARED: u64 = 0x21;
const NO_FILE: u64 = u64::MAX;

#[test]
fn c19_equal_addresses_are_different_memory() {
    const TWIN: &[Step] = &[
        |cpu| cpu.call("getpid", &[]),
        |cpu| {
            let pid = cpu.result();
            cpu.store(cpu.text() + DATA + 0x1000, &pid.to_le_bytes())
        },
        |_| Some(Stop::Timer),
        |cpu| {
            let at = cpu.text();
            cpu.note(at);
            cpu.load(cpu.text() + DATA + 0x1000)
        },
    ];
    let (_, mut system) = run(&[TWIN, TWIN]);
    let seen = system.machine().seen.clone();
    assert!(seen[0] == seen[2] && seen[1] != seen[3], "{seen:?}");
}

#[test]
fn c21_the_layout_follows_from_the_seed() {
    const WHERE: &[Step] = &[|cpu| {
        let text = cpu.text();
        cpu.note(text)
    }];
    let text = |seed| {
        let mut system = system(FRAMES, Settings::default(), &[WHERE]);
        run_in(&mut system, Options { seed, ..Options::default() });
        system.machine().seen[0]
    };
    assert_eq!(text(Some(5)), text(Some(5)));
    assert_ne!(text(Some(5)), text(Some(6)));
}

#[test]
fn c16_shared_memory_is_seen_by_both_until_nobody_maps_it() {
    let (statuses, mut system) = run(&[&[
        |cpu| cpu.call("mmap", &[0, 2 << 12, PROTECTION, SHARED, NO_FILE, 0]),
        |cpu| {
            cpu.registers.r15 = cpu.result();
            cpu.call("fork", &[])
        },
        |cpu| {
            cpu.registers.r14 = cpu.result();
            if cpu.registers.r14 == 0 {
                cpu.store(cpu.registers.r15 + 4096, b"greeting")
            } else {
                None
            }
        },
        |cpu| {
            if cpu.registers.r14 == 0 {
                cpu.call("exit", &[0])
            } else {
                cpu.call("wait4", &[u64::MAX, 0, 0, 0])
            }
        },
        |cpu| cpu.load(cpu.registers.r15 + 4096),
        |cpu| cpu.call("frames_free", &[]),
        |cpu| {
            cpu.registers.r13 = cpu.result();
            cpu.call("munmap", &[cpu.registers.r15, 2 << 12])
        },
        |cpu| cpu.call("frames_free", &[]),
        |cpu| {
            let back = cpu.result() - cpu.registers.r13;
            cpu.note(back)
        },
    ]]);
    assert_eq!(statuses, [Status::Exited(0)]);
    let seen = system.machine().seen.clone();
    assert_eq!(seen[0], u64::from_le_bytes(*b"greeting"));
    // The page, three tables of the process, and four of the object.
    assert_eq!(seen[1], 1 + 3 + 4);
}

#[test]
fn a_mapping_that_is_refused_leaves_no_object_behind() {
    let (_, mut system) = run(&[&[
        |cpu| cpu.call("frames_free", &[]),
        |cpu| {
            cpu.registers.r15 = cpu.result();
            cpu.call("mmap", &[0x1001, 4096, PROTECTION, SHARED | 0x10, NO_FILE, 0])
        },
        |cpu| cpu.call("frames_free", &[]),
        |cpu| {
            let gone = cpu.registers.r15 - cpu.result();
            cpu.note(gone)
        },
    ]]);
    assert_eq!(system.machine().seen, [0]);
}

/// A mapping of more pages than one slice of work deals with.
const LARGE: u64 = 1000 << 12;

#[test]
fn calls_on_large_ranges_are_done_in_slices() {
    const AT: u64 = 0x20_0000_0000;
    /// Touches all pages, then makes a child, which writes, and changes permissions.
    const LONG: &[Step] = &[
        |cpu| cpu.call("mmap", &[AT, LARGE, PROTECTION, 0x32, NO_FILE, 0]),
        |cpu| {
            let at = AT + (cpu.registers.r15 << 12);
            let stop = cpu.store(at, &at.to_le_bytes());
            if stop.is_none() && cpu.registers.r15 < 999 {
                cpu.registers.r15 += 1;
                cpu.jump(1);
            }
            stop
        },
        |cpu| cpu.call("fork", &[]),
        |cpu| {
            cpu.registers.r14 = cpu.result();
            cpu.call("mprotect", &[AT, LARGE, 1])
        },
        |cpu| cpu.load(AT + LARGE - 4096),
        |cpu| cpu.call("write", &[1, AT, 8]),
        |cpu| cpu.call("munmap", &[AT, LARGE]),
        |cpu| {
            let result = cpu.result();
            cpu.note(result)
        },
        |cpu| {
            let child = cpu.registers.r14 == 0;
            if child { cpu.call("exit", &[0]) } else { cpu.call("wait4", &[u64::MAX, 0, 0, 0]) }
        },
    ];
    /// Counts its turns.
    const OTHER: &[Step] = &[
        |_| Some(Stop::Timer),
        |cpu| {
            cpu.registers.r15 += 1;
            if cpu.registers.r15 < 30 {
                cpu.jump(0);
            }
            None
        },
    ];
    let mut system = system(6000, Settings::default(), &[LONG, OTHER]);
    let statuses = super::by_hand::run_in(&mut system, Options::default());
    assert_eq!(statuses, [Status::Exited(0); 2]);
    let seen = &system.machine().seen;
    assert_eq!(*seen, [AT + LARGE - 4096, AT + LARGE - 4096, 0, 0]);
    assert!(system.started()[0].usage.minor_faults >= 1000);
    assert!(system.machine().let_in >= 2 * (1000 / 192 - 1), "interrupts were not let in");
}

#[test]
fn frames_that_others_were_promised_are_there() {
    const AT: u64 = 0x20_0000_0000;
    /// Reads one page under each level-1 table of a read-only mapping, as long as it is served.
    const TABLES: &[Step] = &[
        |cpu| cpu.call("mmap", &[AT, 1 << 30, 1, 0x32, NO_FILE, 0]),
        |cpu| {
            if cpu.result().cast_signed() < 0 {
                return cpu.call("exit", &[3]);
            }
            cpu.load(AT + (cpu.registers.r15 << 21))
        },
        |cpu| {
            cpu.registers.r15 += 1;
            cpu.registers.rax = 0;
            if cpu.registers.r15 < 512 {
                cpu.jump(1);
            }
            Some(Stop::Timer)
        },
    ];
    const PROMISED: u64 = 150;
    /// Is promised memory, and touches it when the other one has had its turns.
    const VICTIM: &[Step] = &[
        |cpu| cpu.call("mmap", &[AT, PROMISED << 12, PROTECTION, 0x32, NO_FILE, 0]),
        |cpu| {
            cpu.registers.r15 += 1;
            if cpu.registers.r15 < 300 {
                cpu.jump(1);
            }
            Some(Stop::Timer)
        },
        |cpu| {
            let at = AT + (cpu.registers.r14 << 12);
            let stop = cpu.store(at, b"x");
            if stop.is_none() && cpu.registers.r14 < PROMISED - 1 {
                cpu.registers.r14 += 1;
                cpu.jump(2);
            }
            stop
        },
    ];
    let mut system = system(600, Settings::default(), &[VICTIM, TABLES]);
    let statuses = super::by_hand::run_in(&mut system, Options::default());
    assert_eq!(statuses, [Status::Exited(0), Status::Exited(3)], "the tables are refused");
}

#[test]
fn c24_the_kernel_sees_the_memory_of_a_process_between_its_turns() {
    const GROWS: &[Step] = &[
        |_| Some(Stop::Timer),
        |cpu| cpu.call("brk", &[0]),
        |cpu| cpu.call("brk", &[cpu.result() + 0x5000]),
        |cpu| cpu.store(cpu.result() - 1, b"x"),
        |_| Some(Stop::Timer),
    ];
    let mut system = system(FRAMES, Settings::default(), &[GROWS]);
    let pid = system
        .spawn("by hand", &image(0), &[], Options { seed: Some(1), ..Options::default() })
        .unwrap();
    let mut views = Vec::new();
    while system.step() {
        let mut text = [View::Maps, View::Smaps, View::Status].map(|view| (view, String::new()));
        text.iter_mut().for_each(|(view, text)| system.write_view(pid, *view, text).unwrap());
        views.push(text.map(|(_, text)| text));
    }
    let [before, after, gone] = &views[..] else { panic!("{} turns", views.len()) };
    let heap = |maps: &str| maps.lines().filter(|line| line.ends_with("[heap]")).count();
    assert_eq!((heap(&before[0]), heap(&after[0])), (0, 1));
    let heap = &after[1][after[1].find("[heap]").unwrap()..];
    assert!(
        heap.starts_with("[heap]\nSize:                 20 kB\n")
            && heap.contains("\nRss:                   4 kB\n"),
        "{heap}"
    );
    assert!(after[2].contains("VmRSS:\t") && after[2].contains("VmPTE:\t"), "{}", after[2]);
    assert!(gone.iter().all(String::is_empty));
}
