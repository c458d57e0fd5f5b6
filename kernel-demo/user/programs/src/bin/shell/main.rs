//! A shell: programs by name, and commands that look at processes.
//!
//! ```text
//!   keyboard ─ line ─► words ─┬─► command ─► show · lessons
//!                             └─► program ─► jobs: fork, execve, wait4
//! ```

#![no_std]
#![no_main]

extern crate alloc;

mod jobs;
mod keyboard;
mod lessons;
mod line;
mod show;

use alloc::string::String;
use alloc::vec::Vec;

use jobs::Jobs;
use keyboard::Keyboard;
use line::Input;
use programs::look;
use runtime::system::process::{self, Signal};
use runtime::system::view::{self, Subject, Trace, View};
use runtime::{Arguments, Verdict, print, println, program};

program!(run);

/// Commands, with what `help` says of each.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("help", "", "this list, and the programs"),
    ("PROGRAM", "[WORD …] [&]", "run a program, with & beside the shell"),
    ("jobs", "", "programs that run beside the shell"),
    ("fg", "PID", "wait for one of them, which Ctrl-C then ends"),
    ("kill", "PID", "end a process"),
    ("ps", "", "the process table (also Ctrl-P, at any time)"),
    ("maps", "PID", "the areas of a process's memory"),
    ("smaps", "PID", "the same, with what of each is in memory"),
    ("status", "PID", "the sums"),
    ("heap", "PID", "the cells of its heap"),
    ("pt", "PID ADDRESS", "the page-table walk to an address, or to `heap`, `stack`"),
    ("trace", "on|off [PID]", "system calls and page faults of a process, or of all to come"),
    ("frames", "", "the page allocator"),
    ("lesson", "[N]", "a lesson of docs/COURSE.md, which types its commands itself"),
    ("exit", "", "stop the machine"),
];

fn run(arguments: Arguments) -> Verdict {
    let mut shell = Shell {
        jobs: Jobs::new(arguments.program()),
        keyboard: Keyboard::new(),
        programs: look::text(View::Programs, Subject::default())
            .ok()
            .and_then(|text| String::from_utf8(text).ok())
            .unwrap_or_default(),
    };
    if shell.keyboard.is_terminal() {
        println!("brkalloc's kernel. `help` lists the commands, `exit` stops the machine.");
    }
    while shell.line() {}
    shell.jobs.end();
    Ok(())
}

struct Shell {
    jobs: Jobs,
    keyboard: Keyboard,
    /// The names of all programs, a line each.
    programs: String,
}

impl Shell {
    /// Reads a line and does what it says. `false` at the end.
    fn line(&mut self) -> bool {
        print!("{}", self.jobs.news());
        let names = COMMANDS.iter().map(|(name, ..)| *name).filter(|name| *name != "PROGRAM");
        let words: Vec<&str> = names.chain(self.programs.lines()).collect();
        match self.keyboard.line(&words, || self.jobs.news()) {
            Input::Line(line) => self.execute(&line),
            Input::Processes => {
                show::show(View::Processes, Subject::default());
                true
            }
            Input::End => false,
        }
    }

    /// Does what a line says, command by command: all but the last end with `&`. `false` if it is
    /// the last line.
    fn execute(&mut self, line: &str) -> bool {
        let mut commands = line.split_inclusive('&');
        if commands.clone().any(|command| command.trim() == "&") {
            println!("no program before `&`: write it behind one, as `spin forever &`");
            return true;
        }
        commands.all(|command| self.command(command))
    }

    /// Does what a command says. `false` if it ends the shell.
    fn command(&mut self, line: &str) -> bool {
        let (line, is_beside) = match line.trim().strip_suffix('&') {
            Some(rest) => (rest, true),
            None => (line, false),
        };
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            [] => {}
            ["exit"] => return false,
            ["help"] => self.help(),
            ["jobs"] => self.jobs.list(),
            ["ps"] => show::show(View::Processes, Subject::default()),
            ["frames"] => show::frames(),
            ["kill", whom] => self.with(whom, kill),
            ["fg", whom] => match self.jobs.process(whom) {
                Some(process) => self.jobs.wait(process, &mut self.keyboard),
                None => println!("{whom:?} is no job"),
            },
            ["maps", whom] => self.view(View::Maps, whom),
            ["smaps", whom] => self.view(View::Smaps, whom),
            ["status", whom] => self.view(View::Status, whom),
            ["heap", whom] => self.with(whom, show::heap),
            ["pt", whom, address] => {
                self.with(whom, |process| match show::address(process, address) {
                    Ok(Some(address)) => show::walk(Subject { process, address }),
                    Ok(None) => {
                        println!("{address:?} is no address and no area of process {process}");
                    }
                    Err(errno) => show::refusal(process, errno),
                })
            }
            ["lesson"] => lessons::list(),
            ["lesson", number] => self.lesson(number),
            ["trace", "on"] => self.jobs.traces = true,
            ["trace", "off"] => self.jobs.traces = false,
            ["trace", "on", whom] => self.trace(whom, Trace::CallsAndFaults),
            ["trace", "off", whom] => self.trace(whom, Trace::Off),
            [name, ..] if let Some(usage) = usage(name) => println!("{usage}"),
            _ if is_beside => self.jobs.run_beside(&words),
            _ => self.jobs.run(&words, &mut self.keyboard),
        }
        true
    }

    /// Gives a lesson: its text, then its commands, one after the other.
    fn lesson(&mut self, number: &str) {
        let Some(lesson) = number.parse().ok().and_then(lessons::find) else {
            println!("there is no lesson {number}; there are:");
            return lessons::list();
        };
        println!("{}. {} ({})\n", lesson.number, lesson.title, lesson.claims);
        for (text, command) in lesson.steps {
            println!("{text}\n$ {command}");
            self.execute(command);
            // The next command looks at what this one leaves.
            self.jobs.process("%").into_iter().for_each(|job| jobs::settle(job, jobs::MOMENT));
            println!("{}", self.jobs.news());
        }
        println!("Ask yourself: {}", lesson.question);
        println!("Read on: docs/COURSE.md, lesson {}.", lesson.number);
    }

    fn view(&self, view: View, whom: &str) {
        self.with(whom, |process| show::show(view, Subject { process, address: 0 }));
    }

    fn trace(&self, whom: &str, trace: Trace) {
        self.with(whom, |process| {
            view::proc_trace(process, trace).unwrap_or_else(|errno| show::refusal(process, errno));
        });
    }

    /// Does something with the process that a word stands for.
    fn with(&self, whom: &str, action: impl FnOnce(usize)) {
        match self.jobs.process(whom) {
            Some(process) => action(process),
            None if whom.starts_with('%') => println!("{whom} is no job; `jobs` lists them"),
            None => println!("{whom:?} is no process: say a number of `ps`, or % for the last job"),
        }
    }

    fn help(&self) {
        for (name, words, what) in COMMANDS {
            println!("  {:<22} {what}", [*name, *words].join(" "));
        }
        println!("programs:");
        let names: Vec<&str> = self.programs.lines().collect();
        print!("{}", show::columns(&names));
    }
}

/// Ends a process, but not the shell's own.
fn kill(process: usize) {
    if process == process::getpid() {
        return println!("process {process} is this shell; `exit` stops the machine");
    }
    match process::kill(process.cast_signed(), Signal::Terminate) {
        Ok(()) => jobs::settle(process, jobs::MOMENT),
        Err(errno) => show::refusal(process, errno),
    }
}

/// How a command is called, if that is the name of one.
fn usage(name: &str) -> Option<String> {
    let (name, words, what) = COMMANDS.iter().find(|(known, ..)| *known == name)?;
    let command = [*name, *words].join(" ");
    Some(alloc::format!("usage: {}: {what}", command.trim_end()))
}
