//! What several programs share.

#![no_std]
