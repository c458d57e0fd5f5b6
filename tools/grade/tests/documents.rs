//! The course's documents name paths and commands that exist.

use std::collections::BTreeSet;

use grade::project::{self, Project};

/// Documents of the course.
const DOCUMENTS: [&str; 3] = ["docs/CLAIMS.md", "docs/COURSE.md", "labs/README.md"];

/// Starts of paths that exist only once a lab was begun or graded.
const MADE: [&str; 3] = ["labs/student", "target/", "labs/N/"];

/// The documents with their texts.
fn documents(project: &Project) -> Vec<(String, String)> {
    let labs = grade::table::LABS.map(|number| format!("labs/{number}/README.md"));
    let names = DOCUMENTS.into_iter().map(str::to_owned).chain(labs);
    let read = |name: String| {
        let text = project::read(&project.path(&name)).unwrap();
        (name, text)
    };
    names.map(read).collect()
}

/// What stands in backquotes in a document, and the lines of its blocks of code.
fn code(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let (mut in_block, mut prose) = (false, String::new());
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.insert(line.trim().to_owned());
        } else {
            prose.push_str(line.trim_start());
            prose.push(' ');
        }
    }
    found.extend(prose.split('`').skip(1).step_by(2).map(str::to_owned));
    found
}

/// The targets of a Markdown document's links that are files.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.map(|target| target.split('#').next().unwrap_or_default()).filter(|t| !t.is_empty())
}

#[test]
fn every_path_exists() {
    let project = Project::find().unwrap();
    let mut paths = 0;
    for (document, text) in documents(&project) {
        for word in code(&text) {
            let is_path = word.contains('/') && !word.contains(char::is_whitespace);
            let is_made = MADE.iter().any(|made| word.starts_with(made)) || word.starts_with('/');
            if is_path && !is_made {
                assert!(project.path(&word).exists(), "{document}: {word}");
                paths += 1;
            }
        }
        let folder = project.path(&document).parent().unwrap().to_owned();
        for link in links(&text) {
            assert!(folder.join(link).exists(), "{document}: {link}");
        }
    }
    assert!(paths > 80, "only {paths} paths were found");
}

#[test]
fn every_command_exists() {
    let project = Project::find().unwrap();
    let makefile = project::read(&project.path("Makefile")).unwrap();
    let has_target =
        |target: &str| makefile.lines().any(|line| line.starts_with(&format!("{target}:")));
    let has_variable =
        |name: &str| makefile.lines().any(|line| line.split(' ').next() == Some(name));
    let mut commands = 0;
    for (document, text) in documents(&project) {
        for code in code(&text) {
            let Some(arguments) = code.strip_prefix("make ") else { continue };
            let command = arguments.split("  ").next().unwrap();
            let mut words = command.split(' ').filter(|word| !word.is_empty());
            let target = words.next().unwrap();
            assert!(has_target(target), "{document}: make {target}");
            let settings: String = words.collect::<Vec<_>>().join(" ");
            for setting in settings.split(' ').filter(|word| word.contains('=')) {
                let (name, value) = setting.split_once('=').unwrap();
                assert!(has_variable(name), "{document}: {code}: no variable {name}");
                let value = value.trim_matches('"');
                let is_known = match name {
                    "CLAIM" => value.split(',').all(|claim| {
                        claim
                            .strip_prefix('C')
                            .and_then(|n| n.parse().ok())
                            .is_some_and(|n: u32| (1..=29).contains(&n))
                    }),
                    "LAB" => value.parse().is_ok_and(|lab| grade::table::LABS.contains(&lab)),
                    "PROGRAM" => is_program(&project, value),
                    _ => true,
                };
                assert!(is_known, "{document}: {code}: {setting}");
            }
            commands += 1;
        }
    }
    assert!(commands > 60, "only {commands} commands were found");
}

/// Whether the kernel carries a ring-3 program.
fn is_program(project: &Project, name: &str) -> bool {
    let folder = project.path("kernel-demo/user/programs/src/bin");
    folder.join(format!("{name}.rs")).is_file() || folder.join(name).is_dir()
}

#[test]
fn every_suite_that_a_document_runs_exists() {
    let project = Project::find().unwrap();
    for (document, text) in documents(&project) {
        for code in code(&text) {
            let Some((_, name)) = code.split_once("cargo test --test all ") else { continue };
            let suite = name.split("::").next().unwrap();
            let file = project.path(format!("tests/{suite}.rs"));
            assert!(file.is_file(), "{document}: {code}");
        }
    }
}

#[test]
fn each_claim_has_its_code_a_command_and_a_question() {
    let project = Project::find().unwrap();
    let text = project::read(&project.path("docs/CLAIMS.md")).unwrap();
    let claims: Vec<_> = text.split("<a id=\"C").skip(1).collect();
    assert_eq!(claims.len(), 29);
    for claim in claims {
        for part in ["\n  - Code: `", "\n  - See it: `make ", "\n  - Question: "] {
            assert_eq!(claim.matches(part).count(), 1, "{part:?} in {claim}");
        }
    }
}
