//! Each system call: what it returns, and its errors.

use super::by_hand::{Cpu, DATA, Step, run, run_with};
use super::error;
use crate::address_space::Errno;
use crate::memory::Stop;
use crate::system::console::{Input, Output};
use crate::system::{Options, Settings, Tracing};
use crate::words::Status;

/// An address that nothing is mapped at.
const BAD: u64 = 0x10_0000;

/// Notes the result of the call before, and goes on.
fn noted(cpu: &mut Cpu<'_>) {
    let result = cpu.result();
    cpu.note(result);
}

#[test]
fn unknown_numbers_are_enosys() {
    let (_, mut system) = run(&[&[
        |cpu| cpu.call_number(9999, &[]),
        |cpu| {
            noted(cpu);
            cpu.call_number(u64::MAX, &[])
        },
        |cpu| {
            noted(cpu);
            None
        },
    ]]);
    assert_eq!(system.machine().seen, [error(Errno::ENOSYS); 2]);
}

#[test]
fn the_heap_is_there_when_a_system_call_is_the_first_to_touch_it() {
    let (statuses, mut system) = run(&[&[
        |cpu| cpu.call("brk", &[0]),
        |cpu| {
            cpu.registers.r15 = cpu.result();
            cpu.call("brk", &[cpu.registers.r15 + 0x3000])
        },
        |cpu| cpu.call("write", &[1, cpu.registers.r15 + 0xffe, 4]),
        |cpu| {
            noted(cpu);
            cpu.call("getrusage", &[0, cpu.registers.r15 + 0x1ffc])
        },
        |cpu| {
            noted(cpu);
            cpu.load(cpu.registers.r15 + 0x1ffc + 64)
        },
    ]]);
    assert_eq!(statuses, [Status::Exited(0)]);
    // Two pages read by `write`, and one more when the start was put onto the stack.
    assert_eq!(system.machine().seen, [4, 0, 3]);
    assert_eq!(system.output().as_bytes(), [0; 4]);
}

#[test]
fn bad_pointers_are_errors_and_harm_nobody() {
    let (statuses, mut system) = run(&[&[
        |cpu| cpu.call("write", &[1, BAD, 10]),
        |cpu| {
            noted(cpu);
            cpu.call("write", &[1, u64::MAX - 3, 10])
        },
        |cpu| {
            noted(cpu);
            cpu.call("write", &[1, 0xffff_8000_0000_0000, 10])
        },
        |cpu| {
            noted(cpu);
            cpu.call("getrusage", &[0, cpu.text()])
        },
        |cpu| {
            noted(cpu);
            cpu.call("read", &[0, cpu.text(), 5])
        },
        |cpu| {
            noted(cpu);
            cpu.call("read", &[0, cpu.text() + DATA, 5])
        },
        |cpu| {
            noted(cpu);
            // The data's last page is there, and nothing behind it.
            cpu.call("write", &[2, cpu.text() + DATA + 0x2000 - 0x300, 0x400])
        },
        |cpu| {
            noted(cpu);
            None
        },
    ]]);
    assert_eq!(statuses, [Status::Exited(0)]);
    let bad = error(Errno::EFAULT);
    assert_eq!(system.machine().seen, [bad, bad, bad, bad, 0, 0, 0x300]);
}

#[test]
fn files_other_than_the_console_are_not_open() {
    let (_, mut system) = run(&[&[
        |cpu| cpu.call("write", &[0, cpu.text(), 1]),
        |cpu| {
            noted(cpu);
            cpu.call("read", &[1, cpu.text() + DATA, 1])
        },
        |cpu| {
            noted(cpu);
            cpu.call("read", &[u64::MAX, cpu.text() + DATA, 1])
        },
        |cpu| {
            noted(cpu);
            None
        },
    ]]);
    assert_eq!(system.machine().seen, [error(Errno::EBADF); 3]);
}

#[test]
fn text_is_read_piece_by_piece_until_it_ends() {
    let input = Input::Text(b"0123456789");
    let settings = Settings { input, output: Output::Memory(100), ..Settings::default() };
    let (_, mut system) = run_with(
        settings,
        Options::default(),
        &[&[
            |cpu| cpu.call("read", &[0, BAD, 8]),
            |cpu| {
                noted(cpu);
                cpu.call("read", &[0, cpu.text() + DATA, 8])
            },
            |cpu| {
                noted(cpu);
                cpu.load(cpu.text() + DATA)
            },
            |cpu| cpu.call("read", &[0, cpu.text() + DATA, 8]),
            |cpu| {
                noted(cpu);
                cpu.call("read", &[0, cpu.text() + DATA, 8])
            },
            |cpu| {
                noted(cpu);
                None
            },
        ]],
    );
    assert_eq!(
        system.machine().seen,
        [error(Errno::EFAULT), 8, u64::from_le_bytes(*b"01234567"), 2, 0]
    );
}

#[test]
fn who_reads_from_the_console_waits_for_a_line() {
    let settings =
        Settings { input: Input::Console, output: Output::Memory(10_000), ..Settings::default() };
    let mut system = super::by_hand::system(
        super::by_hand::FRAMES,
        settings,
        &[
            &[
                |cpu| cpu.call("read", &[0, cpu.text() + DATA, 8]),
                |cpu| {
                    noted(cpu);
                    cpu.call("write", &[1, cpu.text() + DATA, 1])
                },
            ],
            &[
                |cpu| cpu.call("sched_yield", &[]),
                |cpu| cpu.call("sched_yield", &[]),
                |cpu| cpu.note(77),
            ],
        ],
    );
    system.machine().keys = [].into();
    let first = system.machine().programs[1];
    assert_eq!(first.len(), 3);
    system.machine().keys.extend(b"k\n");
    let statuses = super::by_hand::run_in(&mut system, Options::default());
    assert_eq!(statuses, [Status::Exited(0); 2]);
    assert_eq!(
        (system.machine().seen.clone(), system.output()),
        (vec![2, 77], "k\nk"),
        "echo, and what it writes"
    );
}

#[test]
fn a_reader_gets_its_line_though_another_process_is_always_ready() {
    const READER: &[Step] = &[
        |cpu| cpu.call("read", &[0, cpu.text() + DATA, 8]),
        |cpu| {
            noted(cpu);
            None
        },
    ];
    const SPINS: &[Step] = &[
        |_| Some(Stop::Timer),
        |cpu| {
            cpu.jump(0);
            None
        },
    ];
    let settings =
        Settings { input: Input::Console, output: Output::Memory(10_000), ..Settings::default() };
    let frames = super::by_hand::FRAMES;
    let mut system = super::by_hand::system(frames, settings, &[READER, SPINS]);
    for number in 0..2 {
        let image = super::by_hand::image(number);
        system.spawn("by hand", &image, &[], Options::default()).unwrap();
    }
    let mut steps = |keys: &[u8]| {
        system.machine().keys.extend(keys);
        assert!((0..6).all(|_| system.step()));
        system.machine().seen.clone()
    };
    assert_eq!(steps(b""), [0; 0]);
    assert_eq!(steps(b"li"), [0; 0], "a line has an end");
    assert_eq!(steps(b"ne\nmore"), [5]);
}

#[test]
fn mmap_answers_as_linux_does() {
    const ANONYMOUS: u64 = 0x20;
    const PRIVATE: u64 = 2;
    const NO_FILE: u64 = u64::MAX;
    let (_, mut system) = run(&[&[
        |cpu| cpu.call("mmap", &[0, 4096, 3, PRIVATE, 5, 0]),
        |cpu| {
            noted(cpu);
            cpu.call("mmap", &[0, 4096, 3, PRIVATE | ANONYMOUS, NO_FILE, 1])
        },
        |cpu| {
            noted(cpu);
            cpu.call("mmap", &[0, 0, 3, PRIVATE | ANONYMOUS, NO_FILE, 0])
        },
        |cpu| {
            noted(cpu);
            cpu.call("mmap", &[0, 4096, 3, PRIVATE | ANONYMOUS | 1, NO_FILE, 0])
        },
        |cpu| {
            noted(cpu);
            cpu.call("mmap", &[0, 4096, 7, PRIVATE | ANONYMOUS, NO_FILE, 0])
        },
        |cpu| {
            noted(cpu);
            cpu.call("mmap", &[0, 4096, 8, PRIVATE | ANONYMOUS, NO_FILE, 0])
        },
        |cpu| {
            noted(cpu);
            cpu.call("mmap", &[0, 1 << 50, 3, PRIVATE | ANONYMOUS, NO_FILE, 0])
        },
        |cpu| {
            noted(cpu);
            None
        },
    ]]);
    let expected = [
        Errno::EBADF,
        Errno::EINVAL,
        Errno::EINVAL,
        Errno::EINVAL,
        Errno::EACCES,
        Errno::EINVAL,
        Errno::ENOMEM,
    ];
    assert_eq!(system.machine().seen, expected.map(error));
}

#[test]
fn a_view_is_stored_whole_or_not_at_all() {
    let (_, mut system) = run(&[&[
        |cpu| cpu.call("proc_view", &[99, cpu.text() + DATA, 4096]),
        |cpu| {
            noted(cpu);
            cpu.call("proc_view", &[0, cpu.text() + DATA, 10])
        },
        |cpu| {
            noted(cpu);
            cpu.call("proc_view", &[0, BAD, 4096])
        },
        |cpu| {
            noted(cpu);
            cpu.call("proc_view", &[0, cpu.text() + DATA, 4096])
        },
        |cpu| cpu.call("write", &[1, cpu.text() + DATA, cpu.result()]),
    ]]);
    assert_eq!(
        system.machine().seen,
        [error(Errno::EINVAL), error(Errno::ERANGE), error(Errno::EFAULT)]
    );
    let lines: Vec<Vec<&str>> =
        system.output().lines().map(|line| line.split_whitespace().collect()).collect();
    let shown: Vec<(&str, &str)> =
        lines.iter().map(|words| (words[1], *words.last().unwrap())).collect();
    assert_eq!(shown, [("r-xp", "hand"), ("rw-p", "hand"), ("rw-p", "0"), ("rw-p", "[stack]")]);
}

#[test]
fn c17_the_trace_shows_every_call() {
    let settings = Settings { output: Output::Memory(10_000), ..Settings::default() };
    let options = Options { trace: Tracing::CallsAndFaults, seed: Some(3), ..Options::default() };
    let (_, system) = run_with(
        settings,
        options,
        &[&[
            |cpu| cpu.call("brk", &[0]),
            |cpu| {
                cpu.registers.r15 = cpu.result();
                cpu.call("brk", &[cpu.result() + 0x1000])
            },
            |cpu| cpu.store(cpu.registers.r15 + 8, b"x"),
            |cpu| cpu.call("fork", &[]),
            |cpu| {
                if cpu.result() == 0 {
                    return cpu.call("exit", &[3]);
                }
                cpu.call("wait4", &[u64::MAX, cpu.registers.r15, 0, 0])
            },
            |cpu| cpu.store(0, b"x"),
        ]],
    );
    let places = |line: &str| {
        let words = line.split_inclusive(['(', ' ', '=', ',', ')', '}']);
        words
            .map(|word| {
                if word.contains("0x5") || word.contains("0x7f") {
                    "ADDRESS".to_owned() + &word[word.len() - 1..]
                } else {
                    word.to_owned()
                }
            })
            .collect::<String>()
    };
    let lines: Vec<String> =
        system.output().lines().filter(|line| line.starts_with('[')).map(places).collect();
    assert_eq!(
        lines,
        [
            "[pid     1] --- page fault {addr=ADDRESS, access=write, in=[stack]} = zeroed frame ---",
            "[pid     1] brk(NULL)                               = ADDRESS0",
            "[pid     1] brk(ADDRESS)                     = ADDRESS0",
            "[pid     1] --- page fault {addr=ADDRESS, access=write, in=[heap]} = zeroed frame ---",
            "[pid     1] fork()                                  = 2",
            "[pid     2] exit(3)                                 = ?",
            "[pid     2] +++ exited with 3 +++",
            "[pid     1] --- page fault {addr=ADDRESS, access=write, in=[heap]} = writable ---",
            "[pid     1] wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], 0, NULL) = 2",
            "[pid     1] --- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=NULL} ---",
            "[pid     1] +++ killed by SIGSEGV +++",
        ]
    );
}
