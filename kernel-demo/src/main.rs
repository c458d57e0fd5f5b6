//! Walks through the documents' claims, with evidence, and powers off. `make run` boots this; the
//! exit status is the verdict.
//!
//! Options of QEMU's command line (`-fw_cfg name=opt/brkalloc/KEY,string=VALUE`):
//!
//! | key | value |
//! |---|---|
//! | `claims` | only the claims of these numbers, as `C12,C13` |
//! | `step` | waits for a key before each further claim |
//! | `program` | no tour: runs a ring-3 program, as `lazy 5` |
//! | `trace` | with `program`: prints its system calls and page faults |
//! | `seed` | with `program`: decides where its memory lies, as `1` |
//! | `keys` | with `program`: it reads what is typed; otherwise its input is empty |
//! | `story` | tells what happens to memory, as records on the second serial port |
//! | `host` | the harness shows on the host what the kernel cannot, when it is asked to (C28) |
//! | `fail-nth` | the frame of this number is refused, to show that evidence can fail |

#![no_std]
#![no_main]

use core::fmt::{self, Write};
use core::hint;
use core::str::FromStr;

use kernel_demo::arch::qemu::{self, Exit};
use kernel_demo::arch::serial;
use kernel_demo::command::{self, Options};
use kernel_demo::evidence::{Choice, Tour};
use kernel_demo::story::{self, Kind};
use kernel_demo::tour::CHAPTERS;
use kernel_demo::{cpu, heap, memory, print, println};

kernel_demo::main!(main);

/// Maximum length of a command line, in bytes.
const LONGEST_COMMAND: usize = 1024;

fn main() -> Exit {
    let mut buffer = [0; LONGEST_COMMAND];
    let program = qemu::option("program", &mut buffer);
    if is_on("story") && story::begin() {
        memory::with(|memory| memory.tell_begin(program.unwrap_or("")));
        heap::tell();
    }
    let exit = match program {
        Some(words) => {
            let (trace, keys) = (is_on("trace"), is_on("keys"));
            command::run(words, Options { trace, keys, seed: number("seed") })
        }
        None => take_the_tour(),
    };
    heap::tell();
    story::tell(Kind::End, []);
    exit
}

/// Shows the claims that are chosen.
fn take_the_tour() -> Exit {
    let mut buffer = [0; LONGEST_COMMAND];
    let choice = Choice::new(qemu::option("claims", &mut buffer));
    if let Some(unknown) = choice.unknown(&CHAPTERS) {
        return refuse(unknown);
    }
    println!(
        "brkalloc: where malloc's memory comes from. Each claim of the documents, and the evidence."
    );
    match cpu::online() {
        1 => println!("The machine has 1 CPU."),
        cpus => println!("The machine has {cpus} CPUs, and all of them run."),
    }
    refuse_a_frame();
    let mut console = Console;
    let mut tour = Tour::new(&mut console);
    // No key before the first claim.
    let mut waits = false;
    for chapter in CHAPTERS.iter().filter(|chapter| choice.includes_any_of(chapter)) {
        let chosen = || chapter.claims.iter().filter(|claim| choice.includes(claim.number));
        for (index, claim) in chosen().enumerate() {
            if waits {
                wait_for_key();
            }
            waits = is_on("step");
            if index == 0 {
                tour.open(chapter);
            }
            tour.show(claim);
            if story::is_on() {
                memory::with(|memory| memory.tell_kernel());
                heap::tell();
            }
        }
    }
    if tour.finish() { Exit::Passed } else { Exit::Failed }
}

/// Says which claims there are.
fn refuse(unknown: &str) -> Exit {
    println!("FAILED: the tour has no claim {unknown:?}");
    for chapter in &CHAPTERS {
        print!("  {}:", chapter.title);
        chapter.claims.iter().for_each(|claim| print!(" {}", claim.number));
        println!();
    }
    Exit::Failed
}

/// Waits until a key is pressed on the console.
fn wait_for_key() {
    print!("\n(press a key)");
    while serial::read_byte().is_none() {
        hint::spin_loop();
    }
    println!();
}

/// Returns whether the machine was started with this option.
fn is_on(key: &str) -> bool {
    qemu::option(key, &mut [0; 16]).is_some()
}

/// The serial console, as something to write to.
struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        serial::write(format_args!("{text}"));
        if story::is_on() {
            story::record(Kind::Text, &[], text);
        }
        Ok(())
    }
}

/// Returns the number that the machine was started with under this key.
fn number<N: FromStr>(key: &str) -> Option<N> {
    qemu::option(key, &mut [0; 20])?.parse().ok()
}

/// If the machine was started with a number under `fail-nth`, lets the page allocator refuse that
/// frame.
fn refuse_a_frame() {
    if let Some(nth) = number("fail-nth") {
        println!("(frame number {nth} from now on will be refused)");
        memory::with(|memory| memory.frames().fail_nth(Some(nth)));
    }
}
