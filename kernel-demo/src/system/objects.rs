//! Shared memory: the objects that `mmap` with `MAP_SHARED|MAP_ANONYMOUS` makes, as long as
//! somebody maps them.

use alloc::vec::Vec;

use crate::address_space::{Commit, Errno, ObjectId};
use crate::memory::Reach;
use crate::memory::pages::Object;

/// All objects of a system.
///
/// # Invariants
///
/// Numbers differ and are below `next`. The pages of each object are charged to the system's
/// account.
pub struct Objects<R: Reach> {
    list: Vec<Numbered<R>>,
    next: u32,
}

struct Numbered<R: Reach> {
    id: ObjectId,
    pages: u64,
    object: Object<R>,
}

impl<R: Reach> Objects<R> {
    /// No objects.
    pub const fn new() -> Self {
        Self { list: Vec::new(), next: 0 }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Makes an object of so many pages.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the account, the page allocator or the kernel's heap refuses. Nothing has
    /// changed.
    pub fn make(
        &mut self,
        reach: R,
        pages: u64,
        account: &mut impl Commit,
    ) -> Result<ObjectId, Errno> {
        self.list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let object = Object::new(reach).map_err(|_| Errno::ENOMEM)?;
        account.charge(pages)?;
        let id = ObjectId(self.next);
        self.next += 1;
        self.list.push(Numbered { id, pages, object });
        Ok(id)
    }

    /// The object of that number.
    pub fn get_mut(&mut self, id: ObjectId) -> Option<&mut Object<R>> {
        self.list.iter_mut().find(|numbered| numbered.id == id).map(|numbered| &mut numbered.object)
    }

    /// Lets go of the objects that are not in use any more. Their frames go back. Linear in the
    /// objects.
    pub fn retain(&mut self, in_use: impl Fn(ObjectId) -> bool, account: &mut impl Commit) {
        self.list.retain(|numbered| {
            let stays = in_use(numbered.id);
            if !stays {
                account.uncharge(numbered.pages);
            }
            stays
        });
    }
}
