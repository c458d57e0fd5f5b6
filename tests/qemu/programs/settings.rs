//! What the settings of a system and the options of a program do.

use kernel_demo::address_space::{Cause, Errno};
use kernel_demo::kernel::KernelSystem;
use kernel_demo::system::console::Input;
use kernel_demo::system::crash::Reason;
use kernel_demo::system::{Accounting, Options, Settings, Tracing};
use kernel_demo::testing::{CaseResult, Failed, OrFail};
use kernel_demo::words::{Signal, Status};
use kernel_demo::{ensure, ensure_eq, ensure_matches};

use super::{Ran, WELL, options, run, settings, shows, tail};

use crate::common::case;

#[case]
fn spinning_programs_take_turns() -> CaseResult {
    let ran = run(
        settings(),
        options(),
        &[("spin", &["3000000"]), ("spin", &["3000000"]), ("hello", &[])],
    )?;
    ensure!(ran.statuses() == [WELL; 3], "{:?}: {}", ran.statuses(), tail(&ran.output));
    ensure!(
        ran.started[..2].iter().all(|spin| spin.usage.involuntary_switches > 0),
        "no tick came"
    );
    ensure!(
        ran.output.find("hello") < ran.output.find("spun"),
        "hello waited for the others: {}",
        tail(&ran.output)
    );
    Ok(())
}

#[case]
fn strict_accounting_refuses() -> CaseResult {
    let ran = shows("hungry", &["1000"])?;
    ensure_eq!(ran.lines("refused: ").count(), 1);
    Ok(())
}

#[case]
fn overcommit_kills_who_touches_too_much() -> CaseResult {
    let settings = Settings { accounting: Accounting::Overcommit, ..settings() };
    let ran = run(settings, options(), &[("hungry", &["1000"]), ("spin", &[])])?;
    ensure!(
        ran.statuses() == [Status::Killed(Signal::SIGKILL), WELL],
        "{:?}: {}",
        ran.statuses(),
        tail(&ran.output)
    );
    ensure_matches!(
        ran.started[0].crash.or_fail("a report")?.reason,
        Reason::Access(_, Cause::OutOfFrames(_))
    );
    Ok(())
}

#[case]
fn no_such_program() -> CaseResult {
    let mut system = KernelSystem::start(settings()).or_fail("a system")?;
    ensure_eq!(system.start_program("hell", &[], options()), Err(Errno::ENOENT));
    Ok(())
}

#[case]
fn data_limit() -> CaseResult {
    let ran = run(
        settings(),
        Options { data_limit: Some(4 << 20), ..options() },
        &[("hungry", &["100"])],
    )?;
    ensure!(ran.statuses() == [WELL], "{:?}: {}", ran.statuses(), tail(&ran.output));
    ensure!(ran.lines("had: ").eq(["3 MiB"]), "{}", tail(&ran.output));
    Ok(())
}

#[case]
fn c21_the_seed_decides_the_layout() -> CaseResult {
    let maps = |seed| -> Result<Ran, Failed> {
        run(settings(), Options { seed, ..options() }, &[("maps-story", &[])])
    };
    let (first, again, other, chance) =
        (maps(Some(7))?, maps(Some(7))?, maps(Some(8))?, maps(None)?);
    ensure!(first.output == again.output, "{}", tail(&again.output));
    ensure!(
        first.output != other.output && first.output != chance.output,
        "{}",
        tail(&other.output)
    );
    Ok(())
}

#[case]
fn c17_trace() -> CaseResult {
    let ran = run(
        settings(),
        Options { trace: Tracing::CallsAndFaults, ..options() },
        &[("maps-story", &[])],
    )?;
    ensure_eq!(ran.statuses(), [WELL]);
    for start in [
        "brk(NULL) ",
        "brk(0x",
        "exit_group(0)                           = ?",
        "+++ exited with 0 +++",
        "--- page fault {",
    ] {
        ensure!(
            ran.lines("[pid     1] ").any(|line| line.starts_with(start)),
            "no line {start:?} in {}",
            tail(&ran.output)
        );
    }
    Ok(())
}

#[case]
fn input_is_read() -> CaseResult {
    let settings = Settings { input: Input::Text(b"first line\nsecond"), ..settings() };
    let ran = run(settings, options(), &[("echo", &[])])?;
    ensure_eq!(
        (ran.statuses()[0], ran.output.as_str()),
        (WELL, "read: first line\nread: second\nlines: 2\n")
    );
    Ok(())
}
