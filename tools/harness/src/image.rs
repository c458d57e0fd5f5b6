//! Builds bootable disk images with `bootimage`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::project::{Project, Setup};
use crate::{Error, cargo, process, programs};

/// The sort of build output that kernels are.
const KERNEL: &str = "kernel";

/// A disk image to build: one program of one kernel package.
#[derive(Clone, Debug)]
pub struct Image {
    folder: PathBuf,
    bin: &'static str,
    features: &'static [&'static str],
    /// Whether ring-3 programs are part of it.
    carries_programs: bool,
    /// Whether it is built as if for use, without what checks the code itself.
    release: bool,
}

impl Image {
    /// The demo kernel's test suite.
    pub fn suite(project: &Project) -> Self {
        Self {
            folder: project.kernel(),
            bin: "suite",
            features: &["suite"],
            carries_programs: true,
            release: false,
        }
    }

    /// The same with the allocator's profile `checked`.
    pub fn suite_checked(project: &Project) -> Self {
        Self { features: &["suite", "checked"], ..Self::suite(project) }
    }

    /// The demo kernel's tour.
    pub fn tour(project: &Project) -> Self {
        Self {
            folder: project.kernel(),
            bin: "tour",
            features: &[],
            carries_programs: true,
            release: false,
        }
    }

    /// The demo kernel, counting instructions.
    pub fn cost(project: &Project) -> Self {
        Self {
            folder: project.kernel(),
            bin: "cost",
            features: &[],
            carries_programs: true,
            release: true,
        }
    }

    /// The kernel that has nothing in common with ours but the allocator.
    pub fn other_kernel(project: &Project) -> Self {
        Self {
            folder: project.other_kernel(),
            bin: "other-kernel",
            features: &[],
            carries_programs: false,
            release: false,
        }
    }

    /// The program's name.
    pub fn name(&self) -> &'static str {
        self.bin
    }

    /// Brings the image up to date and returns where it is. `on_line` gets what the build has to
    /// say.
    pub fn build(
        &self,
        project: &Project,
        setup: &Setup,
        mut on_line: impl FnMut(&str),
    ) -> Result<PathBuf, Error> {
        let mut command = cargo::freestanding(project, setup, &self.folder, self.sort());
        command
            .args(["bootimage", "--bin", self.bin, "--target"])
            .arg(project.kernel_target())
            .args([
                "-Zjson-target-spec",
                "-Zbuild-std=core,alloc,compiler_builtins",
                "-Zbuild-std-features=compiler-builtins-mem",
            ]);
        for feature in self.features {
            command.args(["--features", feature]);
        }
        // All that is compiled, the standard library and the bootloader above all, is in one place,
        // whoever is built of it.
        command.env("CARGO_BUILD_BUILD_DIR", project.target(KERNEL));
        // Images of one program, with whatever features, are written to one place first.
        static BUILDING: Mutex<()> = Mutex::new(());
        let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        if self.release {
            command.arg("--release");
        }
        if self.carries_programs {
            command.env(programs::FOLDER, programs::build(project, setup, &mut on_line)?);
        }
        let mut output = Vec::new();
        let status = process::run(command, |line| {
            output.push(line.to_owned());
            on_line(line);
        })?;
        let image = self.path(&project.target(self.sort()));
        if !status.success() {
            return Err(Error::Build(format!("image {}", self.bin), output));
        }
        if !image.is_file() {
            output.push(format!("{} was not written", image.display()));
            return Err(Error::Build(format!("image {}", self.bin), output));
        }
        // A name of its own, so that no other features' image takes its place.
        let named = image
            .with_file_name(format!("{}.bin", [&[self.bin], self.features].concat().join("-")));
        fs::rename(&image, &named).map_err(|error| Error::Write(named.clone(), error))?;
        Ok(named)
    }

    /// The sort of build output that it belongs to. One program with other features needs another:
    /// `bootimage` makes an image anew when the program is at another place or *younger* than
    /// the image, and cargo brings back the one with the features of before as old as it is.
    fn sort(&self) -> &'static str {
        if self.features.contains(&"checked") { "kernel-checked" } else { KERNEL }
    }

    /// Where `bootimage` puts the image.
    fn path(&self, target: &Path) -> PathBuf {
        let profile = if self.release { "release" } else { "debug" };
        target.join("x86_64-target").join(profile).join(format!("bootimage-{}.bin", self.bin))
    }
}
