//! Builds bootable disk images with `bootimage`.
//!
//! ```text
//!   sources ── cargo ──► kernel, an ELF file ── bootimage: bootloader around it ──► bootimage-NAME.bin ── rename ──► NAME.bin
//!                               └── its digest is that in NAME.of: nothing to do
//! ```
//!
//! `bootimage` calls cargo five times though nothing has changed, and takes what a build that was
//! killed left of an image for whole. So it is called only for a kernel that has changed, and an
//! image has its name, and its digest beside it, only when it is whole. Its kernel lies beside it
//! as well, for the names in back-traces.

use std::fs;
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::digest::Digester;
use crate::project::{Project, Setup};
use crate::{Error, build, cargo, cases, programs};
use kerntest::names;

/// The sort of build output that kernels are.
const KERNEL: &str = "kernel";

/// What a kernel is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Build {
    /// To be tested: with what checks the code itself.
    Test,
    /// To be used: optimised as a whole.
    Use,
    /// To be looked at in a debugger: every variable has its value.
    Debug,
}

/// A disk image to build: one program of one kernel package.
#[derive(Clone, Debug)]
pub struct Image {
    folder: PathBuf,
    bin: &'static str,
    features: &'static [&'static str],
    /// Whether the ring-3 programs are part of it.
    has_programs: bool,
    form: Build,
    /// The sort of build output that it belongs to.
    sort: &'static str,
}

impl Image {
    /// The demo kernel's test suite.
    pub fn suite(project: &Project) -> Self {
        Self { features: &["suite"], ..Self::of_kernel(project, "suite") }
    }

    /// The same with each case for one profile.
    pub fn short_suite(project: &Project) -> Self {
        Self { features: &["suite", cases::ONE_PROFILE], ..Self::suite(project) }
    }

    /// The demo kernel's tour.
    pub fn tour(project: &Project) -> Self {
        Self::of_kernel(project, "tour")
    }

    /// The demo kernel's tour, with the kernel's heap behind one lock.
    pub fn one_lock(project: &Project) -> Self {
        Self { features: &["one-lock"], ..Self::tour(project) }
    }

    /// The demo kernel's tour, for a debugger.
    pub fn debug(project: &Project) -> Self {
        let tour = Self::tour(project).apart("gdb/kernel");
        Self { form: Build::Debug, ..tour }
    }

    /// The demo kernel, counting instructions.
    pub fn cost(project: &Project) -> Self {
        Self { form: Build::Use, ..Self::of_kernel(project, "cost") }
    }

    /// The kernel that has nothing in common with ours but the allocator.
    pub fn other_kernel(project: &Project) -> Self {
        Self {
            folder: project.other_kernel(),
            has_programs: false,
            ..Self::of_kernel(project, "other-kernel")
        }
    }

    /// The program of an example.
    pub fn example(project: &Project, folder: &str, bin: &'static str) -> Self {
        Self {
            folder: project.examples().join(folder),
            has_programs: false,
            form: Build::Use,
            ..Self::of_kernel(project, bin)
        }
    }

    fn of_kernel(project: &Project, bin: &'static str) -> Self {
        Self {
            folder: project.kernel(),
            bin,
            features: &[],
            has_programs: true,
            form: Build::Test,
            sort: KERNEL,
        }
    }

    /// The same, with its build output in `target/<sort>`, and nothing of it elsewhere.
    pub fn apart(self, sort: &'static str) -> Self {
        Self { sort, ..self }
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
        // Images of one program, with whatever features, are written to one place first.
        static BUILDING: Mutex<()> = Mutex::new(());
        let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        let programs = match self.has_programs {
            true => Some(programs::build(project, setup, &mut on_line)?),
            false => None,
        };
        let target = self.target(project);
        let kernel = target.join(self.bin);
        let name = [&[self.bin], self.features].concat().join("-").replace('/', "-");
        let named = target.join(format!("{name}.bin"));
        let of = named.with_extension("of");

        on_line(&build::phase(&format!("the kernel {name}")));
        self.run(project, setup, "build", programs.as_deref(), &mut on_line)?;
        let digest =
            self.digest(&kernel, project).map_err(|error| Error::Write(kernel.clone(), error))?;
        let symbols = names::of_image(&named);
        let is_known = || fs::read_to_string(&of).is_ok_and(|known| known == digest);
        if named.is_file() && symbols.is_file() && is_known() {
            return Ok(named);
        }

        // Whatever there is may be half-written, and `bootimage` would not look.
        let image = target.join(format!("bootimage-{}.bin", self.bin));
        let _ = fs::remove_file(&image);
        let _ = fs::remove_file(&of);
        on_line(&build::phase(&format!("the disk image of {name}")));
        let output = self.run(project, setup, "bootimage", programs.as_deref(), &mut on_line)?;
        if !image.is_file() {
            let reason = format!("{} was not written", image.display());
            return Err(self.failed([output, vec![reason]].concat()));
        }
        let put = |from: &Path, to: &Path| {
            fs::rename(from, to).map_err(|error| Error::Write(to.to_owned(), error))
        };
        put(&image, &named)?;
        fs::copy(&kernel, &symbols).map_err(|error| Error::Write(symbols, error))?;
        let new = named.with_extension("new");
        fs::write(&new, digest).map_err(|error| Error::Write(new.clone(), error))?;
        put(&new, &of)?;
        Ok(named)
    }

    /// The same, to run a program there, if one is named.
    ///
    /// # Errors
    ///
    /// The build has failed, or it has left that program out.
    pub fn build_for(
        &self,
        program: Option<&str>,
        project: &Project,
        setup: &Setup,
        on_line: impl FnMut(&str),
    ) -> Result<PathBuf, Error> {
        let image = self.build(project, setup, on_line)?;
        match program {
            Some(words) if self.has_programs => programs::check_built(project, words)?,
            _ => {}
        }
        Ok(image)
    }

    /// Runs cargo's subcommand for this image, and returns what it wrote.
    fn run(
        &self,
        project: &Project,
        setup: &Setup,
        subcommand: &str,
        programs: Option<&Path>,
        mut on_line: impl FnMut(&str),
    ) -> Result<Vec<String>, Error> {
        let mut output = Vec::new();
        let command = || self.command(project, setup, subcommand, programs);
        let status = build::run(project, self.sort, command, |line| {
            output.push(line.to_owned());
            on_line(line);
        })?;
        if status.success() { Ok(output) } else { Err(self.failed(output)) }
    }

    fn command(
        &self,
        project: &Project,
        setup: &Setup,
        subcommand: &str,
        programs: Option<&Path>,
    ) -> Command {
        let mut command = cargo::freestanding(project, setup, &self.folder, self.sort);
        command
            .args([subcommand, "--bin", self.bin, "--target"])
            .arg(project.kernel_target())
            .args([
                "-Zjson-target-spec",
                "-Zbuild-std=core,alloc,compiler_builtins",
                "-Zbuild-std-features=compiler-builtins-mem",
            ]);
        for feature in self.features {
            command.args(["--features", feature]);
        }
        if self.form == Build::Use {
            command.arg("--release");
        } else {
            // The kernel follows them for back-traces.
            command.env("CARGO_TARGET_X86_64_TARGET_RUSTFLAGS", "-Cforce-frame-pointers=yes");
        }
        if self.form == Build::Debug {
            command.envs([("CARGO_PROFILE_DEV_DEBUG", "2"), ("CARGO_PROFILE_DEV_OPT_LEVEL", "0")]);
        }
        command.env("CARGO_BUILD_BUILD_DIR", project.target(self.sort));
        // The incremental cache is a suspect where a killed build spoils the next one; see `build`.
        command.env("CARGO_INCREMENTAL", "0");
        if let Some(programs) = programs {
            command.env(programs::FOLDER, programs);
        }
        command
    }

    /// Tells of all that goes into the image: the kernel, and what says how it is loaded.
    fn digest(&self, kernel: &Path, project: &Project) -> std::io::Result<String> {
        let mut digester = Digester::default();
        let setup = project.target("setup").join("env");
        let manifest = self.folder.join("Cargo.toml");
        let mut locks = self.folder.ancestors().map(|folder| folder.join("Cargo.lock"));
        let lock = locks.find(|lock| lock.is_file()).unwrap_or_default();
        for path in [kernel, &manifest, &lock, &setup] {
            fs::read(path)?.hash(&mut digester);
        }
        Ok(digester.digest().to_string())
    }

    fn failed(&self, output: Vec<String>) -> Error {
        Error::Build(format!("image {}", self.bin), output)
    }

    /// Where the kernel and the image are.
    fn target(&self, project: &Project) -> PathBuf {
        let profile = if self.form == Build::Use { "release" } else { "debug" };
        project.target(self.sort).join("x86_64-target").join(profile)
    }
}
