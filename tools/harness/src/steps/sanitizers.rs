//! The allocator's tests under LLVM's sanitizers.
//!
//! ```text
//!   the Rust on PATH has the runtime      its own standard library, which is not watched
//!   else LLVM's runtime is here           a standard library that is built with the sanitizer, by the kernel's compiler
//!   else                                  left out
//! ```

use std::path::PathBuf;
use std::process::Command;

use super::checks::ALLOCATOR_FEATURES;
use super::host::{PROFILE, UNOPTIMISED, cargo_test, fewer_programs, suites};
use super::{Context, Outcome, Screen, Step, Tier};
use crate::{Error, cargo, cases, process};

/// One of LLVM's sanitizers.
struct Sanitizer {
    /// What `-Zsanitizer` calls it.
    flag: &'static str,
    /// What files of its runtime call it.
    file: &'static str,
    /// What rustc is told besides where the standard library comes without it.
    apart: &'static str,
}

const ADDRESS: Sanitizer = Sanitizer { flag: "address", file: "asan", apart: "" };
const THREAD: Sanitizer =
    Sanitizer { flag: "thread", file: "tsan", apart: " -Cunsafe-allow-abi-mismatch=sanitizer" };

/// What a sanitizer's programs are linked with.
enum Runtime {
    /// What the Rust on PATH brings.
    Own,
    /// LLVM's, in this folder.
    Llvm(PathBuf),
}

pub(super) fn steps() -> [Step; 2] {
    [
        Step::tests(Tier::Test, "host tests: AddressSanitizer", address).unless_unchanged(),
        Step::tests(Tier::Test, "host tests: ThreadSanitizer", thread).unless_unchanged(),
    ]
}

/// The allocator's tests under AddressSanitizer. It does not look for leaks: a break over a static
/// array needs an array that lives for ever, which a test gets by leaking one.
fn address(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let Some((host, runtime)) = ADDRESS.find(context)? else {
        return Ok(Outcome::LeftOut(ADDRESS.reason()));
    };
    let command = || {
        let mut command = ADDRESS.command(context, &host, &runtime);
        command.env("ASAN_OPTIONS", "detect_leaks=0");
        fewer_programs(context, command)
    };
    let cases: &[&str] =
        if context.is_short() { &[cases::TWO_PROFILES, cases::MEMORY] } else { &[] };
    suites("host tests: AddressSanitizer", context, command, cases, screen)
}

/// Runs the arenas' tests under ThreadSanitizer; in the long form also others that a filter
/// chooses. The tests do not depend on what the standard library orders, because the sanitizer does
/// not see a library that comes compiled without it.
fn thread(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let Some((host, runtime)) = THREAD.find(context)? else {
        return Ok(Outcome::LeftOut(THREAD.reason()));
    };
    let mut command = THREAD.command(context, &host, &runtime);
    if matches!(runtime, Runtime::Own) {
        let suppressions = context.project.root().join("tests/arenas/tsan.supp");
        command.env("TSAN_OPTIONS", format!("suppressions={}", suppressions.display()));
        // Panics of two tests share names of files for their back-traces, behind a lock of the
        // standard library, which is not instrumented.
        command.env("RUST_BACKTRACE", "0");
    }
    command.args(["test", "--profile", PROFILE, "--package", "brkalloc", "--test", "all"]);
    command.args(["--features", ALLOCATOR_FEATURES]);
    if context.is_short() || context.filter.is_none() {
        command.args(["--features", cases::ARENAS]);
    }
    if context.is_short() {
        command.args(["--features", cases::ONE_PROFILE]);
    }
    cargo_test("host tests: ThreadSanitizer", context, command, screen)
}

impl Sanitizer {
    /// The host's target, and what there is for it.
    fn find(&self, context: &Context) -> Result<Option<(String, Runtime)>, Error> {
        let mut lines = Vec::new();
        let mut command = Command::new("rustc");
        command.args(["--print", "host-tuple", "--print", "target-libdir"]);
        process::run(command, |line| lines.push(line.to_owned()))?;
        let [host, folder] = lines.as_slice() else {
            return Ok(None);
        };
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mark = format!("_rt.{}.", self.file);
        if files.map(|file| file.file_name()).any(|file| file.to_string_lossy().contains(&mark)) {
            return Ok(Some((host.clone(), Runtime::Own)));
        }
        let llvm = context
            .setup
            .sanitizers
            .as_ref()
            .filter(|folder| folder.join(self.library(host)).is_file());
        Ok(llvm.map(|folder| (host.clone(), Runtime::Llvm(folder.clone()))))
    }

    /// The file of LLVM's runtime for this target.
    fn library(&self, host: &str) -> String {
        let processor = host.split('-').next().unwrap_or(host);
        format!("libclang_rt.{}-{processor}.so", self.file)
    }

    /// The cargo that builds with it, without the subcommand.
    fn command(&self, context: &Context, host: &str, runtime: &Runtime) -> Command {
        let root = context.project.root();
        let (mut command, flags) = match runtime {
            Runtime::Own => {
                let flags = format!("-Zsanitizer={}{}", self.flag, self.apart);
                (cargo::host(&context.project, root, self.file), flags)
            }
            Runtime::Llvm(folder) => {
                let library = folder.join(self.library(host));
                let flags = format!(
                    "-Zsanitizer={} -Zexternal-clangrt -Zpre-link-arg=-Wl,--no-as-needed -Zpre-link-arg={} -Clink-arg=-Wl,-rpath,{}",
                    self.flag,
                    library.display(),
                    folder.display()
                );
                let mut command =
                    cargo::freestanding(&context.project, &context.setup, root, self.file);
                command.arg("-Zbuild-std=std,panic_unwind");
                (command, flags)
            }
        };
        command.args(["--config", UNOPTIMISED]);
        command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", flags).env("CARGO_BUILD_TARGET", host);
        // What it reports is a place in the code.
        command.env("CARGO_PROFILE_SUITES_DEBUG", "line-tables-only");
        command
    }

    /// Why it is left out.
    fn reason(&self) -> String {
        format!(
            "there is no runtime of {}, neither with the Rust on PATH nor from LLVM; docs/TESTING.md says what it takes",
            self.file
        )
    }
}
