//! Walks through the documents' claims, with evidence, and powers off. `make run` boots this; the
//! exit status is the verdict.
//!
//! With `-fw_cfg name=opt/brkalloc/fail-nth,string=N` the N-th frame that is asked for is refused,
//! to show that evidence can fail: the tour prints what does not hold, and goes on.

#![no_std]
#![no_main]

use core::fmt;

use kernel_demo::arch::qemu::{self, Exit};
use kernel_demo::arch::serial;
use kernel_demo::evidence::Tour;
use kernel_demo::{memory, println, tour};

kernel_demo::main!(main);

fn main() -> Exit {
    println!(
        "brkalloc: where malloc's memory comes from. Each claim of the documents, and the evidence."
    );
    refuse_a_frame();
    let mut console = Console;
    let mut tour = Tour::new(&mut console);
    tour::PARTS.iter().copied().flatten().for_each(|step| tour.show(step));
    if tour.finish() { Exit::Passed } else { Exit::Failed }
}

/// The serial console, as something to write to.
struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        serial::write(format_args!("{text}"));
        Ok(())
    }
}

/// If the machine was started with a number under `fail-nth`, lets the page allocator refuse that
/// frame.
fn refuse_a_frame() {
    let mut buffer = [0; 16];
    if let Some(nth) = qemu::option("fail-nth", &mut buffer).and_then(|text| text.parse().ok()) {
        println!("(frame number {nth} from now on will be refused)");
        memory::with(|memory| memory.frames().fail_nth(Some(nth)));
    }
}
