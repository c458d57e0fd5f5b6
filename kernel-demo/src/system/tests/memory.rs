//! Memory of several processes: apart, or shared on purpose.

use super::by_hand::{DATA, FRAMES, Step, image, run, run_in, system};
use crate::memory::Stop;
use crate::system::signature::*;
use crate::system::status::Status;
use crate::system::views::View;
use crate::system::{Options, Settings};

const PROTECTION: u64 = 3;
const SHARED: u64 = 0x21;
const NO_FILE: u64 = u64::MAX;

#[test]
fn c19_equal_addresses_are_different_memory() {
    const TWIN: &[Step] = &[
        |cpu| cpu.call(&GETPID, &[]),
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
        |cpu| cpu.call(&MMAP, &[0, 2 << 12, PROTECTION, SHARED, NO_FILE, 0]),
        |cpu| {
            cpu.registers.r15 = cpu.result();
            cpu.call(&FORK, &[])
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
                cpu.call(&EXIT, &[0])
            } else {
                cpu.call(&WAIT4, &[u64::MAX, 0, 0, 0])
            }
        },
        |cpu| cpu.load(cpu.registers.r15 + 4096),
        |cpu| cpu.call(&FRAMES_FREE, &[]),
        |cpu| {
            cpu.registers.r13 = cpu.result();
            cpu.call(&MUNMAP, &[cpu.registers.r15, 2 << 12])
        },
        |cpu| cpu.call(&FRAMES_FREE, &[]),
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
        |cpu| cpu.call(&FRAMES_FREE, &[]),
        |cpu| {
            cpu.registers.r15 = cpu.result();
            cpu.call(&MMAP, &[0x1001, 4096, PROTECTION, SHARED | 0x10, NO_FILE, 0])
        },
        |cpu| cpu.call(&FRAMES_FREE, &[]),
        |cpu| {
            let gone = cpu.registers.r15 - cpu.result();
            cpu.note(gone)
        },
    ]]);
    assert_eq!(system.machine().seen, [0]);
}

#[test]
fn a_mapping_moves_with_what_is_in_it() {
    let (statuses, mut system) = run(&[&[
        |cpu| cpu.call(&MMAP, &[0, 4096, PROTECTION, 0x22, NO_FILE, 0]),
        |cpu| {
            cpu.registers.r15 = cpu.result();
            cpu.store(cpu.registers.r15, b"contents")
        },
        |cpu| cpu.call(&MREMAP, &[cpu.registers.r15, 4096, 4096, 3, 0x20_0000_0000]),
        |cpu| cpu.load(0x20_0000_0000),
        |cpu| cpu.call(&MPROTECT, &[0x20_0000_0000, 4096, 1]),
        |cpu| cpu.load(0x20_0000_0000),
        |cpu| cpu.call(&MUNMAP, &[0x20_0000_0000, 4096]),
        |cpu| cpu.load(0x20_0000_0000),
    ]]);
    assert_eq!(statuses, [Status::Killed(crate::system::status::Signal::Segv)]);
    assert_eq!(system.machine().seen, [u64::from_le_bytes(*b"contents"); 2]);
}

#[test]
fn c24_the_kernel_sees_the_memory_of_a_process_between_its_turns() {
    const GROWS: &[Step] = &[
        |_| Some(Stop::Timer),
        |cpu| cpu.call(&BRK, &[0]),
        |cpu| cpu.call(&BRK, &[cpu.result() + 0x5000]),
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
