//! What `docs/CLAIMS.md` and `docs/GLOSSARY.md` list is complete and can be found.

use std::fs;
use std::path::Path;

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
