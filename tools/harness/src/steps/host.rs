//! The tests that run on the host, counted by the summaries of their programs.

use std::process::Command;

use super::checks::{ALLOCATOR_FEATURES, CHECKED, KERNEL_HOST, TINY};
use super::{Action, Context, Outcome, Screen, Step};
use crate::libtest::{self, Reader};
use crate::size::Sizes;
use crate::tally::{Failure, Kind, Tally};
use crate::{Error, cargo, no_trace, on_linux, process, programs};

pub(super) fn steps() -> Vec<Step> {
    let tests = |title, run| Step { title, action: Action::Tests(run) };
    vec![
        tests("host tests: workspace", workspace),
        tests("host tests: tiny", tiny),
        tests("host tests: checked", checked),
        tests("host tests: kernel-demo", kernel),
        tests("host tests: ring-3 programs on Linux", ring3),
        tests("host tests: AddressSanitizer", address_sanitizer),
        tests("host tests: ThreadSanitizer", thread_sanitizer),
        tests("host tests: 32-bit", host32),
        tests("host tests: 32-bit, tiny", host32_tiny),
        tests("host tests: 32-bit, checked", host32_checked),
        Step { title: "size: small target", action: Action::Alone(size) },
        Step { title: "checked: no trace when off", action: Action::Alone(no_trace) },
    ]
}

/// The allocator's and the harness's own tests, with overflow checks and debug assertions.
fn workspace(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let mut command = cargo::host(&context.project, context.project.root(), "");
    command.args(["test", "--workspace", "--features", ALLOCATOR_FEATURES]);
    cargo_test("host tests: workspace", context, command, screen)
}

/// The allocator's tests in the profile for small targets.
fn tiny(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let mut command = cargo::host(&context.project, context.project.root(), "");
    command.args(["test", "--package", "brkalloc", "--features", TINY, "--lib", "--tests"]);
    cargo_test("host tests: tiny", context, command, screen)
}

/// The allocator's tests with its profile `checked` on.
fn checked(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let mut command = cargo::host(&context.project, context.project.root(), "checked");
    command.args(["test", "--package", "brkalloc", "--features", CHECKED, "--lib", "--tests"]);
    cargo_test("host tests: checked", context, command, screen)
}

/// What of the kernel does not need a kernel to run in.
fn kernel(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let mut command = cargo::host(&context.project, &context.project.kernel(), KERNEL_HOST);
    command.args(["test", "--lib"]).env("RUSTC_BOOTSTRAP", "1");
    cargo_test("host tests: kernel-demo", context, command, screen)
}

/// The kernel's programs, on the system whose calls they use.
fn ring3(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(Outcome::LeftOut("this is no Linux on x86_64".into()));
    }
    let folder = programs::build(&context.project, &context.setup, |line| screen.detail(line))?;
    let mut tally = Tally::default();
    for run in on_linux::RUNS {
        let name = run.name();
        if context.filter.as_deref().is_some_and(|filter| !is_chosen(filter, &name)) {
            continue;
        }
        screen.start_line(&format!("test {name} ... "));
        let verdict = run.judge(&folder)?;
        screen.end_line(if verdict.is_clean() { "ok" } else { "FAILED" });
        tally.add(verdict);
    }
    Ok(Outcome::Ran(tally))
}

/// Whether the name contains a part of the filter.
fn is_chosen(filter: &str, name: &str) -> bool {
    filter.split(',').map(str::trim).any(|part| !part.is_empty() && name.contains(part))
}

/// The allocator's tests under AddressSanitizer, lightly optimised, for the sanitizer makes them slow. It does not look for
/// leaks: a break over a static array needs an array that lives for ever, which a test gets by leaking one.
fn address_sanitizer(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let Some(host) = host_with_sanitizer("asan")? else {
        return Ok(Outcome::LeftOut("the Rust on PATH comes without AddressSanitizer's runtime; rustup's has it".into()));
    };
    let mut command = cargo::host(&context.project, context.project.root(), "asan");
    command
        .args(["test", "--package", "brkalloc", "--features", ALLOCATOR_FEATURES, "--lib", "--tests", "--target", &host])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .env("ASAN_OPTIONS", "detect_leaks=0")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
    cargo_test("host tests: AddressSanitizer", context, command, screen)
}

/// The arenas' tests under ThreadSanitizer. The standard library comes compiled without it: the tests are written such that they do not depend
/// on what it orders, and what it does by itself is not looked at.
fn thread_sanitizer(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let Some(host) = host_with_sanitizer("tsan")? else {
        return Ok(Outcome::LeftOut("the Rust on PATH comes without ThreadSanitizer's runtime; rustup's has it".into()));
    };
    let suppressions = context.project.root().join("tests/arenas/tsan.supp");
    let mut command = cargo::host(&context.project, context.project.root(), "tsan");
    command
        .args(["test", "--package", "brkalloc", "--test", "arenas", "--target", &host])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer")
        .env("TSAN_OPTIONS", format!("suppressions={}", suppressions.display()))
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
    cargo_test("host tests: ThreadSanitizer", context, command, screen)
}

/// The allocator's tests as a 32-bit program, over a standard library built from source.
fn host32(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    host32_with("host tests: 32-bit", ALLOCATOR_FEATURES, context, screen)
}

/// The same in the profile for small targets, which are 32-bit.
fn host32_tiny(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    host32_with("host tests: 32-bit, tiny", TINY, context, screen)
}

/// The same with the profile `checked`: headers have no bits to spare there.
fn host32_checked(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    host32_with("host tests: 32-bit, checked", CHECKED, context, screen)
}

fn host32_with(title: &str, features: &str, context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let Some(target) = &context.setup.host32 else {
        return Ok(Outcome::LeftOut("there is no 32-bit C library; `make setup` says what it takes".into()));
    };
    let mut command = cargo::freestanding(&context.project, &context.setup, context.project.root(), "host32");
    command
        .args(["test", "--package", "brkalloc", "--features", features, "--lib", "--tests", "--target", target])
        .arg("-Zbuild-std=std,panic_unwind")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
    cargo_test(title, context, command, screen)
}

/// What the allocator takes of a small target.
fn size(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let sizes = Sizes::measure(&context.project, &context.setup, |line| screen.detail(line))?;
    if sizes.is_ok() {
        return Ok(Outcome::Ran(Tally::one_passed()));
    }
    let table = sizes.to_string().lines().map(str::to_owned).collect();
    Ok(Outcome::Ran(Tally::one_failed(Failure::new("size: small target", Kind::Check, table))))
}

/// Whether the profile `checked` costs anything where it is off.
fn no_trace(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let differences = no_trace::differences(&context.project, &context.setup, |line| screen.detail(line))?;
    let tally = match differences.is_empty() {
        true => Tally::one_passed(),
        false => Tally::one_failed(Failure::new("checked: no trace when off", Kind::Check, differences)),
    };
    Ok(Outcome::Ran(tally))
}

/// The host's target, if its standard library comes with the runtime of a sanitizer.
fn host_with_sanitizer(name: &str) -> Result<Option<String>, Error> {
    let mut lines = Vec::new();
    let mut command = Command::new("rustc");
    command.args(["--print", "host-tuple", "--print", "target-libdir"]);
    process::run(command, |line| lines.push(line.to_owned()))?;
    let [host, folder] = lines.as_slice() else {
        return Ok(None);
    };
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mark = format!("_rt.{name}.");
    let found = files.map(|file| file.file_name()).any(|file| file.to_string_lossy().contains(&mark));
    Ok(found.then(|| host.clone()))
}

/// Runs a `cargo test`, all of its programs even if one fails, and counts.
pub(super) fn cargo_test(title: &str, context: &Context, mut command: Command, screen: &mut Screen) -> Result<Outcome, Error> {
    command.args(["--no-fail-fast", "--color", "never", "--"]);
    if let Some(filter) = &context.filter {
        command.args(filter.split(',').map(str::trim).filter(|part| !part.is_empty()));
    }
    let mut reader = Reader::default();
    let status = process::run(command, |line| {
        reader.line(line);
        if libtest::is_verdict(line) {
            screen.line(line);
        } else {
            screen.detail(line);
        }
    })?;
    let mut tally = reader.finish(title, status.success());
    if tally.ran() == 0 && context.filter.is_none() {
        let reason = vec!["its programs ran, but held no test".into()];
        tally.add(Tally::one_failed(Failure::new(title, Kind::Empty, reason)));
    }
    Ok(Outcome::Ran(tally))
}
