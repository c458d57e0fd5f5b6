//! Real programs under preload: the same exit status and the same output as without (C28).
//!
//! A program that is not on this machine is left out, with a word on the standard error output.
//! `BRKMALLOC_SCALE=4` runs long forms.

use brkmalloc_tests::library::{Library, brkmalloc, glibc};
use brkmalloc_tests::program::Program;
use brkmalloc_tests::run::Run;

/// Makes a test of each name, and a list of them.
macro_rules! programs {
    ($($function:ident = $name:literal,)*) => {
        const NAMES: &[&str] = &[$($name),*];

        $(
            #[test]
            fn $function() {
                c28_runs_as_without_the_library($name);
            }
        )*
    };
}

programs! {
    bash = "bash",
    compilers = "compilers",
    git = "git",
    java = "java",
    lua = "lua",
    make = "make",
    nginx = "nginx",
    node = "node",
    openssl = "openssl",
    perl = "perl",
    php = "php",
    postgres = "postgres",
    python = "python",
    python_with_its_objects_from_malloc = "python-objects",
    python_with_threads_and_processes = "python-threads",
    redis = "redis",
    ruby = "ruby",
    sqlite = "sqlite",
    xz = "xz",
    zstd = "zstd",
}

#[test]
fn every_script_is_a_test() {
    let found: Vec<_> = Program::all().into_iter().map(|program| program.name).collect();
    assert_eq!(found, NAMES);
}

/// How much the programs do: the least, unless somebody wants more.
fn scale() -> usize {
    std::env::var("BRKMALLOC_SCALE").map_or(1, |text| text.parse().expect("a number"))
}

fn run(program: &Program, library: &Library, variables: &[(&str, &str)]) -> Run {
    program.run(library, scale(), variables).expect("a program that can be started")
}

fn c28_runs_as_without_the_library(name: &str) {
    let program = Program::named(name);
    let missing = program.missing();
    if !missing.is_empty() {
        eprintln!("{name} is left out: this machine has no {}", missing.join(", no "));
        return;
    }
    println!("{name}: {}", program.version());
    let expected = run(&program, &glibc(), &[]);
    assert!(
        expected.status.success(),
        "{name} fails without the library, too: {}\n{}",
        expected.status,
        expected.errors
    );
    let variables = [&[][..], &[("BRKALLOC_CHECKED", "1")], &[("BRKALLOC_SAMPLE", "1000")]];
    for variables in variables {
        let found = run(&program, &brkmalloc(), variables);
        assert!(!found.errors.contains("brkmalloc:"), "{name} {variables:?}:\n{}", found.errors);
        assert_eq!(found.status, expected.status, "{name} {variables:?}:\n{}", found.errors);
        let [found, expected] =
            [&found.output, &expected.output].map(|output| String::from_utf8_lossy(output));
        assert_eq!(found, expected, "{name} {variables:?}");
    }
}
