//! Names for the addresses in a kernel's back-traces, from the symbols of its ELF file.
//!
//! ```text
//!     #2 0xffffffff80012345            what the kernel writes
//!     #2 0xffffffff80012345 tour::main what the reader sees
//! ```

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use object::{File, Object, ObjectSymbol, SymbolKind};

/// No line with an address is longer than this, in bytes.
const LONGEST_LINE: usize = 64;

/// Returns the file with the symbols of the kernel in an image: the image itself where it is an ELF
/// file, else the file beside a disk that differs in its extension, `elf`.
pub fn of_image(image: &Path) -> PathBuf {
    let is_elf = || {
        let mut magic = [0; 4];
        let read = fs::File::open(image).and_then(|mut file| file.read_exact(&mut magic));
        read.is_ok() && magic == *b"\x7fELF"
    };
    if is_elf() { image.to_owned() } else { image.with_extension("elf") }
}

/// Puts names into what a kernel writes, as it comes.
pub(crate) struct Naming {
    kernel: PathBuf,
    /// Read when the first address comes.
    functions: Option<Functions>,
    /// The line so far, unless it is too long for one with an address.
    line: Vec<u8>,
}

impl Naming {
    /// For the kernel of this image.
    pub(crate) fn of(image: &Path) -> Self {
        Self { kernel: of_image(image), functions: None, line: Vec::new() }
    }

    /// The bytes with names behind the addresses of a back-trace.
    pub(crate) fn name(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut named = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if byte == b'\n' {
                if let Some(name) = self.name_of_line() {
                    named.extend([b" ", name.as_bytes()].concat());
                }
                self.line.clear();
            } else if self.line.len() < LONGEST_LINE {
                self.line.push(byte);
            }
            named.push(byte);
        }
        named
    }

    /// The name of the function that the line is about.
    fn name_of_line(&mut self) -> Option<&str> {
        let address = address(str::from_utf8(&self.line).ok()?)?;
        // Without the file the addresses stay as they are.
        let read = || fs::read(&self.kernel).ok().and_then(|file| Functions::read(&file).ok());
        self.functions.get_or_insert_with(|| read().unwrap_or_default()).at(address)
    }
}

/// The address in a line of a back-trace: `    #2 0xffffffff80012345`.
fn address(line: &str) -> Option<u64> {
    let (number, address) = line.trim_start().strip_prefix('#')?.split_once(" 0x")?;
    number.parse::<usize>().ok()?;
    u64::from_str_radix(address, 16).ok()
}

/// The functions of a program, by address: start, end, name.
#[derive(Debug, Default)]
struct Functions(Vec<(u64, u64, String)>);

impl Functions {
    fn read(file: &[u8]) -> Result<Self, object::Error> {
        let file = File::parse(file)?;
        let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
        let mut functions: Vec<_> = functions
            .filter_map(|symbol| {
                let name = format!("{:#}", rustc_demangle::demangle(symbol.name().ok()?));
                Some((symbol.address(), symbol.address() + symbol.size(), name))
            })
            .collect();
        functions.sort();
        Ok(Self(functions))
    }

    fn at(&self, address: u64) -> Option<&str> {
        let after = self.0.partition_point(|&(start, ..)| start <= address);
        let (_, end, name) = &self.0[after.checked_sub(1)?];
        (address < *end).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming() -> Naming {
        let functions =
            Functions(vec![(0x1000, 0x1010, "one".into()), (0x1010, 0x1020, "two".into())]);
        Naming { functions: Some(functions), ..Naming::of(Path::new("none.bin")) }
    }

    #[test]
    fn addresses_of_a_back_trace_get_names_however_they_are_cut() {
        let text =
            "PANIC: x\n  back-trace:\n    #0 0x000000000000100f\n    #1 0x0000000000001010\n";
        let expected = "PANIC: x\n  back-trace:\n    #0 0x000000000000100f one\n    #1 0x0000000000001010 two\n";
        for size in 1..text.len() {
            let mut naming = naming();
            let pieces = text.as_bytes().chunks(size).flat_map(|bytes| naming.name(bytes));
            assert_eq!(String::from_utf8(pieces.collect()).unwrap(), expected, "{size}");
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for text in [
            "#0 0x0fff\n",
            "#0 0x1020\n",
            "#x 0x1000\n",
            "#0 0x1000 \n",
            "0x1000\n",
            "test a ... ",
            &format!("{}#0 0x1000\n", "-".repeat(100)),
        ] {
            assert_eq!(naming().name(text.as_bytes()), text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn a_kernel_that_is_not_there_has_no_names() {
        let mut naming = Naming::of(Path::new("no-such-image.bin"));
        assert_eq!(naming.name(b"#0 0x1000\n"), b"#0 0x1000\n");
    }
}
