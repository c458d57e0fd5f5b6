//! What the kernel puts on a new process's stack: arguments, environment, auxiliary vector.
//!
//! ```text
//!   stack ─► argc │ argv[0] … argv[argc-1] │ 0 │ environment … │ 0 │ (kind, value) … │ (AT_NULL, 0)
//! ```

use core::ffi::{CStr, c_char};
use core::num::{IntErrorKind, ParseIntError};

use linux_raw_sys::auxvec::{AT_ENTRY, AT_NULL, AT_PAGESZ, AT_PHDR, AT_PHNUM};

use crate::claim::Untrue;
use crate::println;
use crate::story::AT_STORY;
use crate::system::process;

/// The start stack of this process.
///
/// # Invariants
///
/// `stack` is laid out as the module says, and stays so for ever.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    stack: *const usize,
}

/// The entries of the auxiliary vector that programs look at; `None` for one that is not there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Auxiliary {
    /// Bytes of a page.
    pub page_size: Option<usize>,
    /// Address of the first instruction.
    pub entry: Option<usize>,
    /// Address of the image's list of segments.
    pub segments: Option<usize>,
    /// Length of that list.
    pub segment_count: Option<usize>,
    /// Number of the call that takes what is told of a heap.
    pub story: Option<usize>,
}

impl Arguments {
    /// # Safety
    ///
    /// `stack` is the stack pointer with which the process began, and nobody has written above it.
    pub(crate) const unsafe fn new(stack: *const usize) -> Self {
        Self { stack }
    }

    /// How many there are, the program's name included.
    #[must_use]
    pub fn count(self) -> usize {
        self.word(0)
    }

    /// The list of the arguments, the program's name first, as C's `main` gets it.
    #[must_use]
    pub fn vector(self) -> *const *const c_char {
        // SAFETY: the type's invariant: the list follows the count.
        unsafe { self.stack.add(1) }.cast()
    }

    /// The arguments, without the program's name. One that is not UTF-8 is left out.
    pub fn iter(self) -> impl Iterator<Item = &'static str> {
        (1..self.count()).filter_map(move |index| self.text(1 + index))
    }

    /// The first argument, without the program's name.
    #[must_use]
    pub fn first(self) -> Option<&'static str> {
        self.iter().next()
    }

    /// The argument of this index as a number; `default` if there is none there.
    ///
    /// An argument that is no number ends the program, which says so, with the status of
    /// [`Untrue::ARGUMENTS`].
    #[must_use]
    pub fn number(self, index: usize, default: usize) -> usize {
        let Some(text) = self.iter().nth(index) else { return default };
        text.parse().unwrap_or_else(|error: ParseIntError| {
            let name = self.program().rsplit('/').next().unwrap_or_default();
            let what = match error.kind() {
                IntErrorKind::PosOverflow => "too large a number",
                _ => "not a number",
            };
            println!("{name}: '{text}' is {what}");
            process::exit(Untrue::ARGUMENTS.status())
        })
    }

    /// The program's name, as it was called.
    #[must_use]
    pub fn program(self) -> &'static str {
        self.text(1).unwrap_or("")
    }

    /// The auxiliary vector.
    #[must_use]
    pub fn auxiliary(self) -> Auxiliary {
        let mut auxiliary = Auxiliary::default();
        let environment = 1 + self.count() + 1;
        let mut at = environment + self.words_before_zero(environment) + 1;
        loop {
            let (kind, value) = (self.word(at) as u32, self.word(at + 1));
            match kind {
                AT_NULL => return auxiliary,
                AT_PAGESZ => auxiliary.page_size = Some(value),
                AT_ENTRY => auxiliary.entry = Some(value),
                AT_PHDR => auxiliary.segments = Some(value),
                AT_PHNUM => auxiliary.segment_count = Some(value),
                AT_STORY => auxiliary.story = Some(value),
                _ => {}
            }
            at += 2;
        }
    }

    /// How many words there are from `start` on, up to one that is zero.
    fn words_before_zero(self, start: usize) -> usize {
        (start..).take_while(|&index| self.word(index) != 0).count()
    }

    /// The word of this index, which is not behind the end of the auxiliary vector.
    fn word(self, index: usize) -> usize {
        // SAFETY: inside what the type's invariant describes.
        let word = unsafe { self.stack.add(index) };
        // SAFETY: as above.
        unsafe { word.read() }
    }

    /// The text that the word of this index points at.
    fn text(self, index: usize) -> Option<&'static str> {
        let pointer = core::ptr::with_exposed_provenance::<c_char>(self.word(index));
        if pointer.is_null() {
            return None;
        }
        // SAFETY: by the type's invariant a string that ends with a zero and stays.
        unsafe { CStr::from_ptr(pointer) }.to_str().ok()
    }
}
