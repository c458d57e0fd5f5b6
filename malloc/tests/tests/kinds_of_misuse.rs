//! The table of `malloc/README.md`: how many errors of each kind each mode finds.
//!
//! `BLESS=1 cargo test -p brkmalloc-tests --test kinds_of_misuse` writes it anew.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use brkmalloc_tests::workshop::Workshop;

/// Kinds of errors: their name in `c/kinds.cc`, and in the table.
const KINDS: [(&str, &str); 16] = [
    ("double-free-at-once", "second free, at once"),
    ("double-free-later", "second free, after other frees"),
    ("free-inside", "free of an address inside a block"),
    ("free-beside", "free of a misaligned address"),
    ("free-of-stack", "free of a variable on the stack"),
    ("free-of-static", "free of a static variable"),
    ("wrong-family", "`free` of a block of `new`"),
    ("write-behind-1", "write of 1 byte behind a block"),
    ("write-behind-16", "write of 16 bytes behind a block"),
    ("write-in-front-1", "write of 1 byte in front of a block"),
    ("write-in-front-16", "write of 16 bytes in front of a block"),
    ("read-behind", "read behind a block"),
    ("read-in-front", "read in front of a block"),
    ("write-after-free-start", "write to the first byte of a freed block"),
    ("write-after-free-middle", "write to the middle of a freed block"),
    ("read-after-free", "read of a freed block"),
];

/// Sizes of the blocks, in bytes. None is a multiple of 16: what lies behind the last byte up to
/// there is no other block's.
const SIZES: [usize; 8] = [24, 40, 100, 410, 1100, 3000, 20_000, 200_000];

/// Modes of the library, as columns of the table.
const MODES: [(&str, &str); 3] =
    [("plain", ""), ("checked", "BRKALLOC_CHECKED"), ("sampled", "BRKALLOC_SAMPLE")];

const BEGIN: &str = "<!-- The table is written by malloc/tests/tests/kinds_of_misuse.rs. -->\n";
const END: &str = "<!-- End of the table. -->\n";

/// Runs the program. Returns whether the library found an error; `None` if it said something though
/// the program ended as it should, or the program ended for another reason.
fn finds(
    shop: &Workshop,
    program: &Path,
    kind: &str,
    size: usize,
    variable: &str,
) -> Result<bool, String> {
    let variables = if variable.is_empty() { Vec::new() } else { vec![(variable, "1")] };
    let run = shop.run(program, &[kind, &size.to_string()], &variables);
    let is_said = run.errors.starts_with("brkmalloc: ");
    let is_killed = matches!(run.status.signal(), Some(libc::SIGABRT | libc::SIGSEGV));
    match (is_said, is_killed || !run.status.success()) {
        (true, true) => Ok(true),
        // What the error did to the program itself is not the library's finding.
        (false, _) => Ok(false),
        (true, false) => Err(format!("{kind} {size} {variable}: {}\n{}", run.status, run.errors)),
    }
}

#[test]
fn the_readme_has_the_number_of_errors_that_each_mode_finds() {
    let shop = Workshop::new();
    let program = shop.build("kinds.cc", &[]);
    let mut table = format!("| of {} blocks", SIZES.len());
    MODES.iter().for_each(|(name, _)| _ = write!(table, " | {name}"));
    table += " |\n|---|---|---|---|\n";
    for (kind, title) in KINDS {
        let _ = write!(table, "| {title}");
        for (_, variable) in MODES {
            let verdicts = SIZES.map(|size| finds(&shop, &program, kind, size, variable).unwrap());
            let _ = write!(table, " | {}", verdicts.iter().filter(|&&is_found| is_found).count());
        }
        table += " |\n";
    }
    for (_, variable) in MODES {
        for size in SIZES {
            assert_eq!(
                finds(&shop, &program, "none", size, variable),
                Ok(false),
                "{size} {variable}"
            );
        }
    }

    let readme = brkmalloc_tests::file("../README.md");
    let text = fs::read_to_string(&readme).expect("the README");
    let (before, rest) = text.split_once(BEGIN).expect("the beginning of the table");
    let (found, after) = rest.split_once(END).expect("the end of the table");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&readme, format!("{before}{BEGIN}\n{table}\n{END}{after}")).expect("a file");
        return;
    }
    assert_eq!(found.trim(), table.trim(), "BLESS=1 writes the table anew");
}
