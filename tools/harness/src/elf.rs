//! What a linked program takes: bytes of code by function, and of a variable.

use object::read::elf::ElfFile32;
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SymbolKind, elf};
use serde::Serialize;

/// A function of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its name, as in the source.
    pub name: String,
    /// Its length, with the constants that the compiler put behind it.
    pub bytes: u64,
}

impl Function {
    /// Whether it is one of those that compilers call to copy, fill and compare memory. Most
    /// programs have them in any case.
    pub fn is_memory_function(&self) -> bool {
        let name = self.name.rsplit("::").next().unwrap_or_default();
        let plain = name.strip_prefix("__aeabi_").unwrap_or(name);
        ["memcpy", "memmove", "memset", "memclr", "memcmp", "bcmp"]
            .iter()
            .any(|memory| plain.starts_with(memory))
    }

    /// Whether it takes part in a panic, or in making text.
    pub fn panics_or_formats(&self) -> bool {
        ["core::panicking", "core::fmt"].iter().any(|part| self.name.contains(part))
    }
}

/// What a program takes of a small target's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Everything that is loaded and not written to: code, constants, tables.
    pub code_bytes: u64,
    /// The functions, longest first.
    pub functions: Vec<Function>,
    variables: Vec<(String, u64)>,
}

impl Program {
    /// Reads a linked 32-bit ELF file.
    ///
    /// # Errors
    ///
    /// It is no such file.
    pub fn read(file: &[u8]) -> Result<Self, object::Error> {
        let file = ElfFile32::<object::Endianness>::parse(file)?;
        let is_code = |flags| match flags {
            SectionFlags::Elf { sh_flags } => {
                sh_flags & u64::from(elf::SHF_ALLOC | elf::SHF_WRITE) == u64::from(elf::SHF_ALLOC)
            }
            _ => false,
        };
        let code_bytes = file
            .sections()
            .filter(|section| is_code(section.flags()))
            .map(|section| section.size())
            .sum();
        let mut symbols: Vec<_> = file.symbols().filter(|symbol| symbol.size() > 0).collect();
        // Two names for one place are one function.
        symbols.sort_by_key(|symbol| symbol.address());
        symbols.dedup_by_key(|symbol| symbol.address());
        let (mut functions, mut variables) = (Vec::new(), Vec::new());
        for symbol in symbols {
            let (name, bytes) =
                (format!("{:#}", rustc_demangle::demangle(symbol.name()?)), symbol.size());
            match symbol.kind() {
                SymbolKind::Text => functions.push(Function { name, bytes }),
                SymbolKind::Data => variables.push((name, bytes)),
                _ => {}
            }
        }
        functions.sort_by(|one, other| {
            other.bytes.cmp(&one.bytes).then_with(|| one.name.cmp(&other.name))
        });
        Ok(Self { code_bytes, functions, variables })
    }

    /// A program of functions only.
    #[cfg(test)]
    pub fn of(code_bytes: u64, functions: Vec<Function>) -> Self {
        Self { code_bytes, functions, variables: Vec::new() }
    }

    /// The size of a variable, if there is one of that name.
    pub fn variable(&self, name: &str) -> Option<u64> {
        self.variables.iter().find(|(other, _)| other == name).map(|&(_, bytes)| bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str) -> Function {
        Function { name: name.to_owned(), bytes: 1 }
    }

    #[test]
    fn memory_functions_are_known_by_their_names() {
        for name in [
            "memcpy",
            "__aeabi_memclr4",
            "compiler_builtins::mem::memmove",
            "compiler_builtins::arm::__aeabi_memset4",
        ] {
            assert!(function(name).is_memory_function(), "{name}");
        }
        for name in ["alloc", "<brkalloc::heap::Heap<B>>::grow", "brkalloc::cell::copy_down"] {
            assert!(!function(name).is_memory_function(), "{name}");
        }
    }

    #[test]
    fn panics_are_known_by_their_names() {
        assert!(function("core::panicking::panic_bounds_check").panics_or_formats());
        assert!(function("<core::fmt::Formatter>::pad").panics_or_formats());
        assert!(!function("<brkalloc::heap::request::Request>::fit").panics_or_formats());
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert!(Program::read(b"\x7fELF").is_err());
    }
}
