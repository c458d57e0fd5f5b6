//! What the policy knows of the kernel's memory: its words, without what needs the machine.

#[path = "../../kernel-demo/src/memory/access.rs"]
mod access;
#[path = "../../kernel-demo/src/memory/frames/account.rs"]
mod account;
#[path = "../../kernel-demo/src/memory/layout.rs"]
pub mod layout;
#[path = "../../kernel-demo/src/memory/permissions.rs"]
mod permissions;

pub use access::{Access, PageFault};
pub use account::OutOfFrames;
pub use permissions::Permissions;
