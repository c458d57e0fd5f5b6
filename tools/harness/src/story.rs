//! A story: the tour, or one program, recorded on the second serial port; and the page that
//! `tools/story` makes of it.
//!
//! ```text
//!   the tour ── COM1 ──► terminal
//!       └───── COM2 ──► target/story/NAME.record ── tools/story ──► target/NAME.html
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::image::Image;
use crate::preloaded::{OPTION, Preloaded};
use crate::project::{Project, Setup};
use crate::tour::Tour;
use crate::{Error, build, cargo, process, programs};
use kerntest::machine::Machine;
use kerntest::tally::Failure;

/// The processes' addresses, so that each story of a program has the same.
const SEED: (&str, &str) = ("seed", "1");

/// A recorded run.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The records.
    pub record: PathBuf,
    /// What was wrong with the run.
    pub failure: Option<Failure>,
}

/// Builds the kernel, boots it with these options, and records what it tells. `on_line` gets what
/// the build has to say, `on_bytes` what the kernel prints.
pub fn record(
    project: &Project,
    setup: &Setup,
    machine: &Machine,
    (name, keys): (&str, &[(&str, &str)]),
    host: Option<&Preloaded>,
    on_line: impl FnMut(&str),
    on_bytes: impl FnMut(&[u8]),
) -> Result<Recording, Error> {
    let program = keys.iter().find(|(key, _)| *key == "program").map(|&(_, words)| words);
    let image = Image::tour(project).build_for(program, project, setup, on_line)?;
    let folder = project.target("story");
    fs::create_dir_all(&folder).map_err(|error| Error::Write(folder.clone(), error))?;
    let record = folder.join(name).with_extension("record");
    // A boot that fails must not leave the record of the last one.
    fs::write(&record, "").map_err(|error| Error::Write(record.clone(), error))?;
    let mut machine = machine.clone();
    machine.extra.extend(["-serial".into(), port(&record)]);
    let mut keys: Vec<_> = keys.iter().copied().chain([("story", "1"), SEED]).collect();
    keys.extend(host.map(|_| OPTION));
    let tour = Tour { image: &image, machine: &machine, keys: &keys };
    let failure = match host {
        Some(host) => tour.run_with_host(host, on_bytes),
        None => tour.run(on_bytes),
    };
    Ok(Recording { record, failure })
}

/// A serial port that is a file.
fn port(file: &Path) -> std::ffi::OsString {
    let mut port = std::ffi::OsString::from("file:");
    port.push(file);
    port
}

/// What is run with the library preloaded.
const PRELOADED: [&str; 3] = ["ls", "-lR", "labs"];

/// Records a program of this machine that is served by the library. Returns what tells
/// `tools/story` of it.
pub fn preloaded(project: &Project) -> Result<Vec<String>, Error> {
    let [name, arguments @ ..] = PRELOADED;
    let trace = project.target("story").join(name).with_extension("trace");
    let mut command = Command::new(name);
    command.args(arguments).current_dir(project.root());
    command.env("LD_PRELOAD", project.target("release").join("libbrkmalloc.so"));
    command.env("BRKALLOC_TRACE", &trace);
    // A trace that is not whole is an error of the tool.
    process::run(command, |_| {})?;
    let trace = trace.display().to_string();
    Ok(["--trace", &trace, "--name", name, "--as-claim"].map(str::to_owned).to_vec())
}

/// Builds `tools/story`. `on_line` gets what the build has to say.
fn tool(project: &Project, mut on_line: impl FnMut(&str)) -> Result<(), Error> {
    let mut command = cargo::host(project, project.root(), "");
    command.args(["build", "--package", "story"]);
    on_line(&build::phase("tools/story, which makes the page"));
    let mut output = Vec::new();
    let status = process::run(command, |line| {
        output.push(line.to_owned());
        on_line(line);
    })?;
    if status.success() { Ok(()) } else { Err(Error::Build("tools/story".to_owned(), output)) }
}

/// Makes a page of records. `on_line` gets what the build has to say, `on_result` what there is to
/// say of the page.
pub fn page(
    project: &Project,
    records: &[PathBuf],
    page: &Path,
    further: &[&str],
    on_line: impl FnMut(&str),
    on_result: impl FnMut(&str),
) -> Result<bool, Error> {
    tool(project, on_line)?;
    let mut command = cargo::host(project, project.root(), "");
    command.args(["run", "--quiet", "--package", "story", "--"]).args(records);
    command.arg("--programs").arg(programs::symbols(project)).arg("--out").arg(page);
    command.args(further);
    Ok(process::run(command, on_result)?.success())
}
