//! The command line; see the library for how things are measured.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bench::measure::Job;
use bench::measure::tightness::Question;
use bench::measure::traces::Origin;
use bench::report::{Report, collect};
use bench::{differential, subject, threads, trace, workload};
use clap::{Args, Parser, Subcommand};

/// Measures brkalloc beside its peers.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything, with the verdict on every target; writes report.json and report.svg.
    All {
        /// Two minutes instead of many: fewer subjects, one round, fewer heaps.
        #[arg(long)]
        quick: bool,
        /// Files, or folders of files, in the slot form or as `import` writes them, perhaps with
        /// `.xz`; without any, the stored traces.
        #[arg(long)]
        traces: Vec<PathBuf>,
        /// The folder for the report's files.
        #[arg(long, default_value = "target/bench")]
        out: PathBuf,
        /// What `make size` wrote.
        #[arg(long, default_value = "target/size.json")]
        size: PathBuf,
        /// What `make cost` wrote.
        #[arg(long, default_value = "target/kernel-cost.json")]
        cost: PathBuf,
    },
    /// Draws the pictures and writes the document again, from the figures in a report.json.
    Draw {
        /// The report.
        #[arg(default_value = "target/bench/report.json")]
        report: PathBuf,
        /// The folder for the files.
        #[arg(long, default_value = "target/bench")]
        out: PathBuf,
    },
    /// Nanoseconds an operation.
    Time {
        #[command(flatten)]
        choice: Choice,
        /// Rounds; the median of them counts.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Milliseconds for each subject in each round.
        #[arg(long, default_value_t = 50)]
        budget: u64,
    },
    /// Instructions and cache misses an operation; needs valgrind.
    Counts(Choice),
    /// Which part of a heap is payload.
    Tightness {
        /// Only these subjects.
        #[arg(short, long, value_delimiter = ',')]
        subject: Vec<subject::Name>,
    },
    /// Instructions of single operations in the worst heaps.
    Bounds {
        /// Only these subjects.
        #[arg(short, long, value_delimiter = ',')]
        subject: Vec<subject::Name>,
        /// Heaps of so many cells.
        #[arg(short, long, value_delimiter = ',', default_values_t = CELLS)]
        cells: Vec<usize>,
    },
    /// Operations a second, and memory, of many threads.
    Threads {
        /// Only these heaps.
        #[arg(short, long, value_delimiter = ',')]
        subject: Vec<threads::Who>,
        /// Only these loads.
        #[arg(short, long, value_delimiter = ',')]
        load: Vec<threads::Load>,
        /// So many threads.
        #[arg(short, long, value_delimiter = ',', default_values_t = THREADS)]
        threads: Vec<usize>,
        /// Rounds; the median of them counts.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Milliseconds for each measurement.
        #[arg(long, default_value_t = 200)]
        budget: u64,
    },
    /// Instructions, time and memory for the calls of real programs.
    Traces {
        /// Files, or folders of files, in the slot form or as `import` writes them, perhaps with
        /// `.xz`; without any, the stored traces.
        paths: Vec<PathBuf>,
        /// Only these subjects.
        #[arg(short, long, value_delimiter = ',', default_value = "heap")]
        subject: Vec<subject::Name>,
        /// Milliseconds for the time of each.
        #[arg(long, default_value_t = 50)]
        budget: u64,
    },
    /// Replays traces on every heap of this project and on a model: contents, refusals, and what
    /// is granted in the end.
    Differential {
        /// Files, or folders of files, as for `traces`; without any, the stored traces.
        paths: Vec<PathBuf>,
    },
    /// Makes a trace of the recorder's raw records, or of a file in the slot form.
    Import {
        /// Records of the recorder, or calls on slots; `.xz` is decompressed.
        raw: PathBuf,
        /// The trace to be written.
        trace: PathBuf,
        /// Leave blocks of raw records out until about so many operations are left.
        #[arg(long, default_value_t = 200_000)]
        limit: usize,
    },
    /// Does one job; for the program itself.
    #[command(hide = true)]
    Child {
        #[arg(long)]
        seconds: u32,
        job: String,
    },
}

/// Which figures.
#[derive(Debug, Args)]
struct Choice {
    /// Only these subjects.
    #[arg(short, long, value_delimiter = ',')]
    subject: Vec<subject::Name>,
    /// Only these workloads.
    #[arg(short, long, value_delimiter = ',')]
    workload: Vec<workload::Name>,
}

/// Numbers of threads.
const THREADS: [usize; 4] = [1, 2, 4, 8];

/// The heaps of the bounds.
const CELLS: [usize; 4] = [10, 1000, 100_000, 1_000_000];

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    let mut report = collect::report(false);
    match command {
        Command::All { quick, traces, out, size, cost } => {
            report = {
                let traces = Origin::of(&traces)?;
                if quick { quick_report(&traces) } else { full_report(&traces) }
            };
            report.small_target(&size);
            report.system_side(&cost);
            report.judge();
            report.write(&out)?;
            let json = out.join("report.json");
            println!("{report}\nwritten: {}, pictures and BENCHMARKS.md beside it", json.display());
            return Ok(());
        }
        Command::Draw { report, out } => {
            let report: Report = serde_json::from_slice(&std::fs::read(report)?)?;
            report.write(&out)?;
            return Ok(());
        }
        Command::Time { choice, rounds, budget } => {
            report.time(
                &choice.subjects(),
                &choice.workloads(),
                rounds,
                Duration::from_millis(budget),
            );
        }
        Command::Counts(choice) => report.counts(&choice.subjects(), &choice.workloads()),
        Command::Tightness { subject } => {
            report.tightness(&subject::Name::chosen(&subject), &Question::all())
        }
        Command::Bounds { subject, cells } => {
            let subjects = subject::Name::chosen(&subject);
            report.bounds(&subjects, &cells);
            report.singles(&subjects);
        }
        Command::Threads { subject, load, threads, rounds, budget } => {
            let loads = if load.is_empty() { threads::Load::all() } else { &load };
            report.threads(&subject, loads, &threads, rounds, Duration::from_millis(budget));
        }
        Command::Traces { paths, subject, budget } => {
            let subjects = subject::Name::chosen(&subject);
            report.traces(&subjects, &Origin::of(&paths)?, Duration::from_millis(budget));
        }
        Command::Differential { paths } => {
            for origin in Origin::of(&paths)? {
                let trace = origin.load().map_err(|error| format!("{origin}: {error}"))?;
                let replays = differential::replay(&trace)
                    .map_err(|difference| format!("{origin}: {difference}"))?;
                for (heap, differential::Replay { calls, compared, refused }) in replays {
                    println!(
                        "{origin:22} {heap:12} {calls} calls, {compared} bytes compared, {refused} refused"
                    );
                }
            }
            return Ok(());
        }
        Command::Import { raw, trace, limit } => {
            let imported = trace::import(&trace::file::bytes(&raw)?, limit)?;
            println!("{imported}");
            imported.write(std::fs::File::create(&trace)?)?;
            return Ok(());
        }
        Command::Child { seconds, job } => {
            let job: Job = serde_json::from_str(&job)?;
            println!("{}", job.run(seconds)?);
            return Ok(());
        }
    }
    // A part of the report has a part of the targets; the heap's state is none of them.
    report.state_bytes = 0;
    report.judge();
    println!("{report}");
    Ok(())
}

/// Everything.
fn full_report(traces: &[Origin]) -> Report {
    use workload::Name::*;
    let subjects = subject::Name::chosen(&[]);
    let mut report = collect::report(false);
    report.time(&subjects, workload::Name::all(), 5, Duration::from_millis(50));
    let mut counted =
        vec![Pair, Random256, Random4K, Random128K, Realloc256, Realloc4K, Aligned, Churn];
    counted.extend(workload::Name::all().iter().filter(|name| name.is_counted()));
    report.counts(&subjects, &counted);
    report.traces(&subject::Name::chosen(&TRACED), traces, Duration::from_millis(50));
    report.tightness(&tight(&subjects), &Question::all());
    report.bounds(&subjects, &CELLS);
    report.singles(&subjects);
    report.threads(&[], threads::Load::all(), &THREADS, 3, Duration::from_millis(200));
    report
}

/// Subjects that replay the traces of real programs.
const TRACED: [subject::Name; 6] = {
    use subject::Name::*;
    [Heap, Talc, Dlmalloc, Glibc, RustyAlloc, Mimalloc]
};

/// These subjects and `plain`, which has a target of tightness.
fn tight(subjects: &[subject::Name]) -> Vec<subject::Name> {
    subject::Name::chosen(&[subjects, &[subject::Name::Plain]].concat())
}

/// What tells most in two minutes.
fn quick_report(traces: &[Origin]) -> Report {
    use subject::Name::*;
    let chosen = subject::Name::chosen;
    let mut report = collect::report(true);
    let quick = chosen(&[Heap, Talc, Rlsf, Dlmalloc, Floor, Mimalloc]);
    report.time(&quick, workload::Name::all(), 1, Duration::from_millis(15));
    let mut counted = vec![workload::Name::Pair, workload::Name::Random256];
    counted.extend(workload::Name::all().iter().filter(|name| name.is_counted()));
    report.counts(&chosen(&[Heap, Talc, Floor, Mimalloc]), &counted);
    report.traces(&[Heap], traces, Duration::from_millis(15));
    report.tightness(&tight(&chosen(&[Heap, Talc, Dlmalloc, LinkedList])), &Question::all());
    report.bounds(&chosen(&[Heap]), &[10, 1000, 100_000]);
    report.singles(&chosen(&[Heap, Talc]));
    let shared =
        [threads::Who::Arenas, threads::Who::Heap, threads::Who::Talc, threads::Who::Mimalloc];
    let loads = [threads::Load::ChurnSmall, threads::Load::Remote];
    report.threads(&shared, &loads, &[1, 2], 1, Duration::from_millis(50));
    report
}

impl Choice {
    fn subjects(&self) -> Vec<subject::Name> {
        subject::Name::chosen(&self.subject)
    }

    fn workloads(&self) -> Vec<workload::Name> {
        let mut chosen = workload::Name::all().to_vec();
        chosen.retain(|name| self.workload.is_empty() || self.workload.contains(name));
        chosen
    }
}
