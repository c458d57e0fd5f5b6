//! Each program alone, and beside others: how it ends, and the report if that is a fault.

use alloc::vec::Vec;

use kernel_demo::address_space::Cause;
use kernel_demo::system::crash::Reason;
use kernel_demo::system::{Accounting, Options, Settings};
use kernel_demo::testing::{CaseResult, OrFail};
use kernel_demo::{ensure, ensure_eq, ensure_matches, programs};

use super::{SEGV, WELL, options, run, settings, shows, tail};

use crate::common::case;

#[case]
fn hello() -> CaseResult {
    let ran = shows("hello", &["one", "two"])?;
    ensure_eq!(ran.lines("arguments: ").next(), Some("2"));
    Ok(())
}

#[case]
fn c24_maps_story() -> CaseResult {
    shows("maps-story", &[]).map(drop)
}

#[case]
fn c12_lazy() -> CaseResult {
    // The break moves by more memory than there is, so nobody may count what is promised.
    let settings = Settings { accounting: Accounting::Overcommit, ..settings() };
    let ran = run(settings, options(), &[("lazy", &[])])?;
    ensure!(ran.statuses() == [WELL], "{:?}: {}", ran.statuses(), tail(&ran.output));
    Ok(())
}

#[case]
fn c15_pinned() -> CaseResult {
    shows("pinned", &[]).map(drop)
}

#[case]
fn c19_segv() -> CaseResult {
    shows("segv", &[]).map(drop)
}

#[case]
fn c19_twins() -> CaseResult {
    shows("twins", &[]).map(drop)
}

#[case]
fn c16_shared() -> CaseResult {
    shows("shared", &[]).map(drop)
}

#[case]
fn c14_foreign() -> CaseResult {
    shows("foreign", &[]).map(drop)
}

#[case]
fn c18_realmode() -> CaseResult {
    shows("realmode", &[]).map(drop)
}

#[case]
fn churn() -> CaseResult {
    shows("churn", &[]).map(drop)
}

#[case]
fn fork() -> CaseResult {
    shows("fork", &[]).map(drop)
}

#[case]
fn simple() -> CaseResult {
    shows("simple", &[]).map(drop)
}

#[case]
fn spin() -> CaseResult {
    shows("spin", &[]).map(drop)
}

#[case]
fn c20_layout() -> CaseResult {
    shows("layout", &[]).map(drop)
}

#[case]
fn costs() -> CaseResult {
    shows("costs", &["4"]).map(drop)
}

#[case]
fn touch() -> CaseResult {
    let ran = shows("touch", &["512", "32"])?;
    ensure_eq!(
        (ran.lines("pages written: ").next(), ran.lines("faults: ").next()),
        (Some("16"), Some("16"))
    );
    Ok(())
}

/// Programs that other cases run, each with the end that it must come to.
const ELSEWHERE: [&str; 21] = [
    "churn",
    "costs",
    "echo",
    "foreign",
    "fork",
    "fuzz",
    "hello",
    "hungry",
    "layout",
    "lazy",
    "maps-story",
    "pinned",
    "pressure",
    "realmode",
    "segv",
    "shared",
    "simple",
    "spin",
    "touch",
    "twins",
    "usertests",
];

/// A new program is a file and nothing else: it runs here without arguments, and must end well.
#[case]
fn each_other_program_ends_well() -> CaseResult {
    for name in programs::names().filter(|name| !ELSEWHERE.contains(name)) {
        shows(name, &[])?;
    }
    Ok(())
}

/// xv6's catalogue. One of its cases moves the break by more memory than there is, so nobody may
/// count what is promised.
#[case]
fn usertests() -> CaseResult {
    let settings = Settings { accounting: Accounting::Overcommit, ..settings() };
    let ran = run(settings, Options { quiet: true, ..options() }, &[("usertests", &[])])?;
    let failed: Vec<&str> = ran
        .output
        .lines()
        .filter(|line| line.contains("FAILED") || line.starts_with("  "))
        .collect();
    ensure!(
        ran.statuses() == [WELL] && failed.is_empty(),
        "{:?}: {failed:?} {}",
        ran.statuses(),
        tail(&ran.output)
    );
    ensure!(ran.lines("case ").count() > 30, "{}", tail(&ran.output));
    Ok(())
}

#[case]
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
        ensure!(
            ran.output.contains("process 1 (segv): Segmentation fault: "),
            "{}",
            tail(&ran.output)
        );
    }
    let ran = run(settings(), options(), &[("segv", &["not-canonical"])])?;
    ensure_eq!(ran.statuses(), [SEGV]);
    ensure_matches!(
        ran.started[0].crash.or_fail("a report")?.reason,
        Reason::Exception { vector: 13, .. }
    );
    Ok(())
}

#[case]
fn c19_a_fault_harms_nobody_else() -> CaseResult {
    let ran = run(
        settings(),
        options(),
        &[("churn", &["500"]), ("segv", &["null"]), ("twins", &[]), ("segv", &["recursion"])],
    )?;
    ensure!(
        ran.statuses() == [WELL, SEGV, WELL, SEGV],
        "{:?}: {}",
        ran.statuses(),
        tail(&ran.output)
    );
    Ok(())
}
