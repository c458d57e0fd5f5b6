//! Threads: one address space, words to wait for, and who ends what.

use super::by_hand::{Cpu, DATA, Step, run, run_with};
use super::error;
use crate::address_space::Errno;
use crate::memory::Stop;
use crate::system::console::Output;
use crate::system::crash::Reason;
use crate::system::table::MAX_PROCESSES;
use crate::system::{Options, Settings, Tracing};
use crate::words::{Signal, Status};

/// `CLONE_VM | CLONE_SIGHAND | CLONE_THREAD`.
const THREAD: u64 = 0x1_0900;
const SET_TLS: u64 = 0x8_0000;
const PARENT_SET_TID: u64 = 0x10_0000;
const CHILD_CLEAR_TID: u64 = 0x20_0000;

const WAIT: u64 = 0;
const WAKE: u64 = 1;
const PRIVATE: u64 = 128;
const ALL: u64 = i32::MAX as u64;

const WELL: Status = Status::Exited(0);

/// Words in the program's data.
const WORD: u64 = DATA + 0x100;
const TID: u64 = DATA + 0x200;

/// Makes a thread, which goes on as the caller does, on a stack below it.
pub(super) fn spawn(cpu: &mut Cpu<'_>, flags: u64) -> Option<Stop> {
    let (stack, tid) = (cpu.registers.rsp - 0x100, cpu.text() + TID);
    cpu.call("clone", &[THREAD | flags, stack, tid, tid, 0x7000])
}

/// Notes the result of the call before, and goes on.
fn noted(cpu: &mut Cpu<'_>) -> Option<Stop> {
    let result = cpu.result();
    cpu.note(result)
}

/// Writes zero to the data, so that it is there.
pub(super) fn touch(cpu: &mut Cpu<'_>) -> Option<Stop> {
    cpu.store(cpu.text() + WORD, &[0; 8]).or_else(|| cpu.store(cpu.text() + TID, &[0; 8]))
}

/// Waits until the word of the thread that [`spawn`] made is zero.
const JOIN: [Step; 2] = [
    |cpu| match cpu.word(cpu.text() + TID) {
        Err(stop) => Some(stop),
        Ok(0) => {
            cpu.registers.rip += 1;
            None
        }
        Ok(tid) => cpu.call("futex", &[cpu.text() + TID, WAIT, tid, 0]),
    },
    |cpu| {
        cpu.registers.rip -= 2;
        None
    },
];

#[test]
fn a_thread_has_the_same_memory_and_its_end_wakes_who_waits_for_it() {
    let (statuses, mut system) = run(&[&[
        touch,
        |cpu| spawn(cpu, PARENT_SET_TID | CHILD_CLEAR_TID),
        |cpu| {
            noted(cpu);
            if cpu.result() > 0 {
                cpu.jump(5)
            };
            None
        },
        |cpu| cpu.store(cpu.text() + WORD, &7_u64.to_le_bytes()),
        |cpu| cpu.call("exit", &[5]),
        JOIN[0],
        JOIN[1],
        |cpu| cpu.load(cpu.text() + WORD),
        |cpu| cpu.call("getpid", &[]),
        noted,
    ]]);
    assert_eq!(statuses, [WELL]);
    let mut seen = system.machine().seen.clone();
    assert_eq!(seen.split_off(2), [7, 1]);
    seen.sort_unstable();
    assert_eq!(seen, [0, 2]);
}

#[test]
fn each_thread_has_a_number_and_thread_local_storage_of_its_own() {
    let (statuses, mut system) = run(&[&[
        touch,
        |cpu| cpu.call("arch_prctl", &[0x1002, 0x5000]),
        |cpu| spawn(cpu, SET_TLS),
        |cpu| cpu.call("gettid", &[]),
        |cpu| {
            let numbers = cpu.result() << 16 | cpu.registers.fs_base;
            cpu.note(numbers);
            cpu.call("arch_prctl", &[0x1003, cpu.text() + WORD])
        },
        |cpu| cpu.load(cpu.text() + WORD),
        |cpu| cpu.call("arch_prctl", &[0x1002, u64::MAX]),
        noted,
        |cpu| cpu.call("exit", &[0]),
    ]]);
    assert_eq!(statuses, [WELL]);
    let mut seen = system.machine().seen.clone();
    seen.sort_unstable();
    let refused = error(Errno::EPERM);
    assert_eq!(seen, [0x5000, 0x7000, 0x1_5000, 0x2_7000, refused, refused]);
}

/// Waits while the word is zero. The waker sets it, then wakes. Every step is followed by a tick or
/// not, by chance.
const WAITS: &[Step] = &[
    touch,
    |cpu| spawn(cpu, PARENT_SET_TID | CHILD_CLEAR_TID),
    |cpu| {
        if cpu.result() > 0 {
            cpu.jump(8)
        };
        maybe(cpu)
    },
    // The waiter: 3 to 7.
    |cpu| match cpu.word(cpu.text() + WORD) {
        Err(stop) => Some(stop),
        Ok(0) => maybe(cpu),
        Ok(_) => {
            cpu.jump(6);
            None
        }
    },
    |cpu| cpu.call("futex", &[cpu.text() + WORD, WAIT | PRIVATE, 0, 0]),
    |cpu| {
        cpu.jump(3);
        maybe(cpu)
    },
    |cpu| cpu.note(1),
    |cpu| cpu.call("exit", &[0]),
    // The waker.
    |cpu| cpu.store(cpu.text() + WORD, &[1]),
    maybe,
    |cpu| cpu.call("futex", &[cpu.text() + WORD, WAKE | PRIVATE, ALL]),
    JOIN[0],
    JOIN[1],
    |cpu| cpu.call("exit_group", &[0]),
];

/// A tick, by chance.
fn maybe(cpu: &mut Cpu<'_>) -> Option<Stop> {
    (cpu.rng.u8(..2) == 0).then_some(Stop::Timer)
}

#[test]
fn no_wake_up_is_lost() {
    for seed in 0..200 {
        let mut system = super::by_hand::system(512, Settings::default(), &[WAITS; 3]);
        system.machine().rng.seed(seed);
        assert_eq!(super::by_hand::run_in(&mut system, Options::default()), [WELL; 3], "{seed}");
        assert_eq!(system.machine().seen, [1; 3]);
    }
}

#[test]
fn a_word_that_is_not_as_expected_is_not_waited_for() {
    let (statuses, mut system) = run(&[&[
        touch,
        |cpu| cpu.call("futex", &[cpu.text() + WORD, WAIT, 1, 0]),
        noted,
        |cpu| cpu.call("futex", &[cpu.text() + WORD + 1, WAIT, 0, 0]),
        noted,
        |cpu| cpu.call("futex", &[8, WAIT, 0, 0]),
        noted,
        |cpu| cpu.call("futex", &[u64::MAX - 3, WAKE, 0, 0]),
        noted,
        // Time limits, and other operations.
        |cpu| cpu.call("futex", &[cpu.text() + WORD, WAIT, 0, cpu.text() + TID]),
        noted,
        |cpu| cpu.call("futex", &[cpu.text() + WORD, 9, 0, 0]),
        noted,
        |cpu| cpu.call("futex", &[cpu.text() + WORD, WAKE, ALL, 0]),
        noted,
    ]]);
    assert_eq!(statuses, [WELL]);
    let errors =
        [Errno::EAGAIN, Errno::EINVAL, Errno::EFAULT, Errno::EFAULT, Errno::ENOSYS, Errno::ENOSYS];
    assert_eq!(system.machine().seen, [&errors.map(error)[..], &[0]].concat());
}

#[test]
fn who_came_first_is_woken_first() {
    let (statuses, mut system) = run(&[&[
        touch,
        |cpu| spawn(cpu, 0),
        |cpu| {
            cpu.registers.r15 += 1;
            let step = match (cpu.result(), cpu.registers.r15) {
                (0, _) => 8,
                (_, 1) => 1,
                _ => 3,
            };
            cpu.jump(step);
            None
        },
        // Both wait by now.
        |cpu| cpu.call("sched_yield", &[]),
        |cpu| cpu.call("futex", &[cpu.text() + WORD, WAKE, 1]),
        |cpu| cpu.call("sched_yield", &[]),
        |cpu| cpu.call("futex", &[cpu.text() + WORD, WAKE, 1]),
        |cpu| cpu.call("exit", &[0]),
        |cpu| cpu.call("futex", &[cpu.text() + WORD, WAIT, 0, 0]),
        |cpu| cpu.call("gettid", &[]),
        noted,
        |cpu| cpu.call("exit", &[0]),
    ]]);
    assert_eq!(statuses, [WELL]);
    assert_eq!(system.machine().seen, [2, 3]);
}

#[test]
fn processes_wait_for_a_word_in_shared_memory() {
    let (statuses, mut system) = run(&[&[
        |cpu| cpu.call("mmap", &[0, 0x2000, 3, 0x21, u64::MAX, 0]),
        |cpu| {
            cpu.registers.r15 = cpu.result() + 0x1008;
            cpu.call("fork", &[])
        },
        |cpu| {
            if cpu.result() > 0 {
                cpu.jump(6)
            };
            None
        },
        |cpu| cpu.store(cpu.registers.r15, &[1]),
        |cpu| cpu.call("futex", &[cpu.registers.r15, WAKE, ALL]),
        |cpu| cpu.call("exit", &[0]),
        |cpu| cpu.call("futex", &[cpu.registers.r15, WAIT, 0, 0]),
        |cpu| cpu.load(cpu.registers.r15),
    ]]);
    assert_eq!(statuses, [WELL]);
    assert_eq!(system.machine().seen, [1]);
}

#[test]
fn a_deadlock_ends_the_process_and_no_other() {
    const STUCK: &[Step] =
        &[touch, |cpu| spawn(cpu, 0), |cpu| cpu.call("futex", &[cpu.text() + WORD, WAIT, 0, 0])];
    // One after the other: with one thread, with two, with one.
    const ALONE: &[Step] = &[touch, |cpu| cpu.call("futex", &[cpu.text() + WORD, WAIT, 0, 0])];
    let killed = Status::Killed(Signal::SIGKILL);
    let (statuses, _) = run(&[ALONE, STUCK, ALONE]);
    assert_eq!(statuses, [killed; 3]);
    let (statuses, mut system) = run(&[STUCK, &[|cpu| cpu.note(1)], STUCK]);
    assert_eq!(statuses, [killed, WELL, killed]);
    assert_eq!(system.machine().seen, [1]);
    let crash = system.started()[0].crash.unwrap();
    assert_eq!((crash.reason, crash.address()), (Reason::Deadlock, None));
    assert!(crash.to_string().contains("Killed: deadlock"), "{crash}");
}

#[test]
fn a_process_goes_on_until_its_last_thread_has_ended() {
    // The one that leads the process ends first; its status is the process's.
    let (statuses, mut system) = run(&[&[
        touch,
        |cpu| spawn(cpu, 0),
        |cpu| if cpu.result() > 0 { cpu.call("exit", &[3]) } else { Some(Stop::Timer) },
        |_| Some(Stop::Timer),
        |cpu| cpu.note(1),
        |cpu| cpu.call("exit", &[4]),
    ]]);
    assert_eq!((statuses, &system.machine().seen), (vec![Status::Exited(3)], &vec![1]));
}

#[test]
fn exit_group_and_a_fault_end_all_threads_whatever_they_do() {
    const ENDINGS: [Step; 3] = [
        |cpu| cpu.call("exit_group", &[9]),
        |cpu| cpu.store(8, b"x"),
        |_| Some(Stop::Exception { vector: 6, error: 0 }),
    ];
    // A thread that waits for a word, one for input, one that spins; the fourth ends all.
    const fn program(ending: Step) -> [Step; 7] {
        [
            touch,
            |cpu| spawn(cpu, 0),
            |cpu| {
                cpu.registers.r15 += u64::from(cpu.result() > 0);
                let step = match (cpu.result(), cpu.registers.r15) {
                    (0, index) => 3 + index,
                    (_, 3) => 6,
                    _ => 1,
                };
                cpu.jump(step);
                None
            },
            |cpu| cpu.call("futex", &[cpu.text() + WORD, WAIT, 0, 0]),
            |cpu| cpu.call("wait4", &[u64::MAX, 0, 0, 0]),
            |cpu| {
                cpu.jump(5);
                Some(Stop::Timer)
            },
            ending,
        ]
    }
    static PROGRAMS: [[Step; 7]; 3] =
        [program(ENDINGS[0]), program(ENDINGS[1]), program(ENDINGS[2])];
    let (statuses, _) = run(&[&PROGRAMS[0], &PROGRAMS[1], &PROGRAMS[2]]);
    let killed = [Signal::SIGSEGV, Signal::SIGILL].map(Status::Killed);
    assert_eq!(statuses, [Status::Exited(9), killed[0], killed[1]]);
}

#[test]
fn a_process_that_forks_has_one_thread_in_its_child() {
    let (statuses, mut system) = run(&[&[
        touch,
        |cpu| spawn(cpu, 0),
        |cpu| if cpu.result() == 0 { cpu.call("exit", &[0]) } else { None },
        |cpu| cpu.call("fork", &[]),
        |cpu| if cpu.result() == 0 { cpu.call("exit", &[6]) } else { None },
        |cpu| cpu.call("wait4", &[u64::MAX, cpu.text() + WORD, 0, 0]),
        noted,
        |cpu| cpu.load(cpu.text() + WORD),
    ]]);
    assert_eq!(statuses, [WELL]);
    assert_eq!(system.machine().seen, [3, 6 << 8]);
}

#[test]
fn a_signal_ends_all_threads_and_only_a_process_has_a_number_for_it() {
    let (statuses, mut system) = run(&[
        // Waits with two threads: one for a word, one for a signal.
        &[
            touch,
            |cpu| spawn(cpu, 0),
            |cpu| match cpu.result() {
                0 => cpu.call("futex", &[cpu.text() + WORD, WAIT, 0, 0]),
                _ => cpu.call("pause", &[]),
            },
        ],
        &[
            |_| Some(Stop::Timer),
            |cpu| cpu.call("kill", &[3, 9]),
            noted,
            |cpu| cpu.call("kill", &[1, 9]),
            noted,
        ],
    ]);
    assert_eq!(statuses, [Status::Killed(Signal::SIGKILL), WELL]);
    assert_eq!(system.machine().seen, [error(Errno::ESRCH), 0]);
}

#[test]
fn a_process_with_other_threads_becomes_no_other_program() {
    let (statuses, mut system) = run(&[&[
        touch,
        |cpu| spawn(cpu, 0),
        |cpu| match cpu.result() {
            0 => cpu.call("exit", &[0]),
            _ => cpu.call("execve", &[cpu.text() + WORD, 0, 0]),
        },
        noted,
    ]]);
    assert_eq!((statuses, &system.machine().seen), (vec![WELL], &vec![error(Errno::EAGAIN)]));
}

/// While a thread unmaps many pages, which takes several turns, another thread asks for memory: it
/// sees all of them gone, or none.
#[test]
fn other_threads_see_no_call_half_done() {
    const PAGES: u64 = 1000;
    let (statuses, mut system) = run_with(
        Settings { accounting: crate::system::Accounting::Overcommit, ..Settings::default() },
        Options::default(),
        &[&[
            touch,
            |cpu| cpu.call("mmap", &[0, PAGES << 12, 3, 0x22, u64::MAX, 0]),
            |cpu| {
                cpu.registers.r14 = cpu.result();
                spawn(cpu, 0)
            },
            |cpu| {
                if cpu.result() > 0 {
                    cpu.jump(6)
                };
                cpu.registers.r15 = cpu.registers.r14;
                Some(Stop::Timer)
            },
            // Touches every other page; the table of 512 pages is then full of work.
            |cpu| {
                let address = cpu.registers.r15;
                let fault = cpu.store(address, &[1]);
                if fault.is_none() {
                    cpu.registers.r15 += 3 << 12;
                    if cpu.registers.r15 < cpu.registers.r14 + (PAGES << 12) {
                        cpu.jump(4);
                        return None;
                    }
                    return cpu.call("munmap", &[cpu.registers.r14, PAGES << 12]);
                }
                fault
            },
            |cpu| cpu.call("exit", &[0]),
            // Is the first page there, and the last?
            |cpu| cpu.call("write", &[1, cpu.registers.r14, 1]),
            |cpu| {
                cpu.registers.r12 = u64::from(cpu.result() == 1);
                cpu.call("write", &[1, cpu.registers.r14 + ((PAGES - 1) << 12), 1])
            },
            |cpu| {
                let last = u64::from(cpu.result() == 1);
                let first = cpu.registers.r12;
                cpu.note(first << 1 | last);
                if first == 1 {
                    cpu.jump(6)
                };
                Some(Stop::Timer)
            },
        ]],
    );
    assert_eq!(statuses, [WELL]);
    let seen = &system.machine().seen;
    assert!(seen.contains(&3) && seen.last() == Some(&0), "{seen:?}");
    assert!(seen.iter().all(|found| [0, 3].contains(found)), "{seen:?}");
}

#[test]
fn a_full_table_and_flags_that_make_no_thread_are_refused() {
    let (statuses, mut system) = run(&[&[
        touch,
        |cpu| cpu.call("clone", &[0x900, cpu.registers.rsp, 0, 0, 0]),
        noted,
        |cpu| cpu.call("clone", &[THREAD | 0x2000_0000, cpu.registers.rsp, 0, 0, 0]),
        noted,
        |cpu| cpu.call("clone", &[THREAD, 0, 0, 0, 0]),
        noted,
        |cpu| cpu.call("clone", &[THREAD | SET_TLS, cpu.registers.rsp, 0, 0, 1 << 63]),
        noted,
        |cpu| cpu.call("clone", &[THREAD | PARENT_SET_TID, cpu.registers.rsp, 8, 0, 0]),
        noted,
        |cpu| spawn(cpu, 0),
        |cpu| match cpu.result().cast_signed() {
            0 => cpu.call("futex", &[cpu.text() + WORD, WAIT, 0, 0]),
            1.. => {
                cpu.jump(11);
                None
            }
            _ => noted(cpu),
        },
        |cpu| cpu.call("exit_group", &[MAX_PROCESSES as u64]),
    ]]);
    assert_eq!(statuses, [Status::Exited(MAX_PROCESSES as u8)]);
    let errors =
        [Errno::EINVAL, Errno::EINVAL, Errno::EINVAL, Errno::EPERM, Errno::EFAULT, Errno::EAGAIN];
    assert_eq!(system.machine().seen, errors.map(error));
}

#[test]
fn threads_are_traced_as_strace_shows_them() {
    let output = Output::Memory(1 << 16);
    let options = Options { seed: Some(1), trace: Tracing::Calls, ..Options::default() };
    let (_, system) = run_with(
        Settings { output, ..Settings::default() },
        options,
        &[&[
            touch,
            |cpu| cpu.call("clone", &[THREAD | SET_TLS, cpu.registers.rsp, 0, 0, 0x7000]),
            |cpu| if cpu.result() == 0 { cpu.call("exit", &[4]) } else { None },
            |cpu| cpu.call("futex", &[cpu.text() + WORD, WAKE | PRIVATE, 1]),
            |cpu| cpu.call("exit_group", &[3]),
        ]],
    );
    let lines: Vec<&str> = system.output().lines().collect();
    let has = |parts: [&str; 2]| {
        lines.iter().any(|line| line.starts_with(parts[0]) && line.ends_with(parts[1]))
    };
    for parts in [
        [
            "[pid     1] clone(CLONE_VM|CLONE_SIGHAND|CLONE_THREAD|CLONE_SETTLS, 0x7f",
            ", 0x7000) = 2",
        ],
        ["[pid     1] futex(0x5", ", FUTEX_WAKE_PRIVATE, 1, NULL) = 0"],
        ["[pid     1] exit_group(3) ", "= ?"],
        ["[pid     2] +++ exited with ", " +++"],
        ["[pid     1] +++ exited with ", "3 +++"],
    ] {
        assert!(has(parts), "{parts:?}: {lines:#?}");
    }
}
