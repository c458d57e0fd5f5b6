//! What the checked heap notes of a call: by which function, and from where.

use core::fmt;

/// Functions that allocate and free the same blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// `malloc`, `memalign`, …, `free`.
    Malloc,
    /// `operator new`, `operator delete`.
    New,
    /// `operator new[]`, `operator delete[]`.
    NewArray,
    /// `operator new` and `operator delete` with an alignment.
    NewAligned,
    /// `operator new[]` and `operator delete[]` with an alignment.
    NewArrayAligned,
}

impl Family {
    /// The function that allocates.
    const fn allocates(self) -> &'static str {
        match self {
            Self::Malloc => "malloc",
            Self::New => "operator new",
            Self::NewArray => "operator new[]",
            Self::NewAligned => "operator new(align_val_t)",
            Self::NewArrayAligned => "operator new[](align_val_t)",
        }
    }

    /// The function that frees.
    pub(crate) const fn frees(self) -> &'static str {
        match self {
            Self::Malloc => "free",
            Self::New => "operator delete",
            Self::NewArray => "operator delete[]",
            Self::NewAligned => "operator delete(align_val_t)",
            Self::NewArrayAligned => "operator delete[](align_val_t)",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.allocates())
    }
}

/// A call of the library.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) family: Family,
    /// Return address.
    pub(crate) caller: usize,
}

impl Call {
    /// A call of `malloc`'s family.
    pub(crate) const fn of_c(caller: usize) -> Self {
        Self { family: Family::Malloc, caller }
    }
}
