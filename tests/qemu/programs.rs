//! Programs in ring 3, each with the end that it must come to.

use alloc::string::String;

use kernel_demo::programs;
use kernel_demo::system::console::{Input, Output};
use kernel_demo::system::status::Status;
use kernel_demo::system::{KernelSystem, Options, Settings, Trace};
use kernel_demo::testing::{Case, CaseResult, Failed, OrFail};
use kernel_demo::{cases, ensure, ensure_eq};

pub const CASES: &[Case] = cases!("programs":
    hello,
);

/// Room for what programs write.
const ROOM: usize = 64 << 10;

/// What became of a program: how it ended, and what was written.
struct Ran {
    status: Status,
    output: String,
}

/// Runs one program in a system of its own.
fn run(name: &'static str, arguments: &[&str], options: Options) -> Result<Ran, Failed> {
    let settings = Settings { output: Output::Memory(ROOM), input: Input::Text(b"a line\n"), ..Settings::default() };
    let mut system = KernelSystem::start(settings).or_fail("a system")?;
    let image = programs::find(name).or_fail("a program of that name")?;
    let pid = system.spawn(name, image, arguments, options).or_fail("a process")?;
    system.run();
    ensure_eq!(system.promised(), 0);
    let status = system.outcome(pid).and_then(|started| started.status).or_fail("a status")?;
    Ok(Ran { status, output: String::from(system.output()) })
}

fn hello() -> CaseResult {
    let ran = run("hello", &[], Options { trace: Trace::CallsAndFaults, ..Options::default() })?;
    ensure!(ran.status == Status::Exited(0), "{:?}: {}", ran.status, ran.output);
    kernel_demo::println!("{}", ran.output);
    Ok(())
}
