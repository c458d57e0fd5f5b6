//! The tour: the kernel shows claim after claim with its evidence, and its exit status is the
//! verdict.

use std::path::Path;
use std::time::Duration;

use crate::judge::{Ending, exit};
use crate::qemu::{Limits, Machine, Progress};
use crate::tally::{Failure, Kind};

/// How long the whole tour may take.
const LIMIT: Duration = Duration::from_secs(120);

/// So many of the last lines are kept for the report on a crash.
const LAST_LINES: usize = 30;

/// Boots the tour, with `keys` for it to read, and judges it; `None` if it passed. `on_bytes` gets
/// what it writes as it comes.
pub fn run(
    qemu: &Path,
    image: &Path,
    machine: &Machine,
    keys: &[(&str, &str)],
    mut on_bytes: impl FnMut(&[u8]),
) -> Option<Failure> {
    let mut output = Vec::new();
    let ending = machine.boot(qemu, image, keys, Limits::both(LIMIT), |bytes| {
        output.extend_from_slice(bytes);
        on_bytes(bytes);
        Progress::None
    });
    verdict(&String::from_utf8_lossy(&output), &ending)
}

/// What is wrong with a tour that wrote `output` and ended like this.
fn verdict(output: &str, ending: &Ending) -> Option<Failure> {
    let failed = |kind, details| Some(Failure::new("tour", kind, details));
    let unfulfilled: Vec<String> =
        output.lines().filter(|line| line.contains("FAILED")).map(str::to_owned).collect();
    if let Some((kind, mut details)) = ending.cause() {
        let lines: Vec<&str> = output.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        details.extend(last.iter().map(|&line| line.to_owned()));
        return failed(kind, details);
    }
    match (ending.says_all_passed(), unfulfilled.is_empty()) {
        (true, true) if !output.lines().any(|line| line.starts_with("[C")) => {
            failed(Kind::Empty, vec!["it showed no claim".into()])
        }
        (true, true) => None,
        (false, false) => failed(Kind::Assertion, unfulfilled),
        (true, false) => {
            let mut details = vec![format!("it ended with status {}, but wrote:", exit::PASSED)];
            details.extend(unfulfilled);
            failed(Kind::Contradiction, details)
        }
        (false, true) => {
            let details = vec![format!("{ending}, but no line says FAILED")];
            failed(Kind::Contradiction, details)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(output: &str, status: i32) -> Option<Kind> {
        let stderr = String::new();
        verdict(output, &Ending::Exited { status, stderr }).map(|failure| failure.kind)
    }

    #[test]
    fn a_tour_passes_only_if_text_and_status_agree() {
        let good = "[C1] shown\n";
        let bad = "[C1] shown\n[C2] FAILED: expected 1, found 2\n";
        assert_eq!(kind(good, 33), None);
        assert_eq!(kind(bad, 35), Some(Kind::Assertion));
        assert_eq!(kind(bad, 33), Some(Kind::Contradiction));
        assert_eq!(kind(good, 35), Some(Kind::Contradiction));
        assert_eq!(kind("", 33), Some(Kind::Empty));
    }

    #[test]
    fn a_tour_that_crashes_says_how() {
        for (status, expected) in
            [(37, Kind::Panic), (39, Kind::Fault), (0, Kind::TripleFault), (1, Kind::Emulator)]
        {
            assert_eq!(kind("[C1] shown\n", status), Some(expected));
        }
    }

    #[test]
    fn a_tour_that_hangs_shows_where() {
        let failure = verdict("[C1] shown\n[C2] next", &Ending::TimedOut(LIMIT)).unwrap();
        assert_eq!(failure.kind, Kind::TimeOut);
        assert_eq!(failure.details[2], "[C2] next");
    }
}
