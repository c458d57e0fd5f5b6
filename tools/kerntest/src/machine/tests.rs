//! Programs that a watch must tell apart, and QEMU's arguments.

use super::*;

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::null());
    command
}

fn ending(script: &str, limit: f32, progress: Progress) -> Ending {
    watch(shell(script), Limits::both(Duration::from_secs_f32(limit)), |_| progress).unwrap()
}

#[test]
fn bytes_status_and_complaints_come_through() {
    let mut seen = Vec::new();
    let ending = watch(
        shell("printf abc; echo no >&2; exit 33"),
        Limits::both(Duration::from_secs(10)),
        |bytes| {
            seen.extend_from_slice(bytes);
            Progress::None
        },
    );
    assert_eq!(seen, b"abc");
    let stderr = "no\n".to_owned();
    assert_eq!(ending.unwrap(), Ending::Exited { status: 33, stderr });
}

#[test]
fn silence_is_stopped() {
    let begin = Instant::now();
    assert!(matches!(ending("sleep 30", 0.1, Progress::None), Ending::Hung(_)));
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn talking_without_getting_on_is_stopped() {
    let script = "while :; do echo again; done";
    assert!(matches!(ending(script, 0.1, Progress::None), Ending::TimedOut(_)));
}

#[test]
fn getting_on_is_given_time() {
    let script = "for i in 1 2 3 4 5 6; do sleep 0.2; echo $i; done";
    assert!(matches!(ending(script, 0.9, Progress::Made), Ending::Exited { status: 0, .. }));
}

#[test]
fn after_the_first_progress_the_other_limit_counts() {
    let limits = Limits { first: Duration::from_secs(30), next: Duration::from_millis(500) };
    let begin = Instant::now();
    let ending = watch(shell("sleep 1; echo booted; exec sleep 30"), limits, |_| Progress::Made);
    assert_eq!(ending.unwrap(), Ending::Hung(limits.next));
    assert!(begin.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_signal_is_no_status() {
    assert!(matches!(ending("kill -9 $$", 10.0, Progress::None), Ending::Broken(_)));
}

/// A PC whose emulator does not exist.
fn machine() -> Machine {
    let qemu = "no-such-qemu".into();
    Machine { qemu, mem: Some("64M".into()), ..Machine::new(Platform::PcDisk) }
}

#[test]
fn an_emulator_that_is_not_there_is_named() {
    let limits = Limits::both(Duration::from_secs(1));
    let ending = machine().boot(Path::new("x"), &[], limits, |_| Progress::None);
    assert!(matches!(ending, Ending::Broken(reason) if reason.contains("no-such-qemu")));
}

fn options(machine: &Machine, options: &[(&str, &str)]) -> Vec<OsString> {
    machine.options(options)
}

#[test]
fn a_comma_in_a_value_does_not_end_it() {
    let arguments = options(&machine(), &[("filter", "a,b")]);
    assert_eq!(arguments.last().unwrap(), "name=opt/kerntest/filter,string=a,,b");
    let board = Machine::new(Platform::CortexM("lm3s6965evb".into()));
    let config = "enable=on,target=native,arg=kerntest,arg=filter=a,,b,arg=from=2";
    let arguments = options(&board, &[("filter", "a,b"), ("from", "2")]);
    assert_eq!(arguments, ["-semihosting-config", config]);
}

#[test]
fn each_channel_hands_over_the_options() {
    let of = |channel| {
        let machine = Machine { channel, ..machine() };
        options(&machine, &[("from", "2"), ("list", "1")])
    };
    assert_eq!(of(Channel::CommandLine), ["-append", "from=2 list=1"]);
    assert_eq!(of(Channel::None), [""; 0]);
}

#[test]
fn white_space_is_refused_where_it_separates_options() {
    let machine = Machine { channel: Channel::CommandLine, ..machine() };
    let limits = Limits::both(Duration::from_secs(1));
    let ending = machine.boot(Path::new("x"), &[("filter", "a b")], limits, |_| Progress::None);
    assert!(matches!(ending, Ending::Broken(reason) if reason.contains("white space")));
}

#[test]
fn a_machine_with_a_debugger_waits_and_writes_to_a_file() {
    let command = machine().debug_command(Path::new("x.bin"), &[], Path::new("a.log")).unwrap();
    let arguments: Vec<_> = command.get_args().filter_map(|argument| argument.to_str()).collect();
    assert!(arguments.windows(2).any(|pair| pair == ["-serial", "file:a.log"]), "{arguments:?}");
    assert!(arguments.ends_with(&["-S", "-gdb", "stdio"]), "{arguments:?}");
}
