//! Links the kernel to where its board has memory.

use std::env;
use std::fs;
use std::path::Path;

fn main() {
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it");
    let (code, data) = match arch.as_str() {
        "arm" => ("0x0", "0x20000000"),
        "aarch64" => ("0x40080000", "."),
        "riscv32" | "riscv64" => ("0x80000000", "."),
        "x86" => ("0x100000", "."),
        // UEFI loads a program to anywhere.
        _ => return,
    };
    let script = format!(
        "ENTRY(start)
SECTIONS {{
    . = {code};
    .text : {{ KEEP(*(.vectors)) *(.text.start) *(.text .text.* .rodata .rodata.*) }}
    . = {data};
    .data : {{ *(.data .data.*) }}
    .bss (NOLOAD) : {{ *(.bss .bss.* COMMON) . = ALIGN(16); . += 0x8000; stack_top = .; }}
    /DISCARD/ : {{ *(.ARM.exidx* .eh_frame*) }}
}}
"
    );
    let path = Path::new(&env::var_os("OUT_DIR").expect("cargo sets it")).join("link.ld");
    fs::write(&path, script).expect("the folder is for this");
    println!("cargo::rustc-link-arg=-T{}", path.display());
    println!("cargo::rerun-if-changed=build.rs");
}
