//! Places in the source, as somebody who works on the project types them: relative to its root.
//!
//! The compiler was told other paths. For this package and the suite they are relative to its folder
//! (`src/boot.rs`, `../tests/qemu/../fit.rs`), for the allocator beside it they are absolute.

use core::fmt::{self, Display};
use core::panic::Location;

/// This package's folder, absolute.
const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

/// No path has more parts than this.
const MOST_PARTS: usize = 64;

/// A place to print: `tests/fit.rs:12:5`.
pub struct Place<'a>(pub &'a Location<'a>);

impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(location) = self;
        write!(f, "{}:{}:{}", File(location.file()), location.line(), location.column())
    }
}

/// A source file, relative to the project's root; one of other people's code as it is.
struct File<'a>(&'a str);

impl Display for File<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (root, package) = PACKAGE.rsplit_once('/').unwrap_or(("", PACKAGE));
        let path = match self.0.strip_prefix(root).and_then(|rest| rest.strip_prefix('/')) {
            Some(path) => ["", path],
            None if self.0.starts_with('/') => return f.write_str(self.0),
            None => [package, self.0],
        };
        let mut parts = [""; MOST_PARTS];
        let mut len = 0_usize;
        for part in path.iter().flat_map(|path| path.split('/')) {
            match part {
                "" | "." => {}
                ".." => len = len.saturating_sub(1),
                part if len < MOST_PARTS => {
                    parts[len] = part;
                    len += 1;
                }
                _ => return f.write_str(self.0),
            }
        }
        for (index, part) in parts[..len].iter().enumerate() {
            f.write_str(if index > 0 { "/" } else { "" })?;
            f.write_str(part)?;
        }
        Ok(())
    }
}

/// What a panic says: its message, with each line but the first one below it and indented, as the
/// details of a failure are.
pub struct Message<'a>(pub &'a dyn Display);

impl Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Write::write_fmt(&mut Indented { f, starts_line: false }, format_args!("{}", self.0))
    }
}

/// Puts two spaces in front of each further line, in place of those that are there.
struct Indented<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    starts_line: bool,
}

impl fmt::Write for Indented<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            match char {
                '\n' => {
                    self.f.write_str("\n  ")?;
                    self.starts_line = true;
                }
                ' ' if self.starts_line => {}
                char => {
                    self.starts_line = false;
                    self.f.write_char(char)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::{concat, env, format};

    use super::*;

    #[test]
    fn files_are_those_of_the_project() {
        let file = |path: &str| File(path).to_string();
        assert_eq!(file("src/boot.rs"), "kernel-demo/src/boot.rs");
        assert_eq!(file("../tests/qemu/../fit.rs"), "tests/fit.rs");
        assert_eq!(file("../tests/qemu/./boot.rs"), "tests/qemu/boot.rs");
        assert_eq!(file(concat!(env!("CARGO_MANIFEST_DIR"), "/../src/x.rs")), "src/x.rs");
        assert_eq!(file("/elsewhere/x.rs"), "/elsewhere/x.rs");
        assert!(
            Place(Location::caller()).to_string().starts_with("kernel-demo/src/testing/place.rs:")
        );
    }

    #[test]
    fn both_values_of_an_assertion_are_details() {
        let message = "assertion `left == right` failed: sum\n  left: 4\n right: 5";
        let text = format!("{}", Message(&message));
        assert_eq!(text, "assertion `left == right` failed: sum\n  left: 4\n  right: 5");
    }
}
