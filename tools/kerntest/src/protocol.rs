//! What a kernel writes to its serial port, cut into events as the bytes arrive.
//!
//! ```text
//! running 3 tests                                  Running(3)
//! test heap::a_box ... ok                          Began("heap::a_box")  Verdict(Ok)
//! test heap::many_boxes ... FAILED                 Began(..)             Verdict(Failed)
//!   at tests/qemu/heap.rs:31                       Detail("at tests/qemu/heap.rs:31")
//! test heap::a_large_vector ...                    Began(..)             before the case runs
//! PANIC: out of memory                             Panic("out of memory")
//! FAULT: page fault at 0x0                         Fault("page fault at 0x0")
//! test result: FAILED. 1 passed; 2 failed; …       Summary
//! ```
//!
//! The name of a case arrives without a line end, before the case runs: if it never ends, one knows
//! which it was. Everything else counts only once its line is complete. Nothing here is an error:
//! bytes that fit none of the forms become [`Event::Other`], and the [judge](crate::judge) decides
//! what their presence means.

/// No line is kept beyond this many bytes; the rest of it is dropped.
const LONGEST_LINE: usize = 4096;

/// The counts of a summary line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Cases that passed.
    pub passed: usize,
    /// Cases that failed.
    pub failed: usize,
}

/// One thing the kernel said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// This many cases are going to run.
    Running(usize),
    /// The case of this name is about to run.
    Began(String),
    /// The running case ended: `true` if it passed.
    Verdict(bool),
    /// An indented line, without its indentation.
    Detail(String),
    /// The kernel panicked, with this message.
    Panic(String),
    /// An unexpected CPU fault, in one line.
    Fault(String),
    /// The line at the end.
    Summary(Summary),
    /// Any other line that is not empty.
    Other(String),
}

/// Cuts a stream of bytes into events.
///
/// # Invariants
/// - `line` holds the bytes since the last line end, at most `LONGEST_LINE` of them, and no line
///   end.
/// - `verdict_at` is set exactly if [`Event::Began`] has been given for this line; it is then at
///   most `line.len()`.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    verdict_at: Option<usize>,
}

impl Parser {
    /// Takes the next bytes and gives the events they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ended) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let room = LONGEST_LINE - self.line.len();
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            events.extend(self.case_begun());
            if ended {
                events.extend(self.line_ended());
            }
        }
        events
    }

    /// Takes the end of the stream. A line that was cut off there is no verdict, only a trace of
    /// one.
    pub fn finish(&mut self) -> Vec<Event> {
        let rest = String::from_utf8_lossy(&self.line[self.verdict_at.unwrap_or(0)..]);
        let rest = rest.trim();
        let events = match rest {
            "" => Vec::new(),
            cut => vec![Event::Other(format!("{cut} (the line was cut off here)"))],
        };
        *self = Self::default();
        events
    }

    /// The start of a case, if the incomplete line has just become one.
    fn case_begun(&mut self) -> Option<Event> {
        if self.verdict_at.is_some() {
            return None;
        }
        let rest = self.line.strip_prefix(b"test ")?;
        let end = rest.windows(5).position(|window| window == b" ... ")?;
        let name = std::str::from_utf8(&rest[..end]).ok()?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return None;
        }
        self.verdict_at = Some("test ".len() + end + " ... ".len());
        Some(Event::Began(name.to_owned()))
    }

    fn line_ended(&mut self) -> Option<Event> {
        let bytes = std::mem::take(&mut self.line);
        let in_case = self.verdict_at.take();
        let text = String::from_utf8_lossy(&bytes[in_case.unwrap_or(0)..]);
        let text = text.trim_end();
        match (text, in_case) {
            ("", _) => None,
            ("ok", _) => Some(Event::Verdict(true)),
            ("FAILED", _) => Some(Event::Verdict(false)),
            (noise, Some(_)) => Some(Event::Other(noise.to_owned())),
            (line, None) => Some(whole_line(line)),
        }
    }
}

/// What a complete line that starts no case and is no verdict says.
fn whole_line(line: &str) -> Event {
    let event = if let Some(detail) = line.strip_prefix("  ") {
        Some(Event::Detail(detail.to_owned()))
    } else if let Some(message) = line.strip_prefix("PANIC:") {
        Some(Event::Panic(message.trim().to_owned()))
    } else if let Some(summary) = line.strip_prefix("FAULT:") {
        Some(Event::Fault(summary.trim().to_owned()))
    } else if line.starts_with("running ") {
        running(line).map(Event::Running)
    } else {
        summary(line).map(Event::Summary)
    };
    event.unwrap_or_else(|| Event::Other(line.to_owned()))
}

/// The number in `running N tests`.
pub fn running(line: &str) -> Option<usize> {
    let (number, noun) = line.strip_prefix("running ")?.split_once(' ')?;
    matches!(noun, "test" | "tests").then_some(())?;
    number.parse().ok()
}

/// The counts in `test result: ok. 40 passed; 2 failed; …`.
pub fn summary(line: &str) -> Option<Summary> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |label: &str| {
        let field = counts.split(';').find_map(|field| field.strip_suffix(label))?;
        field.trim().parse().ok()
    };
    Some(Summary { passed: count(" passed")?, failed: count(" failed")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<Event> {
        let mut parser = Parser::default();
        let mut events = parser.feed(text.as_bytes());
        events.extend(parser.finish());
        events
    }

    fn began(name: &str) -> Event {
        Event::Began(name.into())
    }

    fn other(line: &str) -> Event {
        Event::Other(line.into())
    }

    const RUN: &str = "running 2 tests\r\ntest a::b ... ok\ntest c ... FAILED\n  at x:1\n    deep\n\nPANIC: p\nFAULT: f\n\
                       test result: FAILED. 1 passed; 1 failed; 0 ignored; 3 filtered out\n";

    #[test]
    fn every_form_is_recognised() {
        let expected = vec![
            Event::Running(2),
            began("a::b"),
            Event::Verdict(true),
            began("c"),
            Event::Verdict(false),
            Event::Detail("at x:1".into()),
            Event::Detail("  deep".into()),
            Event::Panic("p".into()),
            Event::Fault("f".into()),
            Event::Summary(Summary { passed: 1, failed: 1 }),
        ];
        assert_eq!(events(RUN), expected);
    }

    #[test]
    fn the_events_do_not_depend_on_how_the_bytes_are_cut() {
        let whole = events(RUN);
        for size in 1..20 {
            let mut parser = Parser::default();
            let chunks = RUN.as_bytes().chunks(size);
            let pieces: Vec<Event> = chunks.flat_map(|chunk| parser.feed(chunk)).collect();
            assert_eq!(pieces, whole, "cut into pieces of {size} bytes");
        }
    }

    #[test]
    fn a_case_is_known_before_its_line_ends() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(b"test a ..."), []);
        assert_eq!(parser.feed(b" "), [began("a")]);
        assert_eq!(parser.feed(b"o"), []);
        assert_eq!(parser.feed(b"k\n"), [Event::Verdict(true)]);
    }

    #[test]
    fn a_verdict_may_follow_on_a_line_of_its_own() {
        assert_eq!(
            events("test a ... \nnoise\nok\n"),
            [began("a"), other("noise"), Event::Verdict(true)]
        );
    }

    #[test]
    fn a_verdict_that_was_cut_off_does_not_count() {
        assert_eq!(events("test a ... ok"), [began("a"), other("ok (the line was cut off here)")]);
    }

    #[test]
    fn what_fits_no_form_is_kept_as_it_is() {
        for line in [
            "test a b ... ok",
            "test  ... ok",
            "running many tests",
            "running 3 miles",
            "test result: ok. 1 passed",
            "test result: ok. x passed; 0 failed",
            "okay",
            "booting",
        ] {
            assert_eq!(events(&format!("{line}\n")), [other(line)]);
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        let mut parser = Parser::default();
        let mut found = parser.feed(b"\xff\xfe\0\ntest \xff ... ok\ntest a ... ok\n");
        found.extend(parser.finish());
        assert_eq!(found[2..], [began("a"), Event::Verdict(true)]);
    }

    #[test]
    fn an_endless_line_takes_bounded_memory() {
        let mut parser = Parser::default();
        for _ in 0..100 {
            assert_eq!(parser.feed(&[b'x'; 1000]), []);
        }
        assert_eq!(parser.line.len(), LONGEST_LINE);
        let end = parser.feed(b"\ntest a ... ok\n");
        assert_eq!(end[1..], [began("a"), Event::Verdict(true)]);
    }
}
