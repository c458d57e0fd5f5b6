//! The demo kernel's suite: what `kerntest` does not know of it.

use std::env;
use std::path::PathBuf;

use kerntest::{Failure, Machine, Selection, Suite};

use crate::project::Project;

/// The suite of this image: the cases whose names contain a part of `filter`, separated by commas,
/// and so many random programs of each property test. `None`: all, and as many as the kernel has.
pub fn new(
    project: &Project,
    image: PathBuf,
    machine: Machine,
    filter: Option<&str>,
    programs: Option<u32>,
) -> Suite {
    let programs = programs.map(|number| ("programs".to_owned(), number.to_string()));
    // Random programs make other calls with another seed.
    let seed = env::var("SEED").ok().map(|seed| ("seed".to_owned(), seed));
    Suite {
        selection: filter.map(Selection::containing).unwrap_or_default(),
        options: programs.into_iter().chain(seed).collect(),
        source: project.root().to_owned(),
        ..Suite::new(machine, image)
    }
}

/// The host's cases that the kernel does not run, `module::case`, or whole modules of them; each
/// with the reason.
///
/// # Errors
///
/// The kernel did not get to its end.
pub fn host_only(suite: &Suite) -> Result<Vec<(String, String)>, Failure> {
    let output = suite.ask("list", "host-only")?;
    let pairs = output.lines().filter_map(|line| line.trim_end().split_once(' '));
    Ok(pairs.map(|(name, reason)| (name.to_owned(), reason.to_owned())).collect())
}
