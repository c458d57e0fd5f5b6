//! What a test that failed showed: read from what its process wrote, and nothing that is not there.

use std::fmt;
use std::path::{Component, Path, PathBuf};

/// Maximum length of a value that is shown, in characters.
const SHOWN: usize = 240;

/// How the message begins of a function that a stub leaves to the student.
const UNWRITTEN: &str = "not yet implemented: lab ";

/// How proptest's message goes on after what a property said, and how it ends.
const INPUT: &str = "minimal failing input:";
const END: &str = "successes:";

/// What a test that failed showed. Parts that it did not show are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// File and line where it failed.
    pub place: Option<(PathBuf, u32)>,
    /// Function that is not written yet.
    pub unwritten: Option<String>,
    /// What it ran with: a random program, or one that the fuzzer found.
    pub input: Option<String>,
    /// What should have come.
    pub expected: Option<String>,
    /// What came.
    pub found: Option<String>,
    /// What the test says to it.
    pub message: Option<String>,
}

impl Seen {
    /// Reads what a test wrote: its last panic, and what it ran with. Files are named from the
    /// folder where cargo ran; see [`Seen::from`].
    #[must_use]
    pub fn read(output: &str) -> Self {
        let panics = panics(output);
        // What other threads say of a thread that met such a function comes later.
        let unwritten = panics.iter().find(|(_, text)| text.starts_with(UNWRITTEN));
        let Some((mut place, text)) = unwritten.or(panics.last()).cloned() else {
            return Self::default();
        };
        let during = output.lines().filter_map(|line| line.strip_prefix("during ")).next_back();
        let mut seen = Self { input: during.map(shown), ..Self::default() };
        let mut text = text.as_str();
        if let Some((property, rest)) =
            text.strip_prefix("Test failed: ").and_then(|rest| rest.split_once(INPUT))
        {
            // Its place is where proptest gave up; that of the property's own panic came before.
            let first = property.lines().next().unwrap_or_default().trim_end_matches('.');
            let own = panics.iter().rev().skip(1).find(|(_, text)| text.starts_with(first));
            place = own.map_or(place, |(place, _)| place.clone());
            seen.input = Some(shown(rest.split(END).next().unwrap_or(rest)));
            text = property.trim_end().trim_end_matches('.');
        }
        seen.place = place;
        seen.take(text);
        seen
    }

    /// The same, with files named from the project's root, below which cargo ran in `folder`.
    #[must_use]
    pub fn from(self, folder: &Path) -> Self {
        let place = self.place.map(|(file, line)| (plain(&folder.join(file)), line));
        Self { place, ..self }
    }

    /// Takes the text of a panic apart.
    fn take(&mut self, text: &str) {
        if let Some((_, function)) =
            text.strip_prefix(UNWRITTEN).and_then(|rest| rest.split_once(": "))
        {
            self.unwritten = Some(function.trim().to_owned());
            return;
        }
        let (head, values) = text
            .split_once("\n  left: ")
            .map_or((text, None), |(head, values)| (head, values.split_once("\n right: ")));
        if let (Some(message), Some((left, right))) =
            (head.strip_prefix("assertion `left == right` failed"), values)
        {
            (self.found, self.expected) = (Some(shown(left)), Some(shown(right)));
            self.message = message.strip_prefix(": ").map(shown);
        } else if let (Some(message), Some((left, _))) =
            (head.strip_prefix("assertion `left != right` failed"), values)
        {
            (self.found, self.expected) = (Some(shown(left)), Some("another value".to_owned()));
            self.message = message.strip_prefix(": ").map(shown);
        } else if let Some(condition) = text.strip_prefix("assertion failed: ") {
            self.expected = Some(shown(condition));
        } else {
            self.message = Some(shown(text));
        }
    }

    /// What was seen, a name and a value a line. The place comes first.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, String)> {
        let place = self.place.as_ref().map(|(file, line)| format!("{}:{line}", file.display()));
        let unwritten =
            self.unwritten.as_ref().map(|function| format!("{function} is not written"));
        let parts = [
            ("at", place),
            ("found", unwritten),
            ("input", self.input.clone()),
            ("expected", self.expected.clone()),
            ("found", self.found.clone()),
            ("message", self.message.clone()),
        ];
        parts.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

/// On one line, as much of it as a row has room for.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(function) = &self.unwritten {
            return write!(f, "{function} is not written");
        }
        let parts = self.parts().filter(|(name, _)| *name != "input");
        let words = parts.map(|(name, value)| match name {
            "at" | "message" => value,
            _ => format!("{name} {value}"),
        });
        f.write_str(&words.collect::<Vec<_>>().join(", "))
    }
}

/// The places and texts of all panics.
fn panics(output: &str) -> Vec<(Option<(PathBuf, u32)>, String)> {
    let mut lines = output.lines();
    let mut panics = Vec::new();
    while let Some(line) = lines.next() {
        let Some((_, place)) = line.split_once(" panicked at ") else { continue };
        let is_end = |line: &&str| line.is_empty() || line.starts_with("note: run with");
        let text: Vec<_> = lines.by_ref().take_while(|line| !is_end(line)).collect();
        panics.push((self::place(place), text.join("\n")));
    }
    panics
}

/// File and line of `tests/../labs/1/tests.rs:20:5:`.
fn place(text: &str) -> Option<(PathBuf, u32)> {
    let (rest, _column) = text.trim_end_matches(':').rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some((plain(Path::new(file)), line.parse().ok()?))
}

/// A path without ways down and up again.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}

/// A text whose paths have no ways down and up again: `a/../b` becomes `b`.
#[must_use]
pub fn without_detours(text: &str) -> String {
    let mut text = text.to_owned();
    let mut from = 0;
    while let Some(at) = text[from..].find("/../") {
        let end = from + at;
        let is_of_name = |char: char| char.is_ascii_alphanumeric() || "_-".contains(char);
        let mut start = text[..end].trim_end_matches(is_of_name).len();
        if text[..start].ends_with("\x1b[") {
            // A colour is in front of the name.
            start += text[start..end].find('m').map_or(0, |colour| colour + 1);
        }
        from = if start == end { end + 1 } else { start.saturating_sub(1) };
        if start < end {
            text.replace_range(start..end + "/../".len(), "");
        }
    }
    text
}

/// A value on one line, shortened.
fn shown(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let text = words.join(" ").replace(" ,", ",").replace(",]", "]").replace(", ]", "]");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(file: &str, line: u32) -> Option<(PathBuf, u32)> {
        Some((file.into(), line))
    }

    #[test]
    fn an_assertion_shows_what_was_expected_and_found() {
        let seen = Seen::read(
            "thread 'a' (7) panicked at tests/../labs/1/tests.rs:3:5:
assertion `left == right` failed: a header lies between
  left: [
    1,
    2,
]
 right: [3]
note: run with `RUST_BACKTRACE=1`

failures:
",
        );
        let expected = Seen {
            place: at("labs/1/tests.rs", 3),
            expected: Some("[3]".into()),
            found: Some("[ 1, 2]".into()),
            message: Some("a header lies between".into()),
            ..Seen::default()
        };
        assert_eq!(seen, expected);
        let line = "labs/1/tests.rs:3, expected [3], found [ 1, 2], a header lies between";
        assert_eq!(seen.to_string(), line);
    }

    #[test]
    fn files_are_named_from_the_root() {
        let place = |file: &str, folder: &str| {
            let seen = Seen { place: at(file, 1), ..Seen::default() };
            seen.from(Path::new(folder)).place
        };
        assert_eq!(place("src/simple.rs", "."), at("src/simple.rs", 1));
        assert_eq!(place("src/../src/a.rs", "kernel-demo"), at("kernel-demo/src/a.rs", 1));
        assert_eq!(place("/rustc/core.rs", "kernel-demo"), at("/rustc/core.rs", 1));
    }

    #[test]
    fn other_assertions_and_messages_are_taken_as_they_are() {
        let read = |text: &str| Seen::read(&format!("thread 'a' panicked at a.rs:1:1:\n{text}\n"));
        let unequal = read("assertion `left != right` failed\n  left: 1\n right: 1");
        assert_eq!((unequal.found, unequal.message), (Some("1".into()), None));
        assert_eq!(read("assertion failed: a.is_empty()").expected, Some("a.is_empty()".into()));
        assert_eq!(read("index out of bounds").message, Some("index out of bounds".into()));
        assert_eq!(Seen::read("nothing"), Seen::default());
    }

    #[test]
    fn a_function_of_a_stub_is_named() {
        let text = "not yet implemented: lab 1: SimpleHeap::first_fit";
        let seen = Seen::read(&format!("thread 'a' panicked at src/simple.rs:9:9:\n{text}\n"));
        assert_eq!(seen.unwritten.as_deref(), Some("SimpleHeap::first_fit"));
        assert_eq!(seen.to_string(), "SimpleHeap::first_fit is not written");
    }

    #[test]
    fn a_function_of_a_stub_is_the_cause_of_what_other_threads_say() {
        let text = "thread '<unnamed>' panicked at a.rs:1:1:\nnot yet implemented: lab 9: List::push\n\n\
            thread 'a' panicked at b.rs:2:2:\ncalled `Result::unwrap()` on an `Err` value\n";
        let seen = Seen::read(text);
        assert_eq!((seen.place, seen.unwritten), (at("a.rs", 1), Some("List::push".into())));
    }

    #[test]
    fn a_property_shows_its_input_and_its_own_place() {
        let seen = Seen::read(
            "thread 'a' panicked at tests/common/oracle.rs:62:9:
assertion `left == right` failed: misaligned
  left: 8
 right: 0
note: run with `RUST_BACKTRACE=1`
thread 'a' panicked at tests/common/property.rs:36:9:
Test failed: assertion `left == right` failed: misaligned
  left: 8
 right: 0.
minimal failing input: [
    (
        1,
        Free,
    ),
]
\tsuccesses: 0
",
        );
        let expected = Seen {
            place: at("tests/common/oracle.rs", 62),
            input: Some("[ ( 1, Free, )]".into()),
            expected: Some("0".into()),
            found: Some("8".into()),
            message: Some("misaligned".into()),
            ..Seen::default()
        };
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_input_that_was_run_last_is_shown() {
        let seen = Seen::read("during 1\nduring 2\nthread 'a' panicked at a.rs:1:1:\nno\n");
        assert_eq!(seen.input.as_deref(), Some("2"));
    }

    #[test]
    fn a_way_down_and_up_again_is_left_out() {
        for (text, expected) in [
            ("--> a/b/../../c.rs:1", "--> c.rs:1"),
            ("\x1b[1mtests/../c.rs", "\x1b[1mc.rs"),
            ("../../c.rs a/../d", "../../c.rs d"),
        ] {
            assert_eq!(without_detours(text), expected);
        }
    }

    #[test]
    fn a_long_value_is_shortened() {
        let long = shown(&"é".repeat(SHOWN + 1));
        assert_eq!(long, format!("{} …", "é".repeat(SHOWN)));
    }
}
