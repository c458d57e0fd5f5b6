//! Shared memory: the objects that `mmap` with `MAP_SHARED|MAP_ANONYMOUS` makes, as long as an area
//! maps them.

use alloc::vec::Vec;

use crate::address_space::{Errno, ObjectId};
use crate::memory::Reach;
use crate::memory::pages::Object;

/// All objects of a system.
///
/// # Invariants
///
/// Sorted by number; all numbers are below `next`. `unused` objects have no page that an area maps.
pub struct Objects<R: Reach> {
    list: Vec<Numbered<R>>,
    next: u32,
    unused: usize,
}

struct Numbered<R: Reach> {
    id: ObjectId,
    /// Pages of areas that map it: a page counts once for each area that has it.
    mapped: u64,
    object: Object<R>,
}

impl<R: Reach> Objects<R> {
    /// No objects.
    pub const fn new() -> Self {
        Self { list: Vec::new(), next: 0, unused: 0 }
    }

    /// Bytes of the kernel's heap that one object more takes, if there is no room for it.
    pub fn growth(&self) -> Option<usize> {
        let full = self.list.len() == self.list.capacity();
        full.then(|| (2 * self.list.len()).max(4) * size_of::<Numbered<R>>())
    }

    /// Makes an object of so many pages, for an area that maps all of them.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the account, the page allocator or the kernel's heap refuses. Nothing has
    /// changed.
    pub fn make(&mut self, reach: R, pages: u64) -> Result<ObjectId, Errno> {
        self.list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let object = Object::new(reach, pages).map_err(|_| Errno::ENOMEM)?;
        let id = ObjectId(self.next);
        self.next += 1;
        self.list.push(Numbered { id, mapped: pages, object });
        Ok(id)
    }

    /// The object of that number. Logarithmic.
    pub fn get_mut(&mut self, id: ObjectId) -> Option<&mut Object<R>> {
        self.find(id).map(|numbered| &mut numbered.object)
    }

    /// An area more maps so many pages of the object.
    pub fn share(&mut self, id: ObjectId, pages: u64) {
        if let Some(numbered) = self.find(id) {
            numbered.mapped += pages;
        }
    }

    /// So many pages of an area map it no more.
    pub fn release(&mut self, id: ObjectId, pages: u64) {
        if let Some(numbered) = self.find(id) {
            numbered.mapped -= pages;
            self.unused += usize::from(numbered.mapped == 0);
        }
    }

    /// Whether nothing maps one of them. Constant time.
    pub const fn has_unused(&self) -> bool {
        self.unused > 0
    }

    /// Frees a slice of the objects that nothing maps. `false` if it has to be called again to
    /// finish.
    pub fn collect(&mut self) -> bool {
        if self.unused == 0 {
            return true;
        }
        if let Some(at) = self.list.iter().position(|numbered| numbered.mapped == 0)
            && self.list[at].object.shrink()
        {
            self.list.remove(at);
            self.unused -= 1;
        }
        self.unused == 0
    }

    fn find(&mut self, id: ObjectId) -> Option<&mut Numbered<R>> {
        let at = self.list.binary_search_by_key(&id, |numbered| numbered.id).ok()?;
        self.list.get_mut(at)
    }
}
