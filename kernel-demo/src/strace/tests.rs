use super::*;
use crate::system::System;
use crate::system::tests::by_hand::ByHand;
use crate::system::usage::Usage;
use crate::words::Signal;

/// Memory from 0x1000 on.
fn memory(bytes: &[u8]) -> impl FnMut(u64, &mut [u8]) -> bool {
    |address, buffer| {
        let start = address.checked_sub(0x1000).map(|start| start as usize);
        let found = start.and_then(|start| bytes.get(start..)?.get(..buffer.len()));
        found.map(|found| buffer.copy_from_slice(found)).is_some()
    }
}

fn traced(name: &str, arguments: &[u64]) -> Traced {
    let signature = System::<ByHand>::call_named(name);
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    Traced {
        pid: 1,
        signature: Some(signature),
        number: signature.number,
        arguments: all,
        program: "hello",
    }
}

/// The line of a call that is done, without the process.
fn line(name: &str, arguments: &[u64], memory: &[u8], outcome: Outcome) -> String {
    let mut text = String::new();
    traced(name, arguments).done(&mut text, &mut self::memory(memory), outcome).unwrap();
    text.strip_prefix("[pid     1] ")
        .and_then(|text| text.strip_suffix('\n'))
        .expect("a whole line")
        .to_owned()
}

const NOMEM: Outcome = Outcome::Error(Errno::ENOMEM);

#[test]
fn c17_the_break_is_shown_as_strace_shows_it() {
    let value = Outcome::Value;
    assert_eq!(
        line("brk", &[0], &[], value(0x5555_5556_1000)),
        "brk(NULL)                               = 0x555555561000"
    );
    assert_eq!(
        line("brk", &[0x5555_5558_2000], &[], value(0x5555_5558_2000)),
        "brk(0x555555582000)                     = 0x555555582000"
    );
}

#[test]
fn mappings_name_their_flags() {
    let mmap = |arguments: &[u64], outcome| line("mmap", arguments, &[], outcome);
    assert_eq!(
        mmap(&[0, 4096, 3, 0x22, u64::MAX, 0], Outcome::Value(0x7fff_f7dc_0000)),
        "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7ffff7dc0000"
    );
    assert_eq!(
        mmap(&[0x1000, 1 << 50, 0, 0x31 | 0x8000, u64::MAX, 0], NOMEM),
        "mmap(0x1000, 1125899906842624, PROT_NONE, MAP_SHARED|MAP_FIXED|MAP_ANONYMOUS|0x8000, -1, 0) = -1 ENOMEM (Cannot allocate memory)"
    );
    assert_eq!(
        line("mprotect", &[0x5000, 4096, 1], &[], Outcome::Value(0)),
        "mprotect(0x5000, 4096, PROT_READ)       = 0"
    );
    assert_eq!(
        line("munmap", &[0x5000, 4096], &[], Outcome::Value(0)),
        "munmap(0x5000, 4096)                    = 0"
    );
}

#[test]
fn text_is_quoted_and_cut() {
    let memory = b"hello\n\0\xffa long text that goes on and on";
    assert_eq!(
        line("write", &[1, 0x1000, 8], memory, Outcome::Value(8)),
        r#"write(1, "hello\n\x00\xff", 8)          = 8"#
    );
    let long = line("write", &[1, 0x1008, 33], &[&memory[..], b"!!"].concat(), Outcome::Value(33));
    assert_eq!(long, r#"write(1, "a long text that goes on and on!"..., 33) = 33"#);
    let bad = Outcome::Error(Errno::EFAULT);
    assert_eq!(
        line("write", &[1, 0x10, 5], memory, bad),
        "write(1, 0x10, 5)                       = -1 EFAULT (Bad address)"
    );
    assert_eq!(
        line("read", &[0, 0x1000, 100], memory, Outcome::Value(5)),
        r#"read(0, "hello", 100)                   = 5"#
    );
    assert_eq!(
        line("read", &[0, 0x1000, 100], memory, bad),
        "read(0, 0x1000, 100)                    = -1 EFAULT (Bad address)"
    );
}

#[test]
fn a_program_is_shown_by_its_path_and_requests_by_name() {
    let missing = Outcome::Error(Errno::ENOENT);
    let execve = |at, memory: &[u8], outcome| line("execve", &[at, 0x10, 0], memory, outcome);
    assert_eq!(
        execve(0x1000, b"no\n\xffsuch\0", missing),
        r#"execve("no\n\xffsuch", 0x10, NULL)      = -1 ENOENT (No such file or directory)"#
    );
    // It may end where memory ends, or never.
    for (memory, shown) in [(&b"cut"[..], r#""cut""#.to_owned()), (b"\0", r#""""#.into())] {
        assert!(execve(0x1000, memory, missing).starts_with(&format!("execve({shown}, ")));
    }
    let long = execve(0x1000, &[b'x'; 100], missing);
    assert!(long.starts_with(&format!(r#"execve("{}"..., "#, "x".repeat(32))), "{long}");
    for address in [0x10, u64::MAX] {
        let unreadable = execve(address, b"path\0", missing);
        assert!(unreadable.starts_with(&format!("execve({address:#x}, ")), "{unreadable}");
    }
    // Afterwards the path is gone, and the process is that program.
    assert!(execve(0x1000, b"other", Outcome::Value(0)).starts_with(r#"execve("hello", 0x10, "#));
    assert_eq!(
        line("ioctl", &[0, 0x5401, 0x20], &[], Outcome::Value(0)),
        "ioctl(0, TCGETS, 0x20)                  = 0"
    );
    assert_eq!(
        line("kill", &[u64::MAX, 15], &[], Outcome::Value(0)),
        "kill(-1, SIGTERM)                       = 0"
    );
}

#[test]
fn what_a_call_stores_is_shown() {
    let status = Status::Killed(Signal::SIGSEGV).word().to_le_bytes();
    let wait = |arguments: &[u64], outcome| line("wait4", arguments, &status, outcome);
    let any = u64::from(u32::MAX);
    let found = "wait4(-1, [{WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV}], WNOHANG, NULL) = 2";
    assert_eq!(wait(&[any, 0x1000, 1, 0], Outcome::Value(2)), found);
    assert_eq!(
        wait(&[any, 0x1000, 1, 0], Outcome::Value(0)),
        "wait4(-1, 0x1000, WNOHANG, NULL)        = 0"
    );
    assert_eq!(
        wait(&[any, 0, 0, 0], Outcome::Value(2)),
        "wait4(-1, NULL, 0, NULL)                = 2"
    );
    let usage = Usage { max_resident: 25, minor_faults: 7, ..Usage::default() }.to_words();
    let line = line("getrusage", &[0, 0x1000], usage.as_flattened(), Outcome::Value(0));
    assert_eq!(
        wait(&[any, 0x1000, 1, 0x1000], Outcome::Value(0)),
        "wait4(-1, 0x1000, WNOHANG, 0x1000)      = 0"
    );
    assert_eq!(
        wait(&[any, 0, 1, u64::MAX], Outcome::Value(2)),
        "wait4(-1, NULL, WNOHANG, 0xffffffffffffffff) = 2"
    );
    assert_eq!(line, "getrusage(RUSAGE_SELF, {ru_maxrss=100, ru_minflt=7, ...}) = 0");
}

#[test]
fn who_does_not_come_back_has_no_result_and_unknown_calls_have_a_number() {
    assert_eq!(
        line("exit", &[3], &[], Outcome::Never),
        "exit(3)                                 = ?"
    );
    let unknown = Traced {
        pid: 12,
        signature: None,
        number: 999,
        arguments: [1, 0, 0, 0, 0, 0x20],
        program: "hello",
    };
    let mut text = String::new();
    unknown.done(&mut text, &mut memory(&[]), Outcome::Error(Errno::ENOSYS)).unwrap();
    assert_eq!(
        text,
        "[pid    12] syscall_0x3e7(0x1, NULL, NULL, NULL, NULL, 0x20) = -1 ENOSYS (Function not implemented)\n"
    );
}

#[test]
fn ends_and_signals_have_lines_of_their_own() {
    let mut text = String::new();
    ended(&mut text, 2, Status::Exited(3)).unwrap();
    event(&mut text, 2, format_args!("SIGSEGV {{si_addr=NULL}}")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        ["[pid     2] +++ exited with 3 +++", "[pid     2] --- SIGSEGV {si_addr=NULL} ---"]
    );
}
