//! A live picture of a program's memory: the text screen of a machine that runs `live PROGRAM`.
//!
//! ```text
//!   kernel: live PROGRAM ─► text screen ─┬─ QEMU's window, where there is a display
//!                                        └─ monitor: pmemsave, screendump ─► this terminal, target/live.txt, target/live.png
//! ```

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::Error;
use crate::project::Project;
use crate::tour::Tour;
use kerntest::machine::Machine;
use kerntest::tally::Failure;

/// The program that is run unless the reader names one.
pub const PROGRAM: &str = "cells slow";

/// How long it takes on a processor of its own, in seconds.
const SECONDS: u32 = 30;

/// What the program `live` writes when its picture is the last one.
const LAST: &str = "live: the last picture";

/// The program's option for pictures that are taken here, so that no reader ends them.
const TAKEN: &str = "--taken";

/// From one picture to the next.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a run may take.
const LIMIT: Duration = Duration::from_secs(24 * 3600);

/// Where the screen is in physical memory, its size in bytes, and characters of a row.
const SCREEN: &str = "0xb8000 4000";
const COLUMNS: usize = 80;

/// The kinds of QEMU's windows, the best one first.
const WINDOWS: [&str; 3] = ["gtk", "sdl", "cocoa"];

/// Runs the program with a live picture, and returns what is wrong, if anything is.
///
/// # Errors
///
/// There is no place for the pictures.
pub fn run(
    project: &Project,
    image: &Path,
    machine: Machine,
    words: &str,
) -> Result<Option<Failure>, Error> {
    if words == PROGRAM {
        println!("`{PROGRAM}` takes about {SECONDS} s.");
    }
    let program = |option: &str| format!("live {option}{words}");
    match window(&machine) {
        Some(window) => {
            let program = program("");
            let keys = [("program", program.as_str()), ("keys", "1")];
            let machine = with_options(machine, &["-display", window]);
            println!("The picture is in QEMU's window. Ctrl-C stops it; at its end, Enter does.");
            Ok(Tour { image, machine: &machine, keys: &keys }.run_at_terminal(print))
        }
        None => {
            println!("There is no display, so the picture is shown here. Ctrl-C stops it.");
            let program = program(&format!("{TAKEN} "));
            let keys = [("program", program.as_str()), ("keys", "1")];
            without_window(project, image, machine, &keys)
        }
    }
}

fn with_options(machine: Machine, options: &[&str]) -> Machine {
    let more = options.iter().map(OsString::from);
    Machine { extra: machine.extra.iter().cloned().chain(more).collect(), ..machine }
}

/// The kind of window that can be opened here.
fn window(machine: &Machine) -> Option<&'static str> {
    let is_here = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let has_display = is_here("DISPLAY") || is_here("WAYLAND_DISPLAY") || cfg!(target_os = "macos");
    if !has_display || !io::stdin().is_terminal() {
        return None;
    }
    let output = Command::new(&machine.qemu).args(["-display", "help"]).output().ok()?;
    let known = String::from_utf8_lossy(&output.stdout).into_owned();
    WINDOWS.into_iter().find(|window| known.lines().any(|line| line.trim() == *window))
}

/// Takes pictures through QEMU's monitor, up to the last one, and then presses Enter.
fn without_window(
    project: &Project,
    image: &Path,
    machine: Machine,
    keys: &[(&str, &str)],
) -> Result<Option<Failure>, Error> {
    let socket = env::temp_dir().join(format!("brkalloc-live-{}", process::id()));
    let monitor = format!("unix:{},server=on,wait=off", socket.display());
    let machine = with_options(machine, &["-monitor", &monitor]);
    let failed = |error| Error::Run("the pictures".into(), error);
    let (keyboard, mut enter) = io::pipe().map_err(failed)?;
    let camera = Camera::new(project, socket);
    camera.forget().map_err(failed)?;
    let camera = Arc::new(Mutex::new(camera));
    let lock = || camera.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut output, mut is_last) = (String::new(), false);
    let shows = io::stdout().is_terminal();
    let (stop, stopped) = mpsc::channel::<()>();
    let taking = Arc::clone(&camera);
    let pictures = thread::spawn(move || {
        while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
            // No picture while the machine begins or ends.
            if let Ok(text) = taking.lock().unwrap_or_else(PoisonError::into_inner).take()
                && shows
            {
                // A reader who has closed the pipe has seen enough.
                let _ = write!(io::stdout(), "\x1b[H\x1b[2J{text}");
            }
        }
    });
    let mut last = Ok(String::new());
    let tour = Tour { image, machine: &machine, keys };
    let failure = tour.run_with(Stdio::from(keyboard), LIMIT, |bytes| {
        output.push_str(&String::from_utf8_lossy(bytes));
        if !is_last && output.contains(LAST) {
            is_last = true;
            last = lock().take();
            // A machine that has ended reads no more.
            let _ = enter.write_all(b"\n");
        }
    });
    drop(stop);
    // It does nothing that can panic.
    let _ = pictures.join();
    let camera = lock();
    let _ = fs::remove_file(&camera.socket);
    print(output.as_bytes());
    if is_last {
        println!("{}", last.map_err(failed)?);
        println!("the last picture: {} and {}", camera.png.display(), camera.text.display());
    }
    Ok(failure)
}

fn print(bytes: &[u8]) {
    // A reader who has closed the pipe has seen enough; the verdict still counts.
    let _ = io::stdout().write_all(bytes).and_then(|()| io::stdout().flush());
}

/// Takes pictures of the screen.
#[derive(Debug)]
struct Camera {
    socket: PathBuf,
    memory: PathBuf,
    png: PathBuf,
    text: PathBuf,
}

impl Camera {
    fn new(project: &Project, socket: PathBuf) -> Self {
        let memory = socket.with_extension("memory");
        Self { socket, memory, png: project.target("live.png"), text: project.target("live.txt") }
    }

    /// Removes what an earlier run has left.
    fn forget(&self) -> io::Result<()> {
        for file in [&self.png, &self.text] {
            match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes the text of the screen and a picture. Each gets its file's name when it is whole, so
    /// that Ctrl-C, which ends the machine and this program, leaves the latest ones.
    fn take(&self) -> io::Result<String> {
        let mut monitor = BufReader::new(UnixStream::connect(&self.socket)?);
        monitor.get_ref().set_read_timeout(Some(Duration::from_secs(5)))?;
        let (png, text_file) =
            (self.png.with_extension("png.new"), self.text.with_extension("new"));
        let commands = [
            format!("pmemsave {SCREEN} \"{}\"", self.memory.display()),
            format!("screendump \"{}\" -f png", png.display()),
        ];
        prompt(&mut monitor)?;
        for command in commands {
            writeln!(monitor.get_mut(), "{command}")?;
            prompt(&mut monitor)?;
        }
        let text = text_of(&fs::read(&self.memory)?);
        fs::remove_file(&self.memory)?;
        fs::write(&text_file, &text)?;
        fs::rename(text_file, &self.text)?;
        fs::rename(png, &self.png)?;
        Ok(text)
    }
}

/// Reads up to the monitor's next prompt.
fn prompt(monitor: &mut impl BufRead) -> io::Result<()> {
    const PROMPT: &[u8] = b"(qemu) ";
    let mut seen = Vec::new();
    while !seen.ends_with(PROMPT) {
        if monitor.read_until(b' ', &mut seen)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// The characters of a screen, without their colours.
fn text_of(memory: &[u8]) -> String {
    let characters: Vec<u8> = memory.iter().copied().step_by(2).collect();
    let rows = characters.chunks(COLUMNS).map(|row| String::from_utf8_lossy(row));
    rows.map(|row| row.replace('\0', " ").trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_screen_has_no_colours() {
        let mut memory = vec![0; 2 * COLUMNS];
        memory[..4].copy_from_slice(b"h\x07i\x07");
        memory.extend_from_slice(&[b'.', 7].repeat(COLUMNS));
        assert_eq!(text_of(&memory), format!("hi\n{}\n", ".".repeat(COLUMNS)));
    }

    #[test]
    fn a_prompt_ends_an_answer() {
        let mut monitor = io::Cursor::new(b"QEMU 7\r\n(qemu) info x\r\n(qemu) rest");
        prompt(&mut monitor).unwrap();
        prompt(&mut monitor).unwrap();
        assert_eq!(monitor.fill_buf().unwrap(), b"rest");
        assert!(prompt(&mut monitor).is_err(), "it has ended");
    }
}
