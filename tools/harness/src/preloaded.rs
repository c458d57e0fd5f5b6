//! Claim C28, for the tour: a program of this host with `libbrkmalloc.so`, its system calls and
//! statistics, told to the kernel that waits for it (`kernel-demo/src/tour/host.rs`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::build::phase;
use crate::project::Project;
use crate::{Error, cargo, libtest, process};

/// What the kernel writes when it waits.
pub const MARK: &str = "(the host takes over)";

/// What the kernel reads, to know that somebody answers.
pub const OPTION: (&str, &str) = ("host", "1");

/// The last line.
const END: &str = ".\n";

/// Programs that one or another host has, each with its arguments and what it must write.
const PROGRAMS: [(&str, &[&str], &str); 3] = [
    (
        "perl",
        &["-e", r#"my %h; $h{$_} = "x" x ($_ % 500) for 1..20000; print scalar(keys %h)"#],
        "20000",
    ),
    ("python3", &["-c", "print(len({i: 'x' * (i % 500) for i in range(20000)}))"], "20000"),
    ("sort", &["--version"], ""),
];

/// System calls that are about memory.
const CALLS: [&str; 4] = ["brk", "mmap", "munmap", "mremap"];

/// Lines of a trace that are shown.
const SHOWN: usize = 4;

/// The library, built.
#[derive(Debug)]
pub struct Preloaded {
    library: PathBuf,
}

impl Preloaded {
    /// Builds the library; `None` where it cannot be preloaded. `on_line` gets what the build has
    /// to say.
    pub fn build(project: &Project, mut on_line: impl FnMut(&str)) -> Result<Option<Self>, Error> {
        if !cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")) {
            return Ok(None);
        }
        let mut build = cargo::host(project, &project.libmalloc(), "");
        build.args(["build", "--release", "--package", "brkmalloc"]);
        on_line(&phase("libbrkmalloc.so"));
        let mut output = Vec::new();
        let status = process::run(build, |line| {
            if !libtest::is_progress(line) {
                output.push(line.to_owned());
            }
            on_line(line);
        })?;
        if !status.success() {
            return Err(Error::Build("libbrkmalloc.so".into(), output));
        }
        Ok(Some(Self { library: project.target("release").join("libbrkmalloc.so") }))
    }

    /// Runs a program, and returns the lines that tell the kernel what came of it.
    pub fn lines(&self) -> String {
        let mut told = Told::default();
        if let Err(error) = self.tell(&mut told) {
            told.check("a program of the host runs", "yes", &error.to_string());
        }
        told.0 + END
    }

    fn tell(&self, told: &mut Told) -> io::Result<()> {
        let runs = |name: &str| Command::new(name).arg("--version").output().is_ok();
        let found = PROGRAMS.into_iter().find(|(name, ..)| runs(name));
        let Some((name, arguments, expected)) = found else {
            return Err(io::Error::other("it has neither perl, python3 nor sort"));
        };
        let command = || {
            let mut command = Command::new(name);
            command.args(arguments);
            command
        };
        let own = command().output()?;
        let served =
            command().env("LD_PRELOAD", &self.library).env("BRKALLOC_STATS", "1").output()?;
        told.show(&format!("$ {}", self.command_line(name, arguments)));
        told.check("exit status of the program", "0", &status(&served));
        told.check(
            "what it writes is what it writes without the library",
            "true",
            &(own.stdout == served.stdout).to_string(),
        );
        let text = String::from_utf8_lossy(&served.stdout);
        told.check("and what it must write", "true", &text.contains(expected).to_string());
        let statistics = String::from_utf8_lossy(&served.stderr);
        let statistics = statistics.lines().filter(|line| line.starts_with("brkmalloc: "));
        let mut lines = 0;
        for line in statistics {
            told.show(line);
            lines += 1;
        }
        told.check("lines of statistics, which only the library writes", "1", &lines.to_string());
        match self.trace(command) {
            Ok(trace) => tell_trace(told, &trace),
            Err(error) => told.show(&format!("its system calls are left out: strace: {error}")),
        }
        Ok(())
    }

    /// The command as it can be pasted into a shell in the project's folder.
    fn command_line(&self, name: &str, arguments: &[&str]) -> String {
        let quoted = |word: &&str| {
            let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
            match word.chars().all(is_plain) {
                true => (*word).to_owned(),
                false => format!("'{}'", word.replace('\'', r"'\''")),
            }
        };
        let library = self.library.iter().rev().take(3).collect::<Vec<_>>();
        let library: PathBuf = library.into_iter().rev().collect();
        let arguments: Vec<String> = arguments.iter().map(quoted).collect();
        format!("LD_PRELOAD={} BRKALLOC_STATS=1 {name} {}", library.display(), arguments.join(" "))
    }

    /// The calls of the program that are about memory, as strace writes them, from when the library
    /// is loaded.
    fn trace(&self, command: impl FnOnce() -> Command) -> io::Result<String> {
        let program = command();
        let file = std::env::temp_dir().join(format!("brkalloc-tour-{}", std::process::id()));
        let mut strace = Command::new("strace");
        strace.arg("-o").arg(&file).arg("-e").arg(format!("trace={}", CALLS.join(",")));
        strace.arg("-E").arg(format!("LD_PRELOAD={}", self.library.display()));
        strace.arg(program.get_program()).args(program.get_args());
        let output = strace.output();
        let trace = fs::read_to_string(&file);
        let removed = remove(&file);
        let output = output?;
        removed?;
        if output.status.success() { trace } else { Err(io::Error::other(status(&output))) }
    }
}

/// Shows the calls of `brk`, which begin with the library's first block, and counts the others.
fn tell_trace(told: &mut Told, trace: &str) {
    let of = |name: &'static str| {
        trace.lines().filter(move |line| line.starts_with(&format!("{name}(")))
    };
    of("brk").filter(|line| !line.contains("NULL")).take(SHOWN).for_each(|line| told.show(line));
    let counts: Vec<String> =
        CALLS.iter().map(|name| format!("{} of {name}", of(name).count())).collect();
    told.show(&format!("in all: {}", counts.join(", ")));
    let moves = of("brk").filter(|line| !line.contains("NULL")).count();
    told.check("its heap moves the break", "true", &(moves > 0).to_string());
}

fn status(output: &Output) -> String {
    output.status.code().map_or_else(|| output.status.to_string(), |code| code.to_string())
}

/// Removes a file that may not be there.
fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Lines for the kernel.
#[derive(Debug, Default)]
struct Told(String);

impl Told {
    /// Text to show.
    fn show(&mut self, text: &str) {
        self.line('|', text);
    }

    /// Something to check.
    fn check(&mut self, what: &str, expected: &str, found: &str) {
        self.line('=', &format!("{what}|{expected}|{found}"));
    }

    /// A line of plain characters, as long as the kernel reads.
    fn line(&mut self, kind: char, text: &str) {
        let plain = |letter: char| if (' '..='~').contains(&letter) { letter } else { '?' };
        self.0.extend([kind, ' '].into_iter().chain(text.chars().map(plain).take(390)));
        self.0.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_the_kernel_reads() {
        let mut told = Told::default();
        told.show("tab\there");
        told.check("what", "1", "2");
        told.show(&"x".repeat(1000));
        let lines: Vec<&str> = told.0.lines().collect();
        assert_eq!(lines[..2], ["| tab?here", "= what|1|2"]);
        assert!(lines.iter().all(|line| line.len() <= 400));
    }

    #[test]
    fn the_command_can_be_pasted() {
        let preloaded = Preloaded { library: "/a/target/release/libbrkmalloc.so".into() };
        for (name, arguments, expected) in PROGRAMS {
            let line = preloaded.command_line(name, arguments);
            let command =
                line.replace("LD_PRELOAD=target/release/libbrkmalloc.so BRKALLOC_STATS=1 ", "");
            assert_ne!(command, line);
            // A shell makes the same words of it.
            let words = format!("set -- {command}; printf '%s\\n' \"$@\"");
            let output = Command::new("sh").arg("-c").arg(words).output().unwrap();
            let expected_words = format!("{name}\n{}\n", arguments.join("\n"));
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected_words, "{expected}");
        }
    }

    #[test]
    fn the_first_moves_of_the_break_are_shown_and_all_calls_counted() {
        let mut told = Told::default();
        tell_trace(
            &mut told,
            "brk(NULL) = 0x1\nmmap(NULL, 8) = 0x2\nbrk(0x9) = 0x9\n+++ exited +++\n",
        );
        let expected = "| brk(0x9) = 0x9\n| in all: 2 of brk, 1 of mmap, 0 of munmap, 0 of mremap\n\
            = its heap moves the break|true|true\n";
        assert_eq!(told.0, expected);
    }

    #[test]
    fn a_library_that_is_not_there_is_told() {
        let lines = Preloaded { library: "/nowhere/libbrkmalloc.so".into() }.lines();
        assert!(lines.ends_with("\n.\n"), "{lines}");
        assert!(lines.contains("only the library writes|1|0"), "{lines}");
    }
}
