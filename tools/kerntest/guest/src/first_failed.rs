//! Listens to the evidence of a step and keeps the first line that tells of a failure.

use core::fmt::{self, Write};

use super::check::Text;

/// What evidence begins a line with that does not hold.
const MARK: &str = "    FAILED  ";

/// A place to print evidence to that forgets all but the first failure.
///
/// # Invariants
///
/// `complete ⟹ line` is a whole line that begins with [`MARK`]; otherwise it is what was printed
/// since the last line break.
#[derive(Default)]
pub(super) struct FirstFailed {
    line: Text,
    complete: bool,
}

impl FirstFailed {
    /// What does not hold: the line behind the mark. Empty if there was none.
    pub(super) fn text(&self) -> &str {
        if self.complete { self.line.as_str().trim_start_matches(MARK) } else { "" }
    }
}

impl Write for FirstFailed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            match char {
                _ if self.complete => break,
                '\n' if self.line.as_str().starts_with(MARK) => self.complete = true,
                '\n' => self.line = Text::default(),
                // A line that is too long is cut off: its beginning is what counts.
                char => drop(self.line.write_char(char)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Evidence;

    #[test]
    fn the_first_failure_is_kept_and_nothing_else() {
        let mut listener = FirstFailed::default();
        let mut evidence = Evidence::new(&mut listener);
        evidence.say(format_args!("a story"));
        evidence.expect("one", 1, 1);
        evidence.expect("frames", 0, 3);
        evidence.expect("pages", 0, 4);
        assert_eq!(evidence.finish(), (3, 2));
        assert_eq!(listener.text(), "frames: expected 0, found 3");
    }

    #[test]
    fn without_a_failure_there_is_no_text() {
        let mut listener = FirstFailed::default();
        let mut evidence = Evidence::new(&mut listener);
        evidence.say(format_args!("a story"));
        evidence.expect("one", 1, 1);
        evidence.say(format_args!("{}", "a very long line ".repeat(200)));
        assert_eq!(evidence.finish(), (1, 0));
        assert_eq!(listener.text(), "");
    }
}
