//! Each frame of whole runs is refused once.

use kernel_demo::kernel::KernelSystem;
use kernel_demo::system::Options;
use kernel_demo::testing::{CaseResult, fail_nth};
use kernel_demo::{ensure, programs};

use super::{SEGV, options, settings, tail};

use crate::common::case;

/// A program, its arguments, and how many frames it asks for at least.
type Run = (&'static str, &'static [&'static str], usize);

/// Programs that do too much without arguments: each run is made once for each request. One that is
/// not here runs without.
const RUNS: [&[Run]; 9] = [
    &[("hello", &[], 30), ("layout", &[], 30), ("echo", &[], 30), ("realmode", &[], 30)],
    &[("maps-story", &[], 50), ("pinned", &[], 50), ("simple", &[], 50), ("foreign", &[], 50)],
    &[("fork", &[], 100), ("twins", &[], 50), ("segv", &["null"], 30), ("spin", &["1000"], 30)],
    &[("shared", &[], 100), ("lazy", &["64"], 30), ("touch", &["16", "1"], 40)],
    &[
        ("churn", &["30"], 50),
        ("hungry", &["1"], 50),
        ("costs", &["1"], 50),
        ("fuzz", &["1", "2", "20"], 50),
    ],
    &[
        ("pressure", &["objects", "3"], 40),
        ("pressure", &["areas", "4", "2"], 50),
        ("usertests", &["list"], 30),
    ],
    &[("threads", &["4"], 100), ("one-lock", &[], 50), ("shootdown", &["1", "munmap"], 50)],
    &[("thread-arenas", &[], 60), ("passed-on", &[], 50), ("strategies", &[], 50)],
    &[
        ("shell", &[], 30),
        ("cells", &[], 40),
        ("live", &[], 30),
        ("words", &[], 30),
        ("textbook", &[], 30),
        ("first", &[], 30),
        ("liar", &[], 20),
    ],
];

#[case]
fn each_refused_frame_is_survived_0() -> CaseResult {
    survived(0)
}

#[case]
fn each_refused_frame_is_survived_1() -> CaseResult {
    survived(1)
}

#[case]
fn each_refused_frame_is_survived_2() -> CaseResult {
    survived(2)
}

#[case]
fn each_refused_frame_is_survived_3() -> CaseResult {
    survived(3)
}

#[case]
fn each_refused_frame_is_survived_4() -> CaseResult {
    survived(4)
}

#[case]
fn each_refused_frame_is_survived_5() -> CaseResult {
    survived(5)
}

#[case]
fn each_refused_frame_is_survived_6() -> CaseResult {
    survived(6)
}

#[case]
fn each_refused_frame_is_survived_7() -> CaseResult {
    survived(7)
}

#[case]
fn each_refused_frame_is_survived_8() -> CaseResult {
    survived(8)
}

/// A new program is a file and nothing else.
#[case]
fn each_refused_frame_is_survived_by_each_other_program() -> CaseResult {
    let is_known = |name: &str| RUNS.iter().copied().flatten().any(|run| run.0 == name);
    programs::names()
        .filter(|name| !is_known(name))
        .try_for_each(|name| each_refused_frame_is_survived((name, &[], 10)))
}

fn survived(part: usize) -> CaseResult {
    RUNS[part].iter().try_for_each(|run| each_refused_frame_is_survived(*run))
}

/// Whichever frame is refused while a program is loaded, runs and ends: the kernel goes on, and
/// every frame is back. At least so many frames are asked for.
///
/// A process that waits for a word in shared memory from one that was killed waits for ever: such a
/// system is given up after some turns.
fn each_refused_frame_is_survived((name, arguments, least): Run) -> CaseResult {
    const MOST_TURNS: usize = 1000;
    let requests = fail_nth(|| {
        let Ok(mut system) = KernelSystem::start(settings()) else { return Ok(()) };
        if let Ok(pid) = system.start_program(name, arguments, Options { quiet: true, ..options() })
        {
            let _ = (0..MOST_TURNS).any(|_| !system.step());
            let status = system.outcome(pid).and_then(|started| started.status);
            ensure!(status != Some(SEGV) || name == "segv", "{}", tail(system.output()));
        }
        Ok(())
    })?;
    ensure!(requests > least, "{name}: only {requests} frames were asked for");
    Ok(())
}
