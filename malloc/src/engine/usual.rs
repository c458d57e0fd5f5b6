//! The usual heap: brkalloc behind the lock.

super::locked::locked_heap!(brkalloc);
