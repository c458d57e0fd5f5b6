//! The allocator compiles with the oldest version of Rust that its package names. (Clippy knows when
//! an item of the library became stable; the compiler of today accepts newer syntax.)

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn no_condition_chains_a_let() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("\nrust-version = \"1.85\"\n"), "from 1.88 on it may: drop this");
    let files = sources(&root.join("src"));
    assert!(files.len() > 100, "only {} files were found", files.len());
    for file in files {
        let chain = chained_let(&fs::read_to_string(&file).unwrap());
        assert_eq!(chain, None, "{}: Rust 1.88 is the first that has this", file.display());
    }
}

#[test]
fn a_chain_is_found_and_shown() {
    let chained =
        "fn f() {\n    if let Some(x) = y(|z| z && true)\n        && x\n    {\n    }\n}\n";
    assert_eq!(chained_let(chained).as_deref(), Some("y(|z| z && true)\n        && x\n    "));
    assert!(chained_let("while x && let Some(y) = z {}").is_some());
    for single in [
        "if let A { b, .. } = c { d && e }",
        "if let Some(a) = b.filter(|&a| a && c) {}",
        "// if let Some(a) = b && c {\n",
        "let a = b && c;",
    ] {
        assert_eq!(chained_let(single), None, "{single}");
    }
}

/// Returns the expression of the first `let` in a condition that has more than this `let`.
fn chained_let(source: &str) -> Option<String> {
    let lines = source.lines().map(|line| line.split("//").next().unwrap());
    let code = lines.collect::<Vec<_>>().join("\n");
    let after = |word: &str| code.match_indices(word).map(|(at, _)| at).collect::<Vec<_>>();
    if let Some(&at) = after("&& let ").first() {
        return code[at..].lines().next().map(String::from);
    }
    let starts = [after("if let "), after("while let ")].concat();
    starts.into_iter().find_map(|at| {
        let expression = &code[at..][code[at..].find(" = ")? + 3..];
        let condition = &expression[..end_of_condition(expression)];
        let mut depth = 0;
        let is_chained = condition.char_indices().any(|(at, character)| {
            depth += nesting(character);
            depth == 0 && condition[at..].starts_with("&&") && at > 0
        });
        is_chained.then(|| condition.to_owned())
    })
}

/// Returns the index of the brace that begins the block after a condition.
fn end_of_condition(expression: &str) -> usize {
    let mut depth = 0;
    let end = expression.char_indices().find(|&(_, character)| {
        let is_end = depth == 0 && character == '{';
        depth += nesting(character);
        is_end
    });
    end.map_or(expression.len(), |(at, _)| at)
}

fn nesting(character: char) -> i32 {
    match character {
        '(' | '[' | '{' => 1,
        ')' | ']' | '}' => -1,
        _ => 0,
    }
}

/// Returns the source files in a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}
