//! What a program finds on its stack when it starts, as the System V ABI for x86-64 says.
//!
//! ```text
//!   top  ┌──────────────────────────────┐
//!        │ the arguments' text          │  each ends with a zero byte
//!        │ 16 random bytes              │
//!        ├──────────────────────────────┤
//!        │ auxiliary vector             │  pairs of key and value; the last key is AT_NULL
//!        │ 0                            │  end of envp, which is empty
//!        │ 0                            │  end of argv
//!        │ argv[argc - 1] … argv[0]     │  addresses of the text
//!   rsp ─► argc                         │  a multiple of 16
//!        └──────────────────────────────┘
//! ```

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use super::image::Headers;
use crate::memory::layout::PAGE_SIZE;

/// Keys of the auxiliary vector.
pub mod aux {
    /// The end.
    pub const NULL: u64 = 0;
    /// Address of the program headers.
    pub const PHDR: u64 = 3;
    /// Bytes of a program header.
    pub const PHENT: u64 = 4;
    /// Program headers.
    pub const PHNUM: u64 = 5;
    /// Bytes of a page.
    pub const PAGESZ: u64 = 6;
    /// Where the program starts.
    pub const ENTRY: u64 = 9;
    /// Address of 16 random bytes.
    pub const RANDOM: u64 = 25;
    /// Number of the call by which a program tells of its heap. Not Linux's.
    pub const STORY: u64 = 0x6272_6b61;
}

/// What a program is told when it starts.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its arguments.
    pub arguments: &'a [&'a str],
    /// Where it starts.
    pub entry: u64,
    /// Where its program headers lie, if they are loaded.
    pub headers: Option<Headers>,
    /// Random bytes.
    pub random: [u8; 16],
    /// Number of the call by which it tells of its heap, if a story is told.
    pub story: Option<u64>,
}

/// The first bytes on a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartStack {
    /// The stack pointer: address of the first byte. A multiple of 16.
    pub pointer: u64,
    /// From the pointer to the top of the stack.
    pub bytes: Vec<u8>,
}

impl Start<'_> {
    /// Lays out what the program finds on a stack that ends at `top`, a multiple of 16. Linear in
    /// the text.
    ///
    /// # Errors
    ///
    /// The kernel's heap has no room for it.
    pub fn lay_out(&self, top: u64) -> Result<StartStack, TryReserveError> {
        let words = || core::iter::once(self.name).chain(self.arguments.iter().copied());
        let text_len: usize = words().map(|word| word.len() + 1).sum();
        let random_at = top - text_len as u64 - self.random.len() as u64;
        let headers = self.headers.unwrap_or(Headers { address: 0, entry_size: 0, count: 0 });
        let vector = [
            (aux::PHDR, headers.address),
            (aux::PHENT, headers.entry_size),
            (aux::PHNUM, headers.count),
            (aux::PAGESZ, PAGE_SIZE),
            (aux::ENTRY, self.entry),
            (aux::RANDOM, random_at),
            (aux::STORY, self.story.unwrap_or(0)),
            (aux::NULL, 0),
        ];
        let vector = || vector.iter().filter(|entry| entry.0 != aux::STORY || self.story.is_some());
        let table_len = 8 * (1 + words().count() + 2 + 2 * vector().count()) as u64;
        let pointer = (random_at - table_len) & !0xf;

        let mut bytes = Vec::new();
        bytes.try_reserve_exact((top - pointer) as usize)?;
        let mut push = |word: u64| bytes.extend_from_slice(&word.to_le_bytes());
        push(words().count() as u64);
        let mut text_at = top - text_len as u64;
        for word in words() {
            push(text_at);
            text_at += word.len() as u64 + 1;
        }
        push(0);
        push(0);
        for &(key, value) in vector() {
            push(key);
            push(value);
        }
        bytes.resize((random_at - pointer) as usize, 0);
        bytes.extend_from_slice(&self.random);
        for word in words() {
            bytes.extend_from_slice(word.as_bytes());
            bytes.push(0);
        }
        Ok(StartStack { pointer, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: u64 = 0x7fff_ffff_f000;

    /// Reads the stack as start-up code does.
    struct Reader<'a>(&'a StartStack);

    impl Reader<'_> {
        fn word(&self, address: u64) -> u64 {
            let at = (address - self.0.pointer) as usize;
            u64::from_le_bytes(self.0.bytes[at..at + 8].try_into().unwrap())
        }

        fn text(&self, address: u64) -> &str {
            let rest = &self.0.bytes[(address - self.0.pointer) as usize..];
            let end = rest.iter().position(|byte| *byte == 0).unwrap();
            str::from_utf8(&rest[..end]).unwrap()
        }
    }

    fn check(arguments: &[&str]) {
        check_with(arguments, None);
        check_with(arguments, Some(1100));
    }

    fn check_with(arguments: &[&str], story: Option<u64>) {
        let headers = Some(Headers { address: 0x5000_0040, entry_size: 56, count: 9 });
        let start = Start {
            name: "program",
            arguments,
            entry: 0x5000_1234,
            headers,
            random: *b"0123456789abcdef",
            story,
        };
        let stack = start.lay_out(TOP).unwrap();
        let reader = Reader(&stack);
        assert_eq!(stack.pointer % 16, 0);
        assert_eq!(stack.pointer + stack.bytes.len() as u64, TOP);
        let mut at = stack.pointer;
        let mut next = || {
            at += 8;
            reader.word(at - 8)
        };
        assert_eq!(next(), 1 + arguments.len() as u64);
        assert_eq!(reader.text(next()), "program");
        for argument in arguments {
            assert_eq!(reader.text(next()), *argument);
        }
        assert_eq!((next(), next()), (0, 0), "ends of argv and envp");
        let mut vector = Vec::new();
        loop {
            let (key, value) = (next(), next());
            vector.push((key, value));
            if key == aux::NULL {
                break;
            }
        }
        let value = |key| vector.iter().find(|entry| entry.0 == key).unwrap().1;
        assert_eq!((value(aux::PHDR), value(aux::PHENT), value(aux::PHNUM)), (0x5000_0040, 56, 9));
        assert_eq!((value(aux::PAGESZ), value(aux::ENTRY)), (4096, 0x5000_1234));
        assert_eq!(vector.iter().find(|entry| entry.0 == aux::STORY).map(|entry| entry.1), story);
        let random = (value(aux::RANDOM) - stack.pointer) as usize;
        assert_eq!(&stack.bytes[random..random + 16], b"0123456789abcdef");
    }

    #[test]
    fn a_program_finds_its_arguments_and_the_auxiliary_vector() {
        check(&[]);
        check(&["one"]);
        check(&["", "zwölf", "a longer argument, with spaces"]);
    }

    #[test]
    fn the_pointer_is_aligned_whatever_the_text() {
        for len in 0..40 {
            check(&[&"x".repeat(len)]);
        }
    }
}
