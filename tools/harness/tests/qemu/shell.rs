//! `make shell`, as a user types at a terminal.

mod long;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;
use expectrl::{Eof, Expect, Regex, Session};
use harness::image::Image;
use harness::project::Project;

use crate::{build, is_short};

/// How long an answer may take, a boot included.
const PATIENCE: Duration = Duration::from_secs(60);

const CTRL_C: &str = "\x03";
const CTRL_P: &str = "\x10";
const CTRL_U: &str = "\x15";

/// A terminal with the shell.
struct Terminal(OsSession);

impl Terminal {
    /// Boots, up to the first prompt.
    fn open() -> Self {
        let mut terminal = Self::start();
        terminal.see(&["`help` lists the commands", "$ "]);
        terminal
    }

    /// Begins to boot.
    fn start() -> Self {
        build(Image::tour);
        let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
        command.arg("shell");
        let mut session = Session::spawn(command).expect("the harness runs");
        session.set_expect_timeout(Some(PATIENCE));
        // The first place that fits counts, not the last.
        session.set_expect_lazy(true);
        let mut terminal = Self(session);
        terminal.see(&["Ctrl-] x the machine."]);
        terminal
    }

    /// Types, and sees these texts in their order.
    fn type_in(&mut self, keys: &str, texts: &[&str]) {
        self.0.send(keys).expect("the terminal takes keys");
        self.see(texts);
    }

    /// Types a command, and sees these texts and the next prompt.
    fn command(&mut self, line: &str, texts: &[&str]) {
        // What is typed is shown, too.
        self.type_in(&format!("{line}\r"), &[&format!("{line}\r\n")]);
        self.see(texts);
        self.see(&["\r$ "]);
    }

    fn see(&mut self, texts: &[&str]) {
        for text in texts {
            self.see_pattern(&literal(text));
        }
    }

    /// Sees what fits a regular expression, and returns it.
    fn see_pattern(&mut self, pattern: &str) -> String {
        let found = self.0.expect(Regex(pattern));
        let found = found.unwrap_or_else(|error| {
            let rest = self.0.check(Regex("(?s).*")).map(|found| found.as_bytes().to_vec());
            let rest = rest.unwrap_or_default();
            panic!("expected {pattern:?}: {error}; found {:?}", String::from_utf8_lossy(&rest))
        });
        String::from_utf8_lossy(found.get(0).unwrap_or_default()).into_owned()
    }

    /// Sees these texts in their order, and returns what was shown before the first one.
    fn see_up_to(&mut self, texts: &[&str]) -> String {
        let shown = self.see_pattern(&format!("(?s).*?{}", literal(texts[0])));
        self.see(&texts[1..]);
        shown
    }

    /// Leaves the shell: the machine ends well.
    fn leave(mut self) {
        self.type_in("exit\r", &[]);
        self.end(0);
    }

    /// Sees the end, with this exit status.
    fn end(mut self, expected: i32) {
        self.0.expect(Eof).expect("the end");
        let status = self.0.get_process().wait().expect("it has ended");
        assert!(matches!(status, WaitStatus::Exited(_, it) if it == expected), "{status:?}");
    }
}

/// A regular expression that fits this text alone.
fn literal(text: &str) -> String {
    let mut pattern = String::new();
    for letter in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

#[test]
fn a_session_in_the_shell() {
    let mut terminal = Terminal::start();
    // There is no kernel yet, and nothing of it is lost.
    terminal.type_in("hello early\r", &["`help` lists the commands", "they say: early", "\r$ "]);
    terminal.command("hello one two", &["process: 3", "they say: one two"]);
    terminal.command("spin forever &", &["[1] 4"]);
    terminal.command("ps", &[" PROGRAM", "1     0     1 running ", "shell", " spin"]);
    // The first Tab goes as far as all agree, the second one lists them.
    terminal.type_in("th\t", &["\r$ thread\x1b[K"]);
    terminal.type_in("\t", &["\n  thread-arenas  threads\r\n", "\r$ thread\x1b[K"]);
    terminal.type_in(&format!("{CTRL_U}sta\t"), &["\r$ status \x1b[K"]);
    terminal.type_in(&format!("{CTRL_U}nothing\t"), &["\r$ nothing\x1b[K"]);
    terminal.type_in(CTRL_U, &["\r$ \x1b[K"]);
    let walk = ["in [stack], from the table at 0x", "level 4  entry 255", "level 1  entry", "page"];
    terminal.command("pt % stack", &walk);
    terminal.command("kill %", &[]);
    terminal.type_in("spin forever\r", &["forever\r\n"]);
    terminal.type_in(CTRL_P, &["child ", "shell", "ready ", "spin"]);
    terminal.type_in(CTRL_C, &["^C", "spin: interrupted", "\r$ "]);
    terminal.leave();
}

#[test]
fn a_live_picture_is_taken_of_a_program() {
    let (project, _) = build(Image::tour);
    if !is_short() {
        interrupt_a_live_picture(&project);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args(["live", "--program", "cells slow 1"]).stdin(Stdio::null());
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    let output = command.output().expect("the harness runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let pictures = text.split("live: ").nth(1).and_then(|rest| rest.split(' ').next());
    let pictures: usize = pictures.and_then(|word| word.parse().ok()).expect("a number");
    assert!(pictures > 5, "{text}");
    let screen = fs::read_to_string(project.target("live.txt")).expect("the last screen");
    let row = "exit status 0   cells slow 1\n";
    for part in ["brkalloc live", row, " resident ", " faults ", " used, ", "....", "last picture"]
    {
        assert!(screen.contains(part), "no {part:?} in {screen}");
    }
    // No row is cut off.
    for start in [" heap ", " # used"] {
        let is_whole = |row: &str| row.starts_with(start) && row.ends_with(" bytes");
        assert!(screen.lines().any(is_whole), "no whole {start:?} in {screen}");
    }
    assert!(text.contains("Ctrl-C stops it") && !screen.contains("Enter"), "{text}{screen}");
    let png = fs::read(project.target("live.png")).expect("the last picture");
    assert!(png.starts_with(b"\x89PNG"), "{} bytes", png.len());
}

/// Starts a picture of a program without end, and ends it as Ctrl-C does when there is a picture.
fn interrupt_a_live_picture(project: &Project) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args(["live", "--program", "spin forever"]).stdin(Stdio::null());
    command.stdout(Stdio::null()).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    let mut live = command.process_group(0).spawn().expect("the harness runs");
    let text = project.target("live.txt");
    // That of an earlier run.
    let _ = fs::remove_file(&text);
    let begun = Instant::now();
    let is_taken = || fs::read_to_string(&text).is_ok_and(|text| text.contains("spin forever"));
    while !is_taken() && begun.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(100));
    }
    let group = format!("-{}", live.id());
    let killed = Command::new("kill").args(["-INT", "--", &group]).status();
    assert!(killed.expect("kill runs").success());
    live.wait().expect("it has ended");
    assert!(is_taken(), "Ctrl-C leaves no picture");
}
