//! The rooms of brkalloc form no circle.
//!
//! A room is a file of `src/`, or a folder with all that is in it. A room may name only rooms below
//! it:
//!
//! * no way of names leads from a room back to itself
//! * `check` and `inspect` look at the parts of a heap, and no part names them (`VIEWS`, `PARTS`)
//!
//! Tests inside `src/` may name any room, and `lib.rs` re-exports from all of them. A re-export
//! counts as its room.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms that look at the parts of a heap.
const VIEWS: [&str; 2] = ["check", "inspect"];

/// The parts of a heap, and what they stand on.
const PARTS: [&str; 15] = [
    "bins",
    "cell",
    "checks",
    "chunks",
    "large",
    "layer",
    "lock",
    "mapped",
    "misuse",
    "provider",
    "request",
    "segments",
    "slabs",
    "space",
    "unchecked",
];

/// For each room, the rooms that it names.
type Names = BTreeMap<String, BTreeSet<String>>;

#[test]
fn rooms_form_no_circle() {
    if let Some(circle) = circle(&names_of_sources()) {
        panic!("each of these rooms names the next one: {}", circle.join(" -> "));
    }
}

#[test]
fn parts_of_a_heap_do_not_name_its_views() {
    let names = names_of_sources();
    for part in PARTS {
        let named = names.get(part).unwrap_or_else(|| panic!("`{part}` is no room"));
        let view = VIEWS.into_iter().find(|&view| named.contains(view));
        assert_eq!(view, None, "`{part}` is a part of a heap and names a view");
    }
}

#[test]
fn a_circle_is_found_and_shown_from_its_first_room_on() {
    let of = |pairs: &[(&str, &str)]| {
        let mut names = Names::new();
        for (from, to) in pairs {
            names.entry(String::from(*from)).or_default().insert(String::from(*to));
        }
        names
    };
    assert_eq!(circle(&of(&[("a", "b"), ("a", "c"), ("b", "c")])), None);
    let found = circle(&of(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")]));
    assert_eq!(found, Some(["b", "c", "d", "b"].map(String::from).to_vec()));
}

#[test]
fn names_are_those_of_code_outside_tests() {
    let source = "\
        //! See [`x`](crate::comment::X).\n\
        use crate::{one, two::{A, B}, three};\n\
        fn f() { crate::four::g(); } // crate::comment\n\
        macro_rules! m { () => { $crate::outside::X } }\n\
        #[cfg(test)]\n    fn g() -> crate::test::X { {} }\n\
        use crate::five;\n\
        #[cfg(test)]\nmod tests { use crate::test; }\n";
    let found = rooms_named_by(source);
    assert_eq!(found, ["five", "four", "one", "three", "two"].map(String::from).into());
}

/// Reads all sources and returns the names between rooms.
fn names_of_sources() -> Names {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().join("src");
    let rooms = re_exports(&fs::read_to_string(root.join("lib.rs")).unwrap());
    let mut names = Names::new();
    for path in sources(&root) {
        let relative = path.strip_prefix(&root).unwrap();
        let room = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if room != "lib" {
            let named = rooms_named_by(&fs::read_to_string(&path).unwrap());
            let named = named.into_iter().map(|name| rooms.get(&name).cloned().unwrap_or(name));
            names.entry(room.to_owned()).or_default().extend(named.filter(|name| name != room));
        }
    }
    assert!(names.len() > 15, "{names:?}");
    for (room, named) in &names {
        let other = named.iter().find(|&name| !names.contains_key(name));
        assert_eq!(other, None, "`{room}` names what is neither a room nor re-exported");
    }
    names
}

/// Returns the room of each item that `lib.rs` re-exports at the crate's root.
fn re_exports(lib: &str) -> BTreeMap<String, String> {
    let paths = lib.split("\npub use ").skip(1).map(|path| path.split(';').next().unwrap());
    paths
        .filter_map(|path| path.split_once("::"))
        .flat_map(|(room, items)| {
            first_names(items).into_iter().map(|item| (item, room.to_owned()))
        })
        .collect()
}

/// Returns the source files in a folder, without those of tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .filter(|path| path.file_stem().is_some_and(|name| name != "tests"))
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .collect()
}

/// Returns the first names of all paths `crate::…` in a file, without comments and tests.
fn rooms_named_by(source: &str) -> BTreeSet<String> {
    let lines = source.lines().map(|line| line.split("//").next().unwrap());
    let code = without_tests(&lines.collect::<Vec<_>>().join("\n"));
    let paths = code.match_indices("crate::").filter(|&(at, _)| !code[..at].ends_with('$'));
    paths.flat_map(|(at, path)| first_names(&code[at + path.len()..])).collect()
}

/// Removes each item that begins with `#[cfg(test)]`: it ends with the first `;` outside of braces,
/// or with the brace that closes the first one.
fn without_tests(code: &str) -> String {
    let mut parts = code.split("#[cfg(test)]");
    let mut rest = parts.next().unwrap().to_owned();
    for part in parts {
        let mut depth = 0;
        let end = part.find(|character| {
            depth += depth_of(character);
            depth == 0 && matches!(character, ';' | '}')
        });
        rest.push_str(end.map_or("", |end| &part[end + 1..]));
    }
    rest
}

/// Returns the first name of a path, or those of a group of paths.
fn first_names(path: &str) -> Vec<String> {
    let name = |path: &str| -> String {
        path.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut depth = 1;
    let end = group
        .find(|character| {
            depth += depth_of(character);
            depth == 0
        })
        .unwrap();
    depth = 0;
    let paths = group[..end].split(|character| {
        depth += depth_of(character);
        depth == 0 && character == ','
    });
    paths.map(name).filter(|name| !name.is_empty()).collect()
}

const fn depth_of(character: char) -> i32 {
    match character {
        '{' => 1,
        '}' => -1,
        _ => 0,
    }
}

/// Returns rooms each of which names the next one, the last of which is the first.
fn circle(names: &Names) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    names.keys().find_map(|room| circle_from(room, names, &mut Vec::new(), &mut done))
}

/// Looks for a circle on all ways from a room. `way` leads to it; from rooms in `done` no way leads
/// to a circle.
fn circle_from(
    room: &String,
    names: &Names,
    way: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(start) = way.iter().position(|before| before == room) {
        return Some([&way[start..], std::slice::from_ref(room)].concat());
    }
    if done.contains(room) {
        return None;
    }
    way.push(room.clone());
    let found =
        names.get(room).into_iter().flatten().find_map(|next| circle_from(next, names, way, done));
    way.pop();
    done.insert(room.clone());
    found
}
