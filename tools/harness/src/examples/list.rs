//! Which examples there are.

use kerntest::Platform;

/// One example.
#[derive(Clone, Debug)]
pub struct Example {
    /// Its name in tables.
    pub name: &'static str,
    /// Its folder in `examples/`.
    pub folder: &'static str,
    /// Its package, and the name of its program.
    pub(super) package: &'static str,
    /// The machine, for the reader.
    pub(super) platform: &'static str,
    /// Its memory, for the reader.
    pub(super) ram: &'static str,
    /// The target; `None`: this machine's.
    pub(super) target: Option<&'static str>,
    pub(super) runs: Runs,
    /// Whether `make test` runs it; `make test-all` runs all.
    pub is_short: bool,
}

/// How an example runs.
#[derive(Clone, Debug)]
pub(super) enum Runs {
    /// An emulated machine boots it.
    Boot { platform: Platform, smp: u32, mem: Option<&'static str> },
    /// node runs the module.
    Node,
    /// It is a program of this machine.
    Here,
}

impl Example {
    /// Whether Limine boots it.
    pub(super) fn needs_limine(&self) -> bool {
        self.folder == "limine"
    }
}

/// All examples.
pub fn all() -> Vec<Example> {
    let boot = |platform, mem| Runs::Boot { platform, smp: 1, mem };
    let example = |name, package, platform, ram, target, runs| Example {
        name,
        folder: name,
        package,
        platform,
        ram,
        target,
        runs,
        is_short: false,
    };
    let mut all = vec![
        example(
            "bootloader",
            "bootloader-kernel",
            "x86_64, bootloader 0.9",
            "64 MiB",
            None,
            boot(Platform::PcDisk, Some("64M")),
        ),
        example(
            "limine",
            "limine-kernel",
            "x86_64, Limine, 2 CPUs",
            "128 MiB",
            Some("x86_64-unknown-none"),
            Runs::Boot { platform: Platform::PcUefi, smp: 2, mem: Some("128M") },
        ),
        example(
            "uefi",
            "uefi-program",
            "x86_64, UEFI",
            "128 MiB",
            Some("x86_64-unknown-uefi"),
            boot(Platform::PcUefi, Some("128M")),
        ),
        example(
            "cortex-m3",
            "cortex-m3",
            "Cortex-M3, SysTick",
            "64 KiB",
            Some("thumbv7m-none-eabi"),
            boot(Platform::CortexM("lm3s6965evb".into()), None),
        ),
        example(
            "cortex-m0",
            "cortex-m0",
            "Cortex-M0, no CAS",
            "16 KiB",
            Some("thumbv6m-none-eabi"),
            boot(Platform::CortexM("microbit".into()), None),
        ),
        example(
            "riscv32",
            "riscv32",
            "riscv32imc, timer",
            "1 MiB",
            Some("riscv32imc-unknown-none-elf"),
            boot(Platform::RiscV32, None),
        ),
        example(
            "riscv64",
            "riscv64",
            "riscv64, device tree",
            "128 MiB",
            Some("riscv64gc-unknown-none-elf"),
            boot(Platform::RiscV64, Some("128M")),
        ),
        example(
            "aarch64",
            "aarch64",
            "aarch64, EL1",
            "128 MiB",
            Some("aarch64-unknown-none"),
            boot(Platform::AArch64, Some("128M")),
        ),
        example(
            "wasm",
            "wasm",
            "wasm32, node",
            "64 MiB",
            Some("wasm32-unknown-unknown"),
            Runs::Node,
        ),
        example("linux", "linux", "Linux, std and threads", "the host's", None, Runs::Here),
    ];
    for example in &mut all {
        example.is_short = matches!(example.name, "cortex-m3" | "linux");
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;

    #[test]
    fn every_folder_is_an_example_and_two_are_short() {
        let all = all();
        let mut listed: Vec<_> = all.iter().map(|example| example.folder.to_owned()).collect();
        listed.sort();
        let folders = std::fs::read_dir(Project::find().unwrap().examples()).unwrap().flatten();
        let mut found: Vec<_> = folders
            .filter(|entry| entry.path().join("Cargo.toml").is_file())
            .map(|entry| entry.file_name().into_string().unwrap())
            .filter(|name| name != "work")
            .collect();
        found.sort();
        assert_eq!(listed, found);
        assert_eq!(all.iter().filter(|example| example.is_short).count(), 2);
    }
}
