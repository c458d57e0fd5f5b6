//! The kernel that has nothing in common with ours but the allocator: boots once, and must run its
//! tests.

use std::path::Path;

use crate::judge::Judge;
use crate::protocol::Event;
use crate::qemu::Machine;
use crate::suite::{LIMITS, progress};
use crate::tally::{Failure, Kind, Tally};

/// What it is called where a failure is no test's.
const NAME: &str = "other kernel";

/// Boots it and adds up its tests. `on_event` gets each event as it happens.
pub fn run(
    qemu: &Path,
    image: &Path,
    machine: &Machine,
    mut on_event: impl FnMut(&Event),
) -> Tally {
    let mut judge = Judge::default();
    let ending = machine.boot(qemu, image, &[], LIMITS, |bytes| {
        let events = judge.feed(bytes);
        events.iter().for_each(&mut on_event);
        progress(&events)
    });
    let tally = judge.finish(NAME, &ending).into_tally();
    if tally.ran() == 0 {
        let reason = vec!["it ended well, but ran no test".into()];
        return Tally::one_failed(Failure::new(NAME, Kind::Empty, reason));
    }
    tally
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::project::Project;

    #[test]
    fn it_takes_the_allocator_with_the_readmes_lines() {
        let project = Project::find().unwrap();
        let readme = fs::read_to_string(project.root().join("README.md")).unwrap();
        let kernel = fs::read_to_string(project.other_kernel().join("src/main.rs")).unwrap();
        let example = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
        let example = example.expect("the README has an example in Rust");
        assert!(
            example.contains("#[global_allocator]"),
            "the first example is the heap's set-up: {example}"
        );
        // Where lines break is for who formats either.
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words(&kernel).contains(&words(example)),
            "expected in tests/other-kernel/src/main.rs:\n{example}"
        );
    }
}
