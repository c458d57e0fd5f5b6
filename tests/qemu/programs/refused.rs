//! Each frame of whole runs is refused once.

use kernel_demo::system::{KernelSystem, Options};
use kernel_demo::testing::{CaseResult, fail_nth};
use kernel_demo::ensure;

use super::{SEGV, options, settings, tail};

use crate::common::case;

#[case]
fn each_refused_frame_of_hello_is_survived() -> CaseResult {
    each_refused_frame_is_survived("hello", 30)
}

#[case]
fn each_refused_frame_of_maps_story_is_survived() -> CaseResult {
    each_refused_frame_is_survived("maps-story", 50)
}

#[case]
fn each_refused_frame_of_fork_is_survived() -> CaseResult {
    each_refused_frame_is_survived("fork", 100)
}

#[case]
fn each_refused_frame_of_pinned_is_survived() -> CaseResult {
    each_refused_frame_is_survived("pinned", 50)
}

#[case]
fn each_refused_frame_of_simple_is_survived() -> CaseResult {
    each_refused_frame_is_survived("simple", 50)
}

#[case]
fn each_refused_frame_of_twins_is_survived() -> CaseResult {
    each_refused_frame_is_survived("twins", 50)
}

#[case]
fn each_refused_frame_of_shared_is_survived() -> CaseResult {
    each_refused_frame_is_survived("shared", 100)
}

/// Whichever frame is refused while a program is loaded, runs and ends: the kernel goes on, and
/// every frame is back. At least so many frames are asked for.
///
/// A process that waits for a word in shared memory from one that was killed waits for ever: such a
/// system is given up after some turns.
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
