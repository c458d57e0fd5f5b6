//! The inventory of `unsafe` in the allocator: how many sites each room has, and what each cites.
//!
//! ```text
//!   src/**/*.rs ── sites ──► rooms ── compare ──► docs/UNSAFE.md, a line a room
//! ```
//!
//! A room whose count has grown beyond its line fails, and so does a room without a line. The line
//! says in words which invariant makes the room's sites sound; that is for the author of the new
//! site to reconsider. Tests are left out.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::fs;
use std::path::PathBuf;

use kerntest::tally::{Failure, Tally};

use crate::project::Project;
use crate::{Error, copied, kinds};

/// The document, in the project.
const DOCUMENT: &str = "docs/UNSAFE.md";

/// What a site cites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cites {
    /// The contract of the function that it is in: its caller's promise.
    Contract,
    /// An invariant of a type.
    Invariant,
    /// What a provider, or `core`, promises.
    Provider,
    /// What the lines before it have established.
    Here,
}

impl Cites {
    /// What a `SAFETY` comment cites, by its words.
    fn of(comment: &str) -> Self {
        let comment = comment.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| comment.contains(word));
        if has(&["invariant"]) {
            Self::Invariant
        } else if has(&["clause", "caller", "promise"]) {
            Self::Contract
        } else if has(&["provider", "grant", "`break`", "`map`", "layout"]) {
            Self::Provider
        } else {
            Self::Here
        }
    }
}

/// A use of `unsafe`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Site {
    line: usize,
    /// A block; else a function, an implementation or a trait, which has a contract of its own.
    is_block: bool,
    /// The `SAFETY` comment of a block.
    comment: String,
}

/// The sites of a source file, without its tests.
fn sites(source: &str) -> Vec<Site> {
    let mut sites = Vec::new();
    let mut comment = String::new();
    let mut lines = source.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let line = line.trim();
        if line == "#[cfg(test)]" && lines.peek().is_some_and(|(_, next)| next.starts_with("mod "))
        {
            break;
        }
        if let Some(text) = line.strip_prefix("//") {
            match text.split_once("SAFETY:") {
                Some((_, reason)) => comment = reason.trim().to_owned(),
                None if !comment.is_empty() => comment = format!("{comment} {}", text.trim()),
                None => {}
            }
            continue;
        }
        let code = line.split(" //").next().unwrap_or(line);
        for (at, _) in code.match_indices("unsafe") {
            let before = code[..at].chars().next_back();
            let rest = &code[at + "unsafe".len()..];
            let is_word =
                |char: Option<char>| char.is_some_and(|c| c.is_alphanumeric() || c == '_');
            if is_word(before) || is_word(rest.chars().next()) || code.starts_with("#") {
                continue;
            }
            let is_block = rest.trim_start().starts_with('{');
            let is_item = ["fn", "impl", "trait", "extern"]
                .iter()
                .any(|word| rest.trim_start().starts_with(word));
            // A type `unsafe fn(…)` is no site.
            if is_block || (is_item && !rest.trim_start().starts_with("fn(")) {
                let comment = if is_block { comment.clone() } else { String::new() };
                sites.push(Site { line: index + 1, is_block, comment });
            }
        }
        if line.ends_with([';', '}', '{']) {
            comment.clear();
        }
    }
    sites
}

/// The sites of a room, and where each is.
#[derive(Clone, Debug, Default)]
struct Room {
    blocks: usize,
    items: usize,
    cites: BTreeMap<Cites, usize>,
    listed: Vec<String>,
}

/// The inventory.
#[derive(Clone, Debug)]
pub struct Inventory {
    rooms: BTreeMap<String, Room>,
    document: PathBuf,
}

impl Inventory {
    /// Reads the allocator's source.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub fn read(project: &Project) -> Result<Self, Error> {
        let src = project.root().join("src");
        let mut rooms = BTreeMap::<String, Room>::new();
        for file in copied::files(&src).map_err(|error| Error::Write(src.clone(), error))? {
            let inside = file.strip_prefix(&src).unwrap_or(&file);
            if inside.ends_with("tests.rs") {
                continue;
            }
            let source =
                fs::read_to_string(&file).map_err(|error| Error::Write(file.clone(), error))?;
            let first = inside.iter().next().unwrap_or_default().to_string_lossy();
            let name = first.strip_suffix(".rs").unwrap_or(&first);
            for site in sites(&source) {
                let room = rooms.entry(name.to_owned()).or_default();
                if site.is_block {
                    room.blocks += 1;
                    *room.cites.entry(Cites::of(&site.comment)).or_default() += 1;
                    let place = format!("src/{}:{}", inside.display(), site.line);
                    room.listed.push(format!("{place}: {}", site.comment));
                } else {
                    room.items += 1;
                }
            }
        }
        Ok(Self { rooms, document: project.root().join(DOCUMENT) })
    }

    /// Every block with its comment.
    pub fn list(&self) -> String {
        let lines = self.rooms.values().flat_map(|room| &room.listed);
        lines.fold(String::new(), |text, line| text + line + "\n")
    }

    /// Compares with the document: a room fails whose count has grown, or that has no line.
    ///
    /// # Errors
    ///
    /// The document cannot be read.
    pub fn judge(&self) -> Result<Tally, Error> {
        let text = fs::read_to_string(&self.document)
            .map_err(|error| Error::Write(self.document.clone(), error))?;
        let lines = documented(&text);
        let mut tally = Tally::default();
        for (name, room) in &self.rooms {
            let found = (room.blocks, room.items);
            let wrong = match lines.get(name.as_str()) {
                None => Some(format!("{DOCUMENT} has no line for `{name}`: {}", room.counts())),
                Some(&(blocks, items, _)) if found.0 > blocks || found.1 > items => Some(format!(
                    "`{name}` has {}; its line in {DOCUMENT} says {blocks} blocks, {items} items",
                    room.counts()
                )),
                Some((.., reason)) if reason.trim().is_empty() => {
                    Some(format!("the line of `{name}` in {DOCUMENT} cites no invariant"))
                }
                Some(_) => None,
            };
            tally.add(match wrong {
                None => Tally::one_passed(),
                Some(wrong) => {
                    let details = vec![
                        wrong,
                        "`make unsafe BLESS=1` writes the counts; the reason is yours".to_owned(),
                    ];
                    Tally::one_failed(Failure::new(
                        format!("unsafe::{name}"),
                        kinds::CHECK,
                        details,
                    ))
                }
            });
        }
        Ok(tally)
    }

    /// Writes the counts of now into the document, and keeps the reasons.
    ///
    /// # Errors
    ///
    /// The document cannot be read or written.
    pub fn bless(&self) -> Result<(), Error> {
        let failed = |error| Error::Write(self.document.clone(), error);
        let text = fs::read_to_string(&self.document).map_err(failed)?;
        let lines = documented(&text);
        let head = text.lines().take_while(|line| !line.starts_with("| `"));
        let mut new = head.fold(String::new(), |text, line| text + line + "\n");
        for (name, room) in &self.rooms {
            let reason = lines.get(name.as_str()).map_or("", |line| line.2.trim());
            let Room { blocks, items, .. } = room;
            writeln!(new, "| `{name}` | {blocks} | {items} | {reason} |")
                .expect("a String takes it");
        }
        fs::write(&self.document, new).map_err(failed)
    }
}

impl Room {
    fn counts(&self) -> String {
        format!("{} blocks, {} items", self.blocks, self.items)
    }
}

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:16} {:>6} {:>6}   {:>8} {:>9} {:>8} {:>8}",
            "room", "blocks", "items", "contract", "invariant", "provider", "code"
        )?;
        for (name, room) in &self.rooms {
            let cites = |cites| room.cites.get(&cites).copied().unwrap_or(0);
            writeln!(
                f,
                "{name:16} {:>6} {:>6}   {:>8} {:>9} {:>8} {:>8}",
                room.blocks,
                room.items,
                cites(Cites::Contract),
                cites(Cites::Invariant),
                cites(Cites::Provider),
                cites(Cites::Here)
            )?;
        }
        Ok(())
    }
}

/// The lines of the document: blocks, items and reason of each room.
fn documented(text: &str) -> BTreeMap<&str, (usize, usize, &str)> {
    let line = |line| -> Option<(&str, (usize, usize, &str))> {
        let mut cells = str::strip_prefix(line, "| `")?.split('|');
        let name = cells.next()?.trim().strip_suffix('`')?;
        let mut number = || cells.next()?.trim().parse().ok();
        let (blocks, items) = (number()?, number()?);
        Some((name, (blocks, items, cells.next()?)))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_items_are_counted_and_comments_kept() {
        let source = "\
#![deny(unsafe_code, unsafe_op_in_unsafe_fn)]
/// An unsafe word in a document.
unsafe fn a(f: unsafe fn()) {
    // SAFETY: the caller's promise,
    // in two lines.
    unsafe { b() };
    // SAFETY: the type's invariant.
    let c = d(unsafe { e() }, unsafe { f() });
}
unsafe impl X for Y {}
#[cfg(test)]
mod tests {
    fn g() { unsafe { h() } }
}
";
        let found = sites(source);
        let lines: Vec<_> = found.iter().map(|site| (site.line, site.is_block)).collect();
        assert_eq!(lines, [(3, false), (6, true), (8, true), (8, true), (10, false)]);
        assert_eq!(found[1].comment, "the caller's promise, in two lines.");
        assert_eq!(Cites::of(&found[1].comment), Cites::Contract);
        assert_eq!(Cites::of(&found[2].comment), Cites::Invariant);
    }

    #[test]
    fn a_room_that_grew_or_has_no_line_fails() {
        let folder = std::env::temp_dir().join(format!("unsafe-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let document = folder.join("UNSAFE.md");
        let room = |blocks| Room { blocks, items: 1, ..Room::default() };
        let of = |blocks| Inventory {
            rooms: [("a".to_owned(), room(blocks)), ("b".to_owned(), room(1))].into(),
            document: document.clone(),
        };
        let failed = |text: &str, blocks| {
            fs::write(&document, text).unwrap();
            let tally = of(blocks).judge().unwrap();
            tally.failures.into_iter().map(|failure| failure.name).collect::<Vec<_>>()
        };
        let text = "# X\n\n| `a` | 2 | 1 | why |\n| `b` | 1 | 1 | why |\n";
        assert_eq!(failed(text, 2), [""; 0]);
        assert_eq!(failed(text, 1), [""; 0]);
        assert_eq!(failed(text, 3), ["unsafe::a"]);
        assert_eq!(failed("| `a` | 2 | 1 | why |\n", 2), ["unsafe::b"]);
        assert_eq!(failed("| `a` | 2 | 1 | |\n| `b` | 1 | 1 | why |\n", 2), ["unsafe::a"]);
        of(3).bless().unwrap();
        assert_eq!(of(3).judge().unwrap().failures.len(), 1, "reasons are the author's");
        fs::remove_dir_all(folder).unwrap();
    }
}
