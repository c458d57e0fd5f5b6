//! What runs under QEMU: the ring-3 programs, which Linux runs as well, and the images, which are
//! built once, then booted.

use super::host::cargo_test_but;
use super::{Context, Outcome, Screen, Step, Tier, dropped_in, gdb};
use crate::cli::MachineOptions;
use crate::cost::Costs;
use crate::image::Image;
use crate::preloaded::{self, Preloaded};
use crate::tour::Tour;
use crate::{Error, cargo, demo_suite, killed, on_linux, programs};
use kerntest::Happened;
use kerntest::judge::is_assertion;
use kerntest::protocol::Event;
use kerntest::tally::{Failure, Kind, Tally};

pub(super) fn steps() -> Vec<Step> {
    vec![
        Step::tests(Tier::Test, "host tests: ring-3 programs on Linux", ring3).unless_unchanged(),
        Step::tests(Tier::Test, "qemu: suite", suite).unless_unchanged(),
        Step::alone(Tier::Test, "qemu: the judge against real failures", judge).unless_unchanged(),
        Step::alone(Tier::All, "qemu: after builds that were killed", after_kills),
        Step::alone(Tier::Test, "qemu: tour", tour).unless_unchanged(),
        Step::alone(Tier::All, "qemu: tour, the kernel's heap behind one lock", one_lock),
        Step::alone(Tier::All, "qemu: a program dropped in", dropped_in::run),
        Step::alone(Tier::All, "qemu: a session of gdb", gdb::session),
        Step::alone(Tier::All, "qemu: cost in instructions", cost),
    ]
}

/// Tells `tests/qemu.rs` to boot the short suite's image.
const SHORT: &str = "BRKALLOC_SHORT";

/// Part of the names of those sessions in the shell that the short form leaves out.
const LONG: &str = "shell::long::";

/// Random programs of each kind in the suite's short form.
const PROGRAMS: u32 = 20;

/// The kernel's programs, on the system whose calls they use.
fn ring3(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(Outcome::LeftOut("this is no Linux on x86_64".into()));
    }
    let folder = programs::build(&context.project, &context.setup, |line| screen.detail(line))?;
    let names = programs::all_names(&context.project)
        .map_err(|error| Error::Run("the ring-3 programs".into(), error))?;
    let mut tally = Tally::default();
    for run in on_linux::runs(&names) {
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

/// The demo kernel's suite, case by case.
fn suite(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let image = if context.is_short() { Image::short_suite } else { Image::suite };
    let image = image(&context.project)
        .build(&context.project, &context.setup, |line| screen.detail(line))?;
    let programs = context.is_short().then_some(PROGRAMS);
    let filter = context.filter.as_deref();
    Ok(Outcome::Ran(on_each(context, screen, |options, screen| {
        let machine = options.for_tests(&context.setup);
        let suite = demo_suite::new(&context.project, image.clone(), machine, filter, programs);
        suite.run(|happened| show(screen, &happened))
    })))
}

/// Numbers of CPUs that the long form tries.
const CPUS: [u32; 4] = [1, 2, 4, 8];

/// Runs something on a machine with as many CPUs as was asked for; in the long form with each
/// number of [`CPUS`].
fn on_each(
    context: &Context,
    screen: &mut Screen,
    mut run: impl FnMut(&MachineOptions, &mut Screen) -> Tally,
) -> Tally {
    if context.is_short() {
        return run(&context.machine, screen);
    }
    let mut tally = Tally::default();
    for cpus in CPUS {
        screen.line(&format!("with SMP={cpus}:"));
        tally.add(run(&context.machine.with_cpus(cpus), screen));
    }
    tally
}

/// The harness's tests that need real boots: cases that fail on purpose, each of which must be
/// recognised.
fn judge(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let mut command = cargo::host(&context.project, context.project.root(), "");
    command.args(["test", "--package", "harness", "--features", "qemu", "--test", "qemu"]);
    // Most of them do nothing but wait: for the one run with every failure, and that for a limit to
    // run out.
    command.env("RUST_TEST_THREADS", "8");
    if context.is_short() {
        command.env(SHORT, "1");
    }
    // A filter chooses among all of them.
    let but: &[_] = if context.is_short() && context.filter.is_none() { &[LONG] } else { &[] };
    cargo_test_but("qemu: the judge against real failures", context, command, but, screen)
}

/// A build after a few that were killed; `make kill-builds` kills more.
fn after_kills(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    const KILLS_AND_SEED: (u32, u64) = (6, 1);
    let (project, setup) = (&context.project, &context.setup);
    let machine = context.machine.for_tests(&context.setup);
    killed::run(project, setup, &machine, KILLS_AND_SEED, |line| screen.detail(line))
        .map(Outcome::Ran)
}

/// The tour; what it shows is worth reading where it is run for that, `make run`.
fn tour(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let image = Image::tour(&context.project)
        .build(&context.project, &context.setup, |line| screen.detail(line))?;
    let host = Preloaded::build(&context.project, |line| screen.detail(line))?;
    let keys: &[_] = if host.is_some() { &[preloaded::OPTION] } else { &[] };
    Ok(Outcome::Ran(on_each(context, screen, |options, _| {
        let machine = options.for_tour(&context.setup);
        let tour = Tour { image: &image, machine: &machine, keys };
        let failure = match &host {
            Some(host) => tour.run_with_host(host, |_| {}),
            None => tour.run(|_| {}),
        };
        failure.map_or_else(Tally::one_passed, Tally::one_failed)
    })))
}

/// The tour of a kernel whose CPUs share one heap behind one lock.
fn one_lock(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let image =
        Image::one_lock(&context.project)
            .build(&context.project, &context.setup, |line| screen.detail(line))?;
    let machine = context.machine.for_tour(&context.setup);
    let tour = Tour { image: &image, machine: &machine, keys: &[] };
    let failure = tour.run(|_| {});
    Ok(Outcome::Ran(failure.map_or_else(Tally::one_passed, Tally::one_failed)))
}

/// What the system's side costs: within its bounds, and the same in each boot.
fn cost(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let mut measure = || {
        Costs::measure(&context.project, &context.setup, &context.machine, |line| {
            screen.detail(line)
        })
    };
    let (first, again) = match (measure()?, measure()?) {
        (Ok(first), Ok(again)) => (first, again),
        (Err(failure), _) | (_, Err(failure)) => {
            return Ok(Outcome::Ran(Tally::one_failed(failure)));
        }
    };
    let mut tally = first.judge();
    tally.add(if first == again {
        Tally::one_passed()
    } else {
        let details =
            first.to_string().lines().chain(again.to_string().lines()).map(str::to_owned).collect();
        Tally::one_failed(Failure::new(
            "cost: two boots have the same figures",
            Kind::Contradiction,
            details,
        ))
    });
    Ok(Outcome::Ran(tally))
}

/// Shows an event of a test kernel.
fn show(screen: &mut Screen, happened: &Happened<'_>) {
    let Happened::Said(event) = happened else { return };
    match event {
        Event::Began(name) => screen.start_line(&format!("test {name} ... ")),
        Event::Verdict(true) => screen.end_line("ok"),
        Event::Panic(message) if is_assertion(message) => screen.end_line("FAILED"),
        Event::Verdict(false) => screen.end_line("FAILED"),
        Event::Panic(_) => screen.end_line("PANIC"),
        Event::Fault(_) => screen.end_line("FAULT"),
        Event::Detail(line) | Event::Other(line) => screen.detail(line),
        Event::Running(_) | Event::Summary(_) => {}
    }
}
