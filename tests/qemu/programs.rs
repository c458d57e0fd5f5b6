//! Programs in ring 3, each with the end that it must come to.

use alloc::string::String;
use alloc::vec::Vec;

use kernel_demo::address_space::{Cause, Errno};
use kernel_demo::system::around::FaultAround;
use kernel_demo::system::console::{Input, Output};
use kernel_demo::system::crash::Reason;
use kernel_demo::system::process::Started;
use kernel_demo::system::status::{Signal, Status};
use kernel_demo::system::{Accounting, KernelSystem, Options, Settings, SpawnError, Trace};
use kernel_demo::testing::{Case, CaseResult, Failed, OrFail, fail_nth};
use kernel_demo::{cases, ensure, ensure_eq, ensure_matches};

pub const CASES: &[Case] = cases!("programs":
    hello,
    c24_maps_story,
    c12_lazy,
    c15_pinned,
    c19_segv,
    c19_twins,
    c16_shared,
    c14_foreign,
    c18_realmode,
    churn,
    fork,
    simple,
    spin,
    usertests,
    c20_layout,
    costs,
    c19_each_segmentation_fault_is_reported,
    c19_a_fault_harms_nobody_else,
    spinning_programs_take_turns,
    strict_accounting_refuses,
    overcommit_kills_who_touches_too_much,
    data_limit,
    no_such_program,
    c21_the_seed_decides_the_layout,
    c17_trace,
    fault_around_saves_faults,
    input_is_read,
    each_refused_frame_of_hello_is_survived,
    each_refused_frame_of_maps_story_is_survived,
    each_refused_frame_of_fork_is_survived,
    each_refused_frame_of_pinned_is_survived,
    each_refused_frame_of_simple_is_survived,
    each_refused_frame_of_twins_is_survived,
    each_refused_frame_of_shared_is_survived,
);

const SEGV: Status = Status::Killed(Signal::Segv);
const WELL: Status = Status::Exited(0);

/// Settings of a test: what is written stays in memory.
fn settings() -> Settings {
    Settings { output: Output::Memory(64 << 10), ..Settings::default() }
}

/// Options of a test: the same layout each time.
fn options() -> Options {
    Options { seed: Some(1), ..Options::default() }
}

/// A program and its arguments.
type Command<'a> = (&'static str, &'a [&'a str]);

/// What became of some programs.
struct Ran {
    started: Vec<Started>,
    output: String,
}

impl Ran {
    /// How they ended, in order.
    fn statuses(&self) -> Vec<Status> {
        self.started.iter().filter_map(|started| started.status).collect()
    }

    /// The lines that begin so, without that.
    fn lines<'a>(&'a self, start: &'a str) -> impl Iterator<Item = &'a str> {
        self.output.lines().filter_map(move |line| line.strip_prefix(start))
    }
}

/// Runs programs together in a system of their own, until all have ended. The framework sees to it that every frame is back.
fn run(settings: Settings, options: Options, commands: &[Command<'_>]) -> Result<Ran, Failed> {
    let mut system = KernelSystem::start(settings).or_fail("a system")?;
    for (name, arguments) in commands {
        system.start_program(name, arguments, options).or_fail("a process")?;
    }
    system.run();
    ensure_eq!(system.promised(), 0);
    Ok(Ran { started: system.started().to_vec(), output: String::from(system.output()) })
}

/// Runs a program that checks what it shows, and must find all of it true.
fn shows(name: &'static str, arguments: &[&str]) -> Result<Ran, Failed> {
    let ran = run(settings(), options(), &[(name, arguments)])?;
    ensure!(ran.statuses() == [WELL], "{:?}: {}", ran.statuses(), tail(&ran.output));
    Ok(ran)
}

/// The end of a text, for the report of a failure.
fn tail(text: &str) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(900))..]
}

fn hello() -> CaseResult {
    let ran = shows("hello", &["one", "two"])?;
    ensure_eq!(ran.lines("arguments: ").next(), Some("2"));
    Ok(())
}

fn c24_maps_story() -> CaseResult {
    shows("maps-story", &[]).map(drop)
}

fn c12_lazy() -> CaseResult {
    // The break moves by more memory than there is, so nobody may count what is promised.
    let settings = Settings { accounting: Accounting::Overcommit, ..settings() };
    let ran = run(settings, options(), &[("lazy", &[])])?;
    ensure!(ran.statuses() == [WELL], "{:?}: {}", ran.statuses(), tail(&ran.output));
    Ok(())
}

fn c15_pinned() -> CaseResult {
    shows("pinned", &[]).map(drop)
}

fn c19_segv() -> CaseResult {
    shows("segv", &[]).map(drop)
}

fn c19_twins() -> CaseResult {
    shows("twins", &[]).map(drop)
}

fn c16_shared() -> CaseResult {
    shows("shared", &[]).map(drop)
}

fn c14_foreign() -> CaseResult {
    shows("foreign", &[]).map(drop)
}

fn c18_realmode() -> CaseResult {
    shows("realmode", &[]).map(drop)
}

fn churn() -> CaseResult {
    shows("churn", &[]).map(drop)
}

fn fork() -> CaseResult {
    shows("fork", &[]).map(drop)
}

fn simple() -> CaseResult {
    shows("simple", &[]).map(drop)
}

fn spin() -> CaseResult {
    shows("spin", &[]).map(drop)
}

fn c20_layout() -> CaseResult {
    shows("layout", &[]).map(drop)
}

fn costs() -> CaseResult {
    shows("costs", &["4"]).map(drop)
}

/// xv6's catalogue. One of its cases moves the break by more memory than there is, so nobody may count what is promised.
fn usertests() -> CaseResult {
    let settings = Settings { accounting: Accounting::Overcommit, ..settings() };
    let ran = run(settings, Options { quiet: true, ..options() }, &[("usertests", &[])])?;
    let failed: Vec<&str> = ran.output.lines().filter(|line| line.contains("FAILED") || line.starts_with("  ")).collect();
    ensure!(ran.statuses() == [WELL] && failed.is_empty(), "{:?}: {failed:?} {}", ran.statuses(), tail(&ran.output));
    ensure!(ran.lines("case ").count() > 30, "{}", tail(&ran.output));
    Ok(())
}

fn c19_each_segmentation_fault_is_reported() -> CaseResult {
    for (name, cause) in [
        ("unmapped", Cause::Unmapped),
        ("null", Cause::Null),
        ("kernel", Cause::Kernel),
        ("kernel-write", Cause::Kernel),
        ("text", Cause::WriteToReadOnly),
        ("constant", Cause::WriteToReadOnly),
        ("relocated", Cause::WriteToReadOnly),
        ("execute-data", Cause::ExecuteNoExecute),
        ("execute-stack", Cause::ExecuteNoExecute),
        ("after-shrink", Cause::GivenBack),
        ("after-unmap", Cause::Unmapped),
        ("guard", Cause::Unmapped),
        ("recursion", Cause::StackLimit),
    ] {
        let ran = run(settings(), options(), &[("segv", &[name])])?;
        ensure!(ran.statuses() == [SEGV], "{name}: {:?}: {}", ran.statuses(), tail(&ran.output));
        let crash = ran.started[0].crash.or_fail("a report")?;
        ensure_matches!(crash.reason, Reason::Access(_, found) if found == cause);
        ensure!(ran.output.contains("process 1 (segv): Segmentation fault: "), "{}", tail(&ran.output));
    }
    let ran = run(settings(), options(), &[("segv", &["not-canonical"])])?;
    ensure_eq!(ran.statuses(), [SEGV]);
    ensure_matches!(ran.started[0].crash.or_fail("a report")?.reason, Reason::Exception { vector: 13, .. });
    Ok(())
}

fn c19_a_fault_harms_nobody_else() -> CaseResult {
    let ran = run(settings(), options(), &[("churn", &["500"]), ("segv", &["null"]), ("twins", &[]), ("segv", &["recursion"])])?;
    ensure!(ran.statuses() == [WELL, SEGV, WELL, SEGV], "{:?}: {}", ran.statuses(), tail(&ran.output));
    Ok(())
}

fn spinning_programs_take_turns() -> CaseResult {
    let ran = run(settings(), options(), &[("spin", &["3000000"]), ("spin", &["3000000"]), ("hello", &[])])?;
    ensure!(ran.statuses() == [WELL; 3], "{:?}: {}", ran.statuses(), tail(&ran.output));
    ensure!(ran.started[..2].iter().all(|spin| spin.usage.involuntary_switches > 0), "no tick came");
    ensure!(ran.output.find("hello") < ran.output.find("spun"), "hello waited for the others: {}", tail(&ran.output));
    Ok(())
}

fn strict_accounting_refuses() -> CaseResult {
    let ran = shows("hungry", &["1000"])?;
    ensure_eq!(ran.lines("refused: ").count(), 1);
    Ok(())
}

fn overcommit_kills_who_touches_too_much() -> CaseResult {
    let settings = Settings { accounting: Accounting::Overcommit, ..settings() };
    let ran = run(settings, options(), &[("hungry", &["1000"]), ("spin", &[])])?;
    ensure!(ran.statuses() == [Status::Killed(Signal::Kill), WELL], "{:?}: {}", ran.statuses(), tail(&ran.output));
    ensure_matches!(ran.started[0].crash.or_fail("a report")?.reason, Reason::OutOfFrames(..));
    Ok(())
}

fn no_such_program() -> CaseResult {
    let mut system = KernelSystem::start(settings()).or_fail("a system")?;
    ensure_eq!(system.start_program("hell", &[], options()), Err(SpawnError::Errno(Errno::ENOENT)));
    Ok(())
}

fn data_limit() -> CaseResult {
    let ran = run(settings(), Options { data_limit: Some(4 << 20), ..options() }, &[("hungry", &["100"])])?;
    ensure!(ran.statuses() == [WELL], "{:?}: {}", ran.statuses(), tail(&ran.output));
    ensure!(ran.lines("had: ").eq(["3 MiB"]), "{}", tail(&ran.output));
    Ok(())
}

fn c21_the_seed_decides_the_layout() -> CaseResult {
    let maps = |seed| -> Result<Ran, Failed> { run(settings(), Options { seed, ..options() }, &[("maps-story", &[])]) };
    let (first, again, other, chance) = (maps(Some(7))?, maps(Some(7))?, maps(Some(8))?, maps(None)?);
    ensure!(first.output == again.output, "{}", tail(&again.output));
    ensure!(first.output != other.output && first.output != chance.output, "{}", tail(&other.output));
    Ok(())
}

fn c17_trace() -> CaseResult {
    let ran = run(settings(), Options { trace: Trace::CallsAndFaults, ..options() }, &[("maps-story", &[])])?;
    ensure_eq!(ran.statuses(), [WELL]);
    for start in
        ["brk(NULL) ", "brk(0x", "exit(0)                                 = ?", "+++ exited with 0 +++", "--- page fault {"]
    {
        ensure!(ran.lines("[pid     1] ").any(|line| line.starts_with(start)), "no line {start:?} in {}", tail(&ran.output));
    }
    Ok(())
}

fn fault_around_saves_faults() -> CaseResult {
    let faults = |pages| -> Result<u64, Failed> {
        let fault_around = FaultAround::pages(pages).or_fail("a power of two")?;
        let ran = run(Settings { fault_around, ..settings() }, options(), &[("hungry", &["4"])])?;
        ensure_eq!(ran.statuses(), [WELL]);
        Ok(ran.started[0].usage.minor_faults)
    };
    let (alone, sixteen) = (faults(1)?, faults(16)?);
    ensure!(alone > 1024 && sixteen < alone - 900, "{alone} faults alone, {sixteen} with sixteen pages each");
    Ok(())
}

fn input_is_read() -> CaseResult {
    let settings = Settings { input: Input::Text(b"first line\nsecond"), ..settings() };
    let ran = run(settings, options(), &[("echo", &[])])?;
    ensure_eq!((ran.statuses()[0], ran.output.as_str()), (WELL, "read: first line\nread: second\nlines: 2\n"));
    Ok(())
}

fn each_refused_frame_of_hello_is_survived() -> CaseResult {
    each_refused_frame_is_survived("hello", 30)
}

fn each_refused_frame_of_maps_story_is_survived() -> CaseResult {
    each_refused_frame_is_survived("maps-story", 50)
}

fn each_refused_frame_of_fork_is_survived() -> CaseResult {
    each_refused_frame_is_survived("fork", 100)
}

fn each_refused_frame_of_pinned_is_survived() -> CaseResult {
    each_refused_frame_is_survived("pinned", 50)
}

fn each_refused_frame_of_simple_is_survived() -> CaseResult {
    each_refused_frame_is_survived("simple", 50)
}

fn each_refused_frame_of_twins_is_survived() -> CaseResult {
    each_refused_frame_is_survived("twins", 50)
}

fn each_refused_frame_of_shared_is_survived() -> CaseResult {
    each_refused_frame_is_survived("shared", 100)
}

/// Whichever frame is refused while a program is loaded, runs and ends: the kernel goes on, and every frame is back. At least so
/// many frames are asked for.
///
/// A process that waits for a word in shared memory from one that was killed waits for ever: such a system is given up after some
/// turns.
fn each_refused_frame_is_survived(name: &'static str, least: usize) -> CaseResult {
    const MOST_TURNS: usize = 1000;
    let requests = fail_nth(|| {
        let Ok(mut system) = KernelSystem::start(settings()) else { return Ok(()) };
        if let Ok(pid) = system.start_program(name, &[], Options { quiet: true, ..options() }) {
            let _ = (0..MOST_TURNS).any(|_| !system.step());
            let status = system.outcome(pid).and_then(|started| started.status);
            ensure!(status != Some(SEGV), "{}", tail(system.output()));
        }
        Ok(())
    })?;
    ensure!(requests > least, "{name}: only {requests} frames were asked for");
    Ok(())
}
