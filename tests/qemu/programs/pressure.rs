//! Programs that ask for much of one thing, beside others that must not notice.

use kernel_demo::cpu;
use kernel_demo::kernel::KernelSystem;
use kernel_demo::system::{Accounting, Options, Settings};
use kernel_demo::testing::{CaseResult, OrFail};
use kernel_demo::words::{Signal, Status};
use kernel_demo::{ensure, ensure_eq};

use super::{Command, WELL, options, run, settings, shows, tail};

use crate::common::case;
use crate::counts;

/// Frames that a CPU's arena for interrupt handlers keeps once one has allocated: a segment of
/// 64 KiB, which need not begin with a page.
const OF_HANDLERS: usize = 17;

/// A program that is promised 8 MiB, and touches them after the others have had their turns.
const PROMISED: Command<'_> = ("pressure", &["promised", "8"]);

#[case]
fn page_tables_are_charged_so_a_strict_promise_is_kept() -> CaseResult {
    let ran = run(settings(), options(), &[PROMISED, ("pressure", &["tables", "100"])])?;
    ensure!(ran.statuses() == [WELL; 2], "{:?}: {}", ran.statuses(), tail(&ran.output));
    ensure_eq!(ran.lines("refused: ").count(), 1);
    let ran = run(settings(), options(), &[PROMISED, ("pressure", &["tables", "4"])])?;
    ensure!(ran.statuses() == [WELL; 2], "{:?}: {}", ran.statuses(), tail(&ran.output));
    ensure_eq!(ran.lines("page tables: ").next(), Some("2048"));
    Ok(())
}

#[case]
fn with_overcommit_page_tables_end_only_the_process_that_touches() -> CaseResult {
    let settings = Settings { accounting: Accounting::Overcommit, ..settings() };
    let options = Options { quiet: true, ..options() };
    let ran = run(settings, options, &[("pressure", &["tables", "200"]), ("spin", &["1000"])])?;
    ensure!(
        ran.statuses() == [Status::Killed(Signal::SIGKILL), WELL],
        "{:?}: {}",
        ran.statuses(),
        tail(&ran.output)
    );
    Ok(())
}

#[case]
fn many_shared_objects() -> CaseResult {
    let ran = shows("pressure", &["objects", "900"])?;
    ensure_eq!(ran.lines("objects: ").next(), Some("900"));
    Ok(())
}

#[case]
fn calls_on_large_ranges_let_others_run() -> CaseResult {
    let settings =
        Settings { output: kernel_demo::system::console::Output::Memory(128 << 10), ..settings() };
    let ran = run(settings, options(), &[("pressure", &["large", "16"]), ("hello", &[])])?;
    ensure!(ran.statuses() == [WELL; 2], "{:?}: {}", ran.statuses(), tail(&ran.output));
    Ok(())
}

/// The kernel's heap gives back what its notes about the processes took: while their parent still
/// runs all but some segments of arenas, and what has been freed since it was trimmed.
#[case]
fn the_kernels_heap_shrinks_after_a_load() -> CaseResult {
    let before = counts().free;
    {
        let mut system = KernelSystem::start(settings()).or_fail("a system")?;
        let pid = system.start_program("pressure", &["areas", "500", "30"], options());
        let pid = pid.or_fail("a process")?;
        system.run_on_all_cpus();
        let status = system.outcome(pid).and_then(|started| started.status);
        ensure!(status == Some(WELL), "{status:?}: {}", tail(system.output()));
        let output = system.output();
        ensure!(output.contains("areas: 500 more, in 30 children too"), "{}", tail(output));
        let frames = |what| {
            let mut lines = output.lines().filter_map(|line| line.strip_prefix(what));
            lines.next().and_then(|line| line.parse::<usize>().ok()).or_fail("a count")
        };
        let (taken, stay) = (frames("frames that children took: ")?, frames("frames that stay: ")?);
        ensure!(stay <= taken / 2, "of {taken} frames {stay} stay");
    }
    let stay = before.saturating_sub(counts().free);
    ensure!(stay <= OF_HANDLERS * cpu::online(), "{stay} frames stay");
    Ok(())
}
