//! Builds an example.

use std::fs;
use std::path::{Path, PathBuf};

use super::Example;
use super::list::Runs;
use crate::image::Image;
use crate::project::{Project, Setup};
use crate::{Error, cargo, process};
use kerntest::{Platform, names};

/// The sort of build output that examples are.
const SORT: &str = "examples";

/// A built example.
pub(super) struct Program {
    /// What is run or booted.
    pub image: PathBuf,
    /// The file with the program's symbols.
    pub symbols: PathBuf,
}

impl Example {
    /// Builds it. `on_line` gets what the build says.
    pub(super) fn build(
        &self,
        project: &Project,
        setup: &Setup,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<Program, Error> {
        if matches!(self.runs, Runs::Boot { platform: Platform::PcDisk, .. }) {
            let image = Image::example(project, self.folder, self.package)
                .build(project, setup, on_line)?;
            return Ok(Program { symbols: names::of_image(&image), image });
        }
        let examples = project.examples();
        let mut command = match self.target {
            Some(_) => cargo::freestanding(project, setup, &examples, SORT),
            None => cargo::host(project, &examples, SORT),
        };
        command.args(["build", "--release", "--locked", "--package", self.package]);
        if let Some(target) = self.target {
            command.args(["--target", target, "-Zbuild-std=core,alloc,compiler_builtins"]);
        }
        let mut output = Vec::new();
        let status = process::run(command, |line| {
            output.push(line.to_owned());
            on_line(line);
        })?;
        if !status.success() {
            return Err(Error::Build(format!("the example {}", self.name), output));
        }
        let folder = project.target(SORT).join(self.target.unwrap_or_default()).join("release");
        let file = match self.target {
            Some("wasm32-unknown-unknown") => format!("{}.wasm", self.package),
            Some("x86_64-unknown-uefi") => format!("{}.efi", self.package),
            _ => self.package.to_owned(),
        };
        let symbols = folder.join(file);
        let image = if self.needs_limine() {
            let limine = project.setup_value("LIMINE").unwrap_or_default();
            self.partition(project, Path::new(&limine), &symbols)?
        } else {
            symbols.clone()
        };
        Ok(Program { image, symbols })
    }

    /// Makes the folder of an EFI system partition from which Limine boots the kernel.
    fn partition(&self, project: &Project, limine: &Path, kernel: &Path) -> Result<PathBuf, Error> {
        let folder = project.target(SORT).join("limine");
        let boot = folder.join("EFI/BOOT");
        let failed = |error| Error::Write(folder.clone(), error);
        fs::create_dir_all(&boot).map_err(failed)?;
        let config = project.examples().join(self.folder).join("limine.conf");
        for (from, to) in [
            (limine.join("BOOTX64.EFI"), boot.join("BOOTX64.EFI")),
            (config, folder.join("limine.conf")),
            (kernel.to_owned(), folder.join("kernel")),
        ] {
            fs::copy(from, to).map_err(failed)?;
        }
        Ok(folder)
    }
}
