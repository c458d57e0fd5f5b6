//! The README's excerpt of the tour, taken from a run: no figure in it is typed in by hand.

use std::fs;

use crate::Error;
use crate::project::Project;

/// What stands before and behind the excerpt.
const BEGIN: &str = "<!-- excerpt: written by `make readme` from a run of the tour -->\n";
const END: &str = "<!-- end of excerpt -->\n";

/// The claim that is shown in full.
const CLAIM: &str = "[C12] Moving the break reserves addresses";

/// Maximum number of its lines.
const MOST_LINES: usize = 15;

/// Puts the excerpt of `tour`, what the tour wrote, into the README.
pub fn update(project: &Project, tour: &str) -> Result<(), Error> {
    let path = project.root().join("README.md");
    let name = || path.display().to_string();
    let readme = fs::read_to_string(&path).map_err(|error| Error::Run(name(), error))?;
    let updated = excerpt(tour).and_then(|excerpt| replace(&readme, &excerpt));
    let updated =
        updated.map_err(|missing| Error::Build("the README's excerpt".into(), vec![missing]))?;
    fs::write(&path, updated).map_err(|error| Error::Run(name(), error))
}

/// The beginning of one claim.
fn excerpt(tour: &str) -> Result<String, String> {
    let from = tour.find(CLAIM).ok_or_else(|| format!("the tour wrote no {CLAIM:?}"))?;
    let len = tour[from..].find("\n\n").unwrap_or(tour.len() - from);
    let claim: Vec<_> = tour[from..from + len].trim_end().lines().take(MOST_LINES).collect();
    Ok(format!("```text\n{}\n  …\n```\n", claim.join("\n")))
}

/// The README with another excerpt between the marks.
fn replace(readme: &str, excerpt: &str) -> Result<String, String> {
    let (before, rest) = readme
        .split_once(BEGIN)
        .ok_or_else(|| format!("the README has no {:?}", BEGIN.trim_end()))?;
    let (_, after) =
        rest.split_once(END).ok_or_else(|| format!("the README has no {:?}", END.trim_end()))?;
    Ok([before, BEGIN, excerpt, END, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOUR: &str = "[C11] one\n  ok\n\n[C12] Moving the break reserves addresses and so on\n  evidence\n\n[C13] no\n";

    #[test]
    fn the_excerpt_is_the_beginning_of_one_claim() {
        let expected =
            "```text\n[C12] Moving the break reserves addresses and so on\n  evidence\n  …\n```\n";
        assert_eq!(excerpt(TOUR).as_deref(), Ok(expected));
        assert!(excerpt("[C11] one\n").is_err());
    }

    #[test]
    fn only_what_stands_between_the_marks_changes() {
        let readme = format!("before\n{BEGIN}old\n{END}after\n");
        assert_eq!(replace(&readme, "new\n"), Ok(format!("before\n{BEGIN}new\n{END}after\n")));
        assert!(replace("no marks", "new").is_err());
    }
}
