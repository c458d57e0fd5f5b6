//! A new ring-3 program is one file: this drops one into a copy of the project, which consists of
//! links but for the folders of programs, and runs it on Linux and in the kernel. Two files of C
//! that make no program are dropped in as well, and left out.

use std::fs;
use std::io;
use std::path::Path;

use super::{Context, Outcome, Screen};
use crate::image::Image;
use crate::project::Project;
use crate::tour::Tour;
use crate::{Error, copied, on_linux, programs};
use kerntest::tally::{Failure, Kind, Tally};

const NAME: &str = "dropped-in";

/// Folders of the copy that are none of links, each in the one before; the last one holds programs.
const FOLDERS: [&str; 5] = ["kernel-demo", "user", "programs", "src", "bin"];

/// Programs of the project that the copy has. Others take time to build.
const KEPT: [&str; 1] = ["hello.rs"];

/// The folder of the programs in C, from the root.
const IN_C: &str = "kernel-demo/user/c";

/// Files of C that make no program, and a part of the reason.
const WRONG: [(&str, &str, &str); 2] = [
    ("uncompiled", "int main(void) { return nothing; }\n", "nothing"),
    ("unlinked", "int missing(void);\nint main(void) { return missing(); }\n", "missing"),
];

/// What the copy has not: it has its own.
const LEFT_OUT: [&str; 2] = ["target", ".git"];

const SOURCE: &str = r#"//! A program that no other file names.
#![no_std]
#![no_main]
extern crate alloc;

use alloc::vec::Vec;
use runtime::{Arguments, Verdict, claim, println, program};

program!(run);

fn run(arguments: Arguments) -> Verdict {
    let before = runtime::sbrk(0)?;
    let numbers: Vec<usize> = (0..arguments.number(0, 1000)).collect();
    println!("numbers: {}", numbers.len());
    claim!(runtime::sbrk(0)? > before, "the memory comes from the break");
    Ok(())
}
"#;

/// Drops the program in and runs it.
pub(super) fn run(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let root = context.project.target(NAME);
    copy(context.project.root(), &root).map_err(|error| Error::Write(root.clone(), error))?;
    let copy = Project::at(root);
    let mut said = Vec::new();
    let folder = programs::build(&copy, &context.setup, |line| {
        said.push(line.to_owned());
        screen.detail(line);
    })?;
    let names = [NAME.to_owned()];
    let mut tally = left_out(&copy, &folder, &said);
    for run in on_linux::runs(&names).iter().filter(|run| run.program() == NAME) {
        tally.add(run.judge(&folder)?);
    }

    let image = Image::tour(&copy).build(&copy, &context.setup, |line| screen.detail(line))?;
    let keys = [("program", "dropped-in 5000")];
    let machine = context.machine.for_tour(&context.setup);
    let tour = Tour { image: &image, machine: &machine, keys: &keys };
    let mut output = Vec::new();
    let failure = tour.run(|bytes| output.extend_from_slice(bytes));
    let output = String::from_utf8_lossy(&output);
    tally.add(match failure {
        Some(failure) => Tally::one_failed(failure),
        None if output.contains("numbers: 5000\n") => Tally::one_passed(),
        None => {
            let lines = output.lines().map(str::to_owned).collect();
            Tally::one_failed(Failure::new(NAME, Kind::Contradiction, lines))
        }
    });
    Ok(Outcome::Ran(tally))
}

/// Judges what became of the wrong files: no program, the reason, and a refusal to run it.
fn left_out(copy: &Project, folder: &Path, said: &[String]) -> Tally {
    let mut tally = Tally::default();
    for (name, _, reason) in WRONG {
        let tells = |part: &str| said.iter().any(|line| line.contains(part));
        let file = format!("left out: {IN_C}/{name}.c");
        let refusal = programs::check_built(copy, name);
        let is_right = !folder.join(name).exists() && tells(&file) && tells(reason);
        tally.add(if is_right && refusal.is_err() {
            Tally::one_passed()
        } else {
            Tally::one_failed(Failure::new(name, Kind::Contradiction, said.to_vec()))
        });
    }
    tally
}

/// Makes the copy, or brings it up to date, with the program in it.
fn copy(root: &Path, to: &Path) -> io::Result<()> {
    let in_c = to.join(IN_C);
    let (mut from, mut to) = (root.to_owned(), to.to_owned());
    for folder in FOLDERS {
        let own = [folder, "c"];
        copied::link_all(&from, &to, |name| !own.contains(&name) && !LEFT_OUT.contains(&name))?;
        (from, to) = (from.join(folder), to.join(folder));
    }
    copied::link_all(&root.join(IN_C), &in_c, |_| true)?;
    for (name, source, _) in WRONG {
        fs::write(in_c.join(name).with_extension("c"), source)?;
    }
    copied::link_all(&from, &to, |name| KEPT.contains(&name))?;
    fs::write(to.join(NAME).with_extension("rs"), SOURCE)?;
    let target = root.join("target").join(NAME).join("target");
    copied::link_all(&root.join("target"), &target, |name| name == "setup")
}
