//! Places in the source as a reader of the project types them: relative to its root.
//!
//! The compiler was told other paths. For the kernel's package they are relative to its folder
//! (`src/boot.rs`, `../tests/qemu/../fit.rs`), for packages beside it they are absolute.

use core::fmt::{self, Display};
use core::panic::Location;

/// Maximum number of parts of a path.
const MOST_PARTS: usize = 64;

/// A place to print: `tests/fit.rs:12:5`.
pub struct Place<'a> {
    /// The place as the compiler has it.
    pub location: &'a Location<'a>,
    /// The kernel's package, a folder of the project's root, absolute. Empty: files are printed as
    /// the compiler has them.
    pub package: &'a str,
}

impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { location, package } = self;
        let file = File { path: location.file(), package };
        write!(f, "{file}:{}:{}", location.line(), location.column())
    }
}

/// A source file, relative to the project's root; one outside the project as it is.
struct File<'a> {
    path: &'a str,
    package: &'a str,
}

impl Display for File<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((root, package)) = self.package.rsplit_once('/') else {
            return f.write_str(self.path);
        };
        let path = match self.path.strip_prefix(root).and_then(|rest| rest.strip_prefix('/')) {
            Some(path) => ["", path],
            None if self.path.starts_with('/') => return f.write_str(self.path),
            None => [package, self.path],
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
                _ => return f.write_str(self.path),
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
    use super::*;

    #[test]
    fn files_are_those_of_the_project() {
        let file = |path| File { path, package: "/home/kernel" }.to_string();
        assert_eq!(file("src/boot.rs"), "kernel/src/boot.rs");
        assert_eq!(file("../tests/qemu/../fit.rs"), "tests/fit.rs");
        assert_eq!(file("../tests/qemu/./boot.rs"), "tests/qemu/boot.rs");
        assert_eq!(file("/home/kernel/../src/x.rs"), "src/x.rs");
        assert_eq!(file("/elsewhere/x.rs"), "/elsewhere/x.rs");
    }

    #[test]
    fn without_a_package_files_are_the_compilers() {
        let location = Location::caller();
        let expected = format!("{}:{}:{}", location.file(), location.line(), location.column());
        assert_eq!(Place { location, package: "" }.to_string(), expected);
    }

    #[test]
    fn both_values_of_an_assertion_are_details() {
        let message = "assertion `left == right` failed: sum\n  left: 4\n right: 5";
        let text = format!("{}", Message(&message));
        assert_eq!(text, "assertion `left == right` failed: sum\n  left: 4\n  right: 5");
    }
}
