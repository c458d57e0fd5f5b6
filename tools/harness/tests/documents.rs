//! The lists of `docs/CLAIMS.md`, `docs/GLOSSARY.md` and `docs/SHELL.md` are complete, and lead to
//! what is there; so do links and paths of all documents.

use std::fs;
use std::path::{Path, PathBuf};

fn document(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    fs::read_to_string(root.join("docs").join(name)).unwrap()
}

#[test]
fn each_claim_has_an_anchor_in_order() {
    let claims = document("CLAIMS.md");
    let found: Vec<_> = claims.lines().filter(|line| line.starts_with("- <a id=")).collect();
    assert_eq!(found.len(), 29);
    for (line, number) in found.iter().zip(1..) {
        let start = format!("- <a id=\"C{number}\"></a>**C{number}** ");
        assert!(line.starts_with(&start), "{line}");
    }
}

#[test]
fn terms_are_sorted_and_cite_claims_that_exist() {
    let glossary = document("GLOSSARY.md");
    let term = |line: &str| Some(line.strip_prefix("- **")?.split_once("**: ")?.0.to_lowercase());
    let terms: Vec<_> = glossary.lines().filter_map(term).collect();
    assert!(terms.len() > 50 && terms.is_sorted(), "{terms:?}");
    assert!(terms.windows(2).all(|pair| pair[0] != pair[1]));
    let words = glossary.split(|character: char| !character.is_ascii_alphanumeric());
    for number in words.filter_map(|word| word.strip_prefix('C')?.parse::<usize>().ok()) {
        assert!((1..=29).contains(&number), "C{number}");
    }
}

#[test]
fn a_kernel_of_another_project_has_the_readmes_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let kernel = fs::read_to_string(root.join("tests/other-kernel/src/main.rs")).unwrap();
    let example = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
    let example = example.expect("the README has an example in Rust");
    assert!(
        example.contains("#[global_allocator]"),
        "the first example is the heap's set-up: {example}"
    );
    // Lines break where the formatter of either file breaks them.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words(&kernel).contains(&words(example)),
        "expected in tests/other-kernel/src/main.rs:\n{example}"
    );
}

#[test]
fn the_workflow_runs_both_commands_and_grades_every_lab() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let workflow = fs::read_to_string(root.join(".github/workflows/ci.yml")).unwrap();
    for command in ["make run", "make test", "make test-all STEP=labs"] {
        let runs = |line: &str| line.trim_start().strip_prefix("- run: ") == Some(command);
        assert!(workflow.lines().any(runs), "{command}");
    }
}

/// The function, or the macro with arguments, that a line of a header of C declares.
fn declared(line: &str) -> Option<&str> {
    let (before, _) = match line.strip_prefix("#define ") {
        // The parenthesis of a macro with arguments follows its name at once.
        Some(definition) => definition.split_once('(').filter(|(name, _)| !name.contains(' '))?,
        None => line.strip_suffix(';')?.split_once('(')?,
    };
    before.rsplit([' ', '*']).next().filter(|name| *name != "assertion_failed")
}

#[test]
fn the_shells_document_lists_what_a_program_in_c_may_call() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let include = root.join("kernel-demo/user/c/libc/include");
    let shell = document("SHELL.md");
    let mut headers: Vec<String> = ["", "sys/"]
        .into_iter()
        .flat_map(|folder| {
            let files = fs::read_dir(include.join(folder)).unwrap().map(|file| file.unwrap());
            files.map(move |file| format!("{folder}{}", file.file_name().display()))
        })
        .filter(|name| name.ends_with(".h"))
        .collect();
    headers.sort();
    let mut listed = 0;
    for header in headers {
        let text = fs::read_to_string(include.join(&header)).unwrap();
        let names: Vec<&str> = text.lines().filter_map(declared).collect();
        let row = shell.lines().find_map(|line| line.strip_prefix(&format!("| `{header}` | ")));
        let found: Vec<&str> = row.unwrap_or("").split('`').skip(1).step_by(2).collect();
        assert_eq!(found, names, "docs/SHELL.md, the row of {header}");
        listed += names.len();
    }
    assert!(listed > 30, "{listed} functions and macros were found");
}

/// The names of a document's headings, as links write them, and of its own marks.
fn anchors(text: &str) -> Vec<String> {
    let mut is_code = false;
    let headings = text.lines().filter_map(move |line| {
        is_code ^= line.starts_with("```");
        let heading = line.trim_start_matches('#').strip_prefix(' ')?;
        (line.starts_with('#') && !is_code).then(|| {
            let kept = |letter: &char| letter.is_alphanumeric() || "-_ ".contains(*letter);
            heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
        })
    });
    let marks = text.split("<a id=\"").skip(1).filter_map(|rest| rest.split('"').next());
    headings.chain(marks.map(str::to_owned)).collect()
}

/// All documents in a folder, and below it.
fn markdown(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_other = |path: &PathBuf| {
        path.ends_with("target") || path.ends_with("labs/student") || path.is_symlink()
    };
    let found = paths.filter(|path| !is_other(path)).flat_map(|path| match path.is_dir() {
        true => markdown(&path),
        false => vec![path],
    });
    found.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn links_and_paths_of_all_documents_exist() {
    const FOLDERS: [&str; 9] = [
        "benches/",
        "docs/",
        "examples/",
        "fuzz/",
        "kernel-demo/",
        "malloc/",
        "src/",
        "tests/",
        "tools/",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let (mut found, mut wrong) = (0, Vec::new());
    for document in markdown(root) {
        let text = fs::read_to_string(&document).unwrap();
        let name = document.strip_prefix(root).unwrap().display().to_string();
        let prose: String = text.split("```").step_by(2).collect();
        let near = document.parent().unwrap();
        let links = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        for link in links.filter(|link| !link.contains(":")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { document.clone() } else { near.join(path) };
            let has_anchor = || anchors(&fs::read_to_string(&target).unwrap_or_default());
            let leads = anchor.is_empty() || has_anchor().iter().any(|it| it == anchor);
            if !target.exists() || !leads {
                wrong.push(format!("{name}: {link}"));
            }
            found += 1;
        }
        let quoted = prose.split('`').skip(1).step_by(2);
        let is_path = |word: &&str| !word.contains(|letter| " *…=$<{".contains(letter));
        for word in quoted.filter(is_path).filter(|word| word.contains('/')) {
            let places: [PathBuf; 2] = [root.join(word), near.join(word)];
            // Decisions tell what was there before them.
            let is_rooted = FOLDERS.iter().any(|folder| word.starts_with(folder))
                && !name.starts_with("docs/decisions");
            if is_rooted && !places.iter().any(|place| place.exists()) {
                wrong.push(format!("{name}: {word}"));
            }
            found += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(found > 300, "{found} links and paths");
}
