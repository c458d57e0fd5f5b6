//! Longer sessions: `make test-all` has them, and `make test` with a filter that names one.

use super::*;

const UP: &str = "\x1b[A";
const LEFT: &str = "\x1b[D";
const CTRL_LEFT: &str = "\x1b[1;5D";

#[test]
fn a_reader_stops_the_machine() {
    let mut terminal = Terminal::open();
    terminal.type_in("spin forever\r", &["forever\r\n"]);
    terminal.type_in("\x1dx", &["QEMU: Terminated", "stopped\r\n"]);
    terminal.end(0);
}

#[test]
fn a_heap_is_shown_cell_by_cell_and_only_if_it_is_one() {
    let mut terminal = Terminal::open();
    let heap = ["a character for ", "#####", "....", " used", " free", " cells used: "];
    terminal.type_in("cells stay &\r", &["`heap` shows the cells"]);
    terminal.type_in("heap %\r", &heap);
    terminal.see(&["\r$ "]);
    terminal.type_in("textbook stay &\r", &["C7: realloc moves"]);
    terminal.type_in("heap %\r", &heap);
    terminal.see(&["\r$ "]);
    terminal.command("spin forever &", &["[3] "]);
    terminal.command("heap %", &["unknown: process "]);
    for (what, shown) in [
        ("size", "unknown: this is no cell"),
        ("loop", "1 free: 32 bytes"),
        ("far", "0 cells used: 0 bytes"),
        ("high", "1 cell used: 64 bytes"),
    ] {
        terminal.type_in(&format!("liar {what} stay &\r"), &["&\r\n", &format!("{what}\r\n")]);
        terminal.type_in("heap %\r", &[shown, "\r$ "]);
    }
    terminal.leave();
}

#[test]
fn lessons_type_their_commands_themselves() {
    let mut terminal = Terminal::open();
    terminal.command("lesson", &["lesson 1  Cells", "lesson 12 "]);
    for (number, shown) in (1..).zip(LESSONS) {
        terminal.type_in(&format!("lesson {number}\r"), &[&format!("lesson {number}\r\n")]);
        let end = format!("Read on: docs/COURSE.md, lesson {number}.");
        let text = terminal.see_up_to(&["\r\nAsk yourself: ", &end, "\r$ "]);
        let mut rest = text.as_str();
        for part in shown {
            let at = rest.find(part);
            rest = &rest[at.unwrap_or_else(|| panic!("lesson {number}: no {part:?} in {text}"))..];
        }
        for mistake in MISTAKES {
            assert!(!text.contains(mistake), "lesson {number}: {mistake:?} in {text}");
        }
    }
    terminal.command("jobs", &[]);
    terminal.leave();
}

/// Texts that each lesson shows on the way to its question.
const LESSONS: [&[&str]; 12] = [
    &["$ cells stay &", "$ heap %", " cells used", "cells stay: terminated"],
    &["$ heap %", " cells used", "C5: free keeps", "$ heap %", " cells used", "terminated"],
    &["$ heap %", " cells used", "$ heap %", " cells used", "ok: a block with another one behind"],
    &["brk(", "exited with 0", "the library calls sbrk:", "ok: all is freed"],
    &[" frames: ", "reserved: 1280 pages", "Rss:", "level 1  entry", "terminated", " frames: "],
    &["ok: ", "the ledger knows", "Segmentation fault: write to 0x0", " PROGRAM"],
    &["stack: 0x", "[heap]", "[stack]", "terminated", "terminated", "stack overflow", "real mode"],
    &["order 10", "pages written: 32", "page tables: 512", "VmRSS:", "VmPTE:", "order 10"],
    &["a slab of blocks", "a mapping", "the small block pins it", "steps: 2000", "ok: "],
    &["times that a thread waited for it: ", "ok: and taken no lock", "gets them again"],
    &["execve(", "brk(", "exited with 0", "ok: C8: what ends at the break goes back"],
    &["given back by a lower break", "out of frames", "MemoryTaken", "not twice", "no cell", "ps"],
];

/// Texts of the shell, and of programs, that tell of a mistake.
const MISTAKES: [&str; 7] = [
    "no such ",
    "usage: ",
    "is no process",
    "is no job",
    "unknown: process",
    "UNTRUE",
    "no process has",
];

#[test]
fn a_line_is_edited_and_comes_back() {
    let mut terminal = Terminal::open();
    terminal.command("hello first", &["they say: first"]);
    terminal.command("hello second", &["they say: second"]);
    terminal.type_in(&format!("{UP}{UP}\r"), &["they say: first", "\r$ "]);
    terminal.type_in(&format!("ello x{LEFT}y\x01h\r"), &["they say: yx", "\r$ "]);
    terminal.type_in(&format!("nonsense{CTRL_U}hell\tz\r"), &["they say: z", "\r$ "]);
    terminal.type_in(&format!("half{CTRL_C}hello whole\r"), &["^C", "they say: whole", "\r$ "]);
    // Ctrl with an arrow moves; a sequence that is cut off leaves what follows as it is.
    terminal.type_in(&format!("ello a{CTRL_LEFT}b\x01h\r"), &["they say: ba", "\r$ "]);
    terminal.type_in("hello c\x1b[\r", &["they say: c", "\r$ "]);
    terminal.type_in(CTRL_P, &["PROGRAM", "shell", "\r$ "]);
    terminal.leave();
}

#[test]
fn mistakes_are_answered_and_harm_nobody() {
    let mut terminal = Terminal::open();
    terminal.command("nonsense", &["nonsense: no such command or program"]);
    terminal.command("maps", &["usage: maps PID"]);
    terminal.command("exit now", &["usage: exit: stop the machine"]);
    for command in ["maps 99", "heap 99", "pt 99 0", "pt 99 heap", "kill 99", "trace on 99"] {
        terminal.command(command, &["no process has the number 99"]);
    }
    for line in ["&", "hello & &", " & hello"] {
        terminal.command(line, &["no program before `&`"]);
    }
    terminal.command("kill 1", &["process 1 is this shell"]);
    terminal.command("kill %", &["% is no job"]);
    // Numbers by which system calls mean groups, or all processes.
    for number in ["0", "4294967297", "18446744073709551615"] {
        let answer = format!("\"{number}\" is no process");
        terminal.command(&format!("kill {number}"), &[&answer]);
    }
    terminal.command("lesson 99", &["there is no lesson 99", "lesson 1 "]);
    terminal.command("fg 99", &["process 99 is no program of this shell"]);
    terminal.command("kill nobody", &["\"nobody\" is no process"]);
    terminal.command("pt 1 nowhere", &["is no address and no area of process 1"]);
    terminal.command("pt 1 0", &["in no area", "nothing is mapped there"]);
    terminal
        .command("segv null", &["Segmentation fault: write to 0x0", "segv: segmentation fault"]);
    terminal.command("spin round", &["spin: 'round' is not a number", "spin: exit status 2"]);
    terminal.type_in("nonsense &\r\r", &["[1] ", "[1] nonsense: no such program"]);
    terminal.leave();
}

#[test]
fn programs_beside_the_shell_are_listed_and_ended() {
    let mut terminal = Terminal::open();
    terminal.command("spin forever &", &["[1] "]);
    terminal.command("spin forever &", &["[2] "]);
    terminal.command("jobs", &["[1] ", "spin forever", "[2] ", "spin forever"]);
    terminal.command("kill %1", &["[1] spin forever: terminated"]);
    terminal.type_in("fg %2\r", &["fg %2\r\n"]);
    terminal.type_in(CTRL_C, &["^C", "[2] spin forever: interrupted", "\r$ "]);
    // The end of a job is told above the line that is typed meanwhile.
    terminal.type_in("spin 20000000 &\r", &["[1] ", "\r$ "]);
    terminal.type_in("hel", &["hel", "spun: 20000000 times"]);
    thread::sleep(Duration::from_secs(1));
    let news = "\r\x1b[K[1] spin 20000000: done\r\n\r$ hel\x1b[Kl";
    terminal.type_in("lo x\r", &[news, "they say: x", "\r$ "]);
    terminal.type_in("spin forever & hello two\r", &["[1] ", "they say: two", "\r$ "]);
    // A program that reads gets whole lines while it is in the foreground, and Ctrl-D ends them.
    terminal.type_in("echo\r", &["echo\r\n"]);
    terminal.type_in("a lime\x7f\x7fne\r", &["ne\r\n"]);
    // It looks for more once more.
    terminal.type_in("\x04\x04", &["read: a line", "lines: 1", "\r$ "]);
    // What still runs is ended with the shell.
    terminal.leave();
}

#[test]
fn processes_and_the_machine_are_looked_at() {
    let mut terminal = Terminal::open();
    terminal.command("spin forever &", &["[1] "]);
    terminal.command("maps %", &[" r-xp ", " rw-p ", "[stack]"]);
    terminal.command("smaps %", &["Rss:", "Private_Dirty:"]);
    terminal.command("status %", &["VmRSS:"]);
    terminal.command("frames", &[" frames: ", "order 10"]);
    let walk = ["in [heap]", "level 1  entry", " r-- user", "copy-on-write: ", ": physical 0x"];
    terminal.command("pt 1 heap", &walk);
    terminal.command("trace on", &[]);
    let written = r#"write(1, "hello from: hello\n", 18) "#;
    terminal.command("hello", &["execve(\"hello\", ", written, "exited with 0"]);
    terminal.type_in("words brk\r", &["execve(\"words\", "]);
    let text = terminal.see_up_to(&["exited with 0", "\r$ "]);
    assert!(text.contains(r#"write(1, "3 letters\n", 10) "#), "{text}");
    assert!(!text.contains(r#"write(1, "", 0)"#), "a write of nothing: {text}");
    terminal.command("trace off", &[]);
    terminal.command("hello", &["hello from: hello"]);
    terminal.command("trace on 1", &[]);
    terminal.type_in("trace off 1\r", &["read(0, ", "write(1, ", "\r$ "]);
    terminal.leave();
}
