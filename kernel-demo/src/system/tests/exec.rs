//! Processes that become other programs.

use super::by_hand::{DATA, NOTES, Step, run};
use super::error;
use crate::address_space::Errno;
use crate::words::Status;

#[test]
fn a_process_becomes_another_program_with_its_arguments() {
    const FIRST: &[Step] = &[
        |cpu| cpu.store(cpu.text() + DATA, b"bin/1\0one\0two\0"),
        |cpu| {
            let data = cpu.text() + DATA;
            let words = [data, data + 6, data + 10, 0];
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            cpu.store(data + 64, &bytes)
        },
        |cpu| cpu.call("execve", &[cpu.text() + DATA, cpu.text() + DATA + 64, 0]),
        // Not reached.
        |cpu| cpu.note(1),
    ];
    const SECOND: &[Step] = &[
        |cpu| cpu.load(cpu.registers.rsp),
        |cpu| cpu.call("getpid", &[]),
        NOTES,
        |cpu| cpu.load(cpu.text() + DATA),
    ];
    let (statuses, mut system) = run(&[FIRST, SECOND]);
    assert_eq!(statuses, [Status::Exited(0); 2]);
    let seen = system.machine().seen.clone();
    // What was started as the second program has one argument; the first one becomes it with two.
    let (by_exec, by_start): (Vec<u64>, Vec<u64>) = {
        let at = seen.iter().position(|number| *number == 3).expect("three words");
        (seen[at..at + 3].to_vec(), seen.iter().copied().filter(|number| *number == 2).collect())
    };
    assert!(by_exec.len() == 3 && by_start.len() >= 2, "{seen:x?}");
}

#[test]
fn a_program_that_cannot_be_started_changes_nothing() {
    const CALLER: &[Step] = &[
        |cpu| cpu.store(cpu.text() + DATA, b"none\0"),
        |cpu| cpu.call("execve", &[cpu.text() + DATA, 0, 0]),
        NOTES,
        |cpu| cpu.call("execve", &[8, 0, 0]),
        NOTES,
        |cpu| cpu.store(cpu.text() + DATA, &[b'x'; 0x1000]),
        |cpu| cpu.call("execve", &[cpu.text() + DATA, 0, 0]),
        NOTES,
    ];
    let (statuses, mut system) = run(&[CALLER]);
    assert_eq!(statuses, [Status::Exited(0)]);
    let expected = [Errno::ENOENT, Errno::EFAULT, Errno::E2BIG].map(error);
    assert_eq!(system.machine().seen, expected);
}
