//! Calls that take many turns: what ends them, and what goes on meanwhile.

use super::by_hand::{NOTES, Step, run, run_with};
use super::threads::{spawn, touch};
use crate::system::{Accounting, Options, Settings};
use crate::words::{Signal, Status};

const WELL: Status = Status::Exited(0);

/// Length of a text that takes thousands of turns to write, in bytes.
const LONG: u64 = 1 << 20;

/// Maps a long text; then writes all of it.
const MAPS: Step = |cpu| cpu.call("mmap", &[0, LONG, 1, 0x22, u64::MAX, 0]);
const WRITES: Step = |cpu| {
    let text = cpu.result();
    cpu.call("write", &[1, text, LONG])
};
const YIELDS: Step = |cpu| cpu.call("sched_yield", &[]);

#[test]
fn a_signal_ends_a_process_in_the_middle_of_a_long_write() {
    let (statuses, system) =
        run(&[&[MAPS, WRITES], &[YIELDS, YIELDS, |cpu| cpu.call("kill", &[1, 9])]]);
    assert_eq!(statuses, [Status::Killed(Signal::SIGKILL), WELL]);
    let written = (system.output().len() + system.output_lost()) as u64;
    assert!((1..LONG).contains(&written), "{written}");
}

#[test]
fn a_signal_ends_a_process_that_makes_one_long_call_after_the_other() {
    const PAGES: u64 = 1000;
    const CALLS: u64 = 100;
    let (statuses, mut system) = run_with(
        Settings { accounting: Accounting::Overcommit, ..Settings::default() },
        Options::default(),
        &[
            &[
                |cpu| cpu.call("mmap", &[0, PAGES << 12, 3, 0x22, u64::MAX, 0]),
                |cpu| {
                    (cpu.registers.r14, cpu.registers.r15) = (cpu.result(), cpu.result());
                    None
                },
                |cpu| {
                    let fault = cpu.store(cpu.registers.r15, &[1]);
                    if fault.is_none() {
                        cpu.registers.r15 += 3 << 12;
                        if cpu.registers.r15 < cpu.registers.r14 + (PAGES << 12) {
                            cpu.jump(2);
                        }
                    }
                    fault
                },
                |cpu| {
                    cpu.registers.r15 = 0;
                    None
                },
                // Changes what may be done with all pages, again and again.
                |cpu| {
                    cpu.registers.r15 += 1;
                    let permissions = 1 | cpu.registers.r15 % 2 << 1;
                    cpu.call("mprotect", &[cpu.registers.r14, PAGES << 12, permissions])
                },
                |cpu| {
                    let count = cpu.registers.r15;
                    if count < CALLS {
                        cpu.jump(4);
                    }
                    cpu.note(count)
                },
            ],
            // Waits until the other one is in a call.
            &[
                YIELDS,
                |cpu| {
                    cpu.registers.r15 += 1;
                    if cpu.registers.r15 < 20 {
                        cpu.jump(0);
                    }
                    None
                },
                |cpu| cpu.call("kill", &[1, 15]),
            ],
        ],
    );
    let seen = &system.machine().seen;
    assert_eq!(statuses[0], Status::Killed(Signal::SIGTERM), "after {:?} calls", seen.last());
}

#[test]
fn other_threads_go_on_while_one_writes_a_long_text() {
    /// Steps of the first thread once it has written: it notes the result, and ends.
    const REST: [Step; 2] = [NOTES, |cpu| cpu.call("exit", &[0])];
    /// The second thread begins here, and does what the test says.
    const SECOND: u64 = 7;
    const fn program(then: Step) -> [Step; 8] {
        let begin: Step = |cpu| {
            let text = cpu.result();
            cpu.registers.r14 = text;
            spawn(cpu, 0)
        };
        let part: Step = |cpu| match cpu.result() {
            0 => {
                cpu.jump(SECOND);
                None
            }
            _ => {
                cpu.registers.rax = cpu.registers.r14;
                None
            }
        };
        [touch, MAPS, begin, part, WRITES, REST[0], REST[1], then]
    }
    const UNMAPS: [Step; 8] = program(|cpu| cpu.call("munmap", &[cpu.registers.r14, LONG]));
    const ENDS: [Step; 8] = program(|cpu| cpu.call("exit_group", &[3]));

    let (statuses, mut system) = run(&[&UNMAPS]);
    assert_eq!(statuses, [WELL]);
    let written = system.machine().seen[0];
    assert!((1..LONG).contains(&written), "what was there is written: {written}");

    let (statuses, mut system) = run(&[&ENDS]);
    assert_eq!(statuses, [Status::Exited(3)]);
    assert_eq!(system.machine().seen, [], "the call has not returned");
}
