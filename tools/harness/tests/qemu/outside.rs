//! Both halves of `kerntest` as other projects use them: a kernel outside this project, run by the
//! program `kerntest`; and a kernel for each platform that is no PC with a BIOS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kerntest::{Kind, Limits, Machine, Platform, Suite};

use harness::project::Project;
use harness::{cargo, process};

use crate::setup;

/// A folder outside the project, with the kernel as its own project has it.
fn copy_of_other_kernel(project: &Project) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("other-kernel-{}", std::process::id()));
    fs::create_dir_all(folder.join("src")).expect("a folder");
    let from = project.other_kernel();
    for file in ["src/main.rs", "Cargo.lock"] {
        fs::copy(from.join(file), folder.join(file)).expect("a copy");
    }
    let manifest = fs::read_to_string(from.join("Cargo.toml")).expect("a manifest");
    let root = project.root().display();
    let manifest = manifest.replace("\"../..", &format!("\"{root}"));
    fs::write(folder.join("Cargo.toml"), manifest).expect("a manifest");
    fs::copy(project.kernel_target(), folder.join("x86_64-target.json")).expect("a target");
    folder
}

/// Runs a command of cargo there, for the kernel's target.
fn build(project: &Project, folder: &Path, subcommand: &str, arguments: &[&str], sort: &str) {
    let mut command = cargo::freestanding(project, &setup(), folder, sort);
    command.arg(subcommand).args(arguments);
    command.args(["-Zjson-target-spec", "-Zbuild-std-features=compiler-builtins-mem"]);
    let mut output = String::new();
    let status = process::run(command, |line| output.extend([line, "\n"])).expect("cargo runs");
    assert!(status.success(), "{output}");
}

fn kerntest(image: &Path, folder: &Path, arguments: &[&str]) -> Output {
    let project = Project::find().expect("the tests run inside the project");
    let mut build = cargo::host(&project, project.root(), "");
    build.args(["build", "--package", "kerntest"]);
    let mut output = String::new();
    let status = process::run(build, |line| output.extend([line, "\n"])).expect("cargo runs");
    assert!(status.success(), "{output}");
    let mut command = Command::new(project.target("debug/kerntest"));
    command.arg(image).args(arguments).arg("--qemu").arg(setup().qemu).current_dir(folder);
    command.output().expect("kerntest runs")
}

#[test]
fn a_kernel_of_another_project_runs_under_kerntest() {
    let project = Project::find().expect("the tests run inside the project");
    let folder = copy_of_other_kernel(&project);
    let target = ["--target", "x86_64-target.json", "-Zbuild-std=core,alloc,compiler_builtins"];
    build(&project, &folder, "bootimage", &target, "outside");
    let image = project.target("outside/x86_64-target/debug/bootimage-other-kernel.bin");

    let output = kerntest(&image, &folder, &["--junit", "junit.xml", "--json", "run.json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(101), "{text}");
    for line in [
        "running 3 tests",
        "test collections::live_on_the_heap ... ok",
        "test memory::is_used_again ... ok",
        "test memory::runs_out_on_purpose ... FAILED",
        "---- memory::runs_out_on_purpose: assertion ----",
        "expected: 2 MiB of memory",
    ] {
        assert!(text.lines().any(|found| found == line), "no line {line:?} in {text}");
    }
    let summary = "test result: FAILED. 2 passed; 1 failed; 0 ignored; finished in ";
    assert!(text.contains(summary), "{text}");
    let junit = fs::read_to_string(folder.join("junit.xml")).expect("JUnit XML");
    assert!(junit.contains(r#"tests="3" disabled="0" errors="0" failures="1""#), "{junit}");
    assert!(junit.contains(r#"<failure message="at src/main.rs:"#), "{junit}");
    let json = fs::read_to_string(folder.join("run.json")).expect("JSON lines");
    let is_failed = |line: &&str| line.contains(r#""event":"failed""#);
    let failed: Vec<&str> = json.lines().filter(is_failed).collect();
    assert_eq!(failed.len(), 2, "the case and the suite: {json}");
    assert!(failed[0].contains(r#""kind":"assertion""#), "{json}");

    let output = kerntest(&image, &folder, &["--skip", "on_purpose"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("test result: ok. 2 passed; 0 failed"), "{text}");

    let output = kerntest(&image, &folder, &["--list", "is_used"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text, "memory::is_used_again: test\n\n1 tests, 0 benchmarks\n");
    fs::remove_dir_all(folder).expect("the folder was this test's");
}

/// Boots the kernel of `tools/kerntest/boards` for a target: three of its six cases pass or fail
/// as they must on each platform, and it is booted again behind the panic and the hang.
fn board(platform: Platform, target: &str, file: &str, flags: &str) {
    let project = Project::find().expect("the tests run inside the project");
    let folder = project.boards();
    let mut command = cargo::freestanding(&project, &setup(), &folder, "boards");
    command.args(["build", "--target", target, "-Zbuild-std=core,compiler_builtins"]);
    command.arg("-Zbuild-std-features=compiler-builtins-mem").env("RUSTFLAGS", flags);
    let mut output = String::new();
    let status = process::run(command, |line| output.extend([line, "\n"])).expect("cargo runs");
    assert!(status.success(), "{output}");

    let mut machine = Machine::new(platform);
    if machine.platform.is_pc() {
        machine.qemu = setup().qemu;
        machine.mem = Some("128M".into());
    } else if Command::new(&machine.qemu).arg("--version").output().is_err() {
        println!("left out: there is no {} here", machine.qemu.display());
        return;
    }
    let second = std::time::Duration::from_secs(1);
    let suite = Suite {
        limits: Limits { first: 120 * second, next: 5 * second },
        source: folder,
        ..Suite::new(machine, project.target(&format!("boards/{target}/debug/{file}")))
    };
    let tally = suite.run(|_| {});
    let found: Vec<_> =
        tally.failures.iter().map(|failure| (failure.name.as_str(), failure.kind)).collect();
    let expected = [
        ("boards::b_asserts", Kind::Assertion),
        ("boards::c_panics", Kind::Panic),
        ("boards::d_keeps", Kind::Leak),
        ("boards::e_waits", Kind::Hang),
    ];
    assert_eq!(found, expected, "{:?}", tally.failures);
    assert_eq!(tally.passed, 2);
}

#[test]
fn a_cortex_m_runs_its_cases() {
    board(Platform::CortexM("lm3s6965evb".into()), "thumbv7m-none-eabi", "boards", "");
}

#[test]
fn a_32_bit_risc_v_runs_its_cases() {
    board(Platform::RiscV32, "riscv32imac-unknown-none-elf", "boards", "");
}

#[test]
fn a_64_bit_risc_v_runs_its_cases() {
    board(Platform::RiscV64, "riscv64gc-unknown-none-elf", "boards", "");
}

#[test]
fn an_aarch64_runs_its_cases() {
    board(Platform::AArch64, "aarch64-unknown-none-softfloat", "boards", "");
}

#[test]
fn a_pc_loaded_by_multiboot_runs_its_cases() {
    let flags = "-Clinker=rust-lld -Clinker-flavor=ld.lld -Crelocation-model=static -Cpanic=abort";
    board(Platform::PcKernel, "i686-unknown-linux-gnu", "boards", flags);
}
