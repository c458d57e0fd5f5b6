//! A range of addresses that one caller sets while another looks an address up.

use std::sync::Arc;

use loom::thread;

use crate::address_range::AddressRange;
use crate::atomic::AtomicUsize;
use loom::sync::atomic::Ordering;

/// Address of the range, above its length.
const START: usize = 100;
const LEN: usize = 10;

#[test]
fn no_look_up_takes_the_length_without_its_start() {
    loom::model(|| {
        let range = Arc::new((AddressRange::default(), AtomicUsize::new(0)));
        let setter = Arc::clone(&range);
        let setter = thread::spawn(move || {
            setter.1.store(1, Ordering::Relaxed);
            setter.0.set(START, LEN);
        });
        thread::yield_now();
        let (range, before) = &*range;
        assert!(!range.contains(LEN / 2), "an address below the range");
        if range.contains(START) {
            assert_eq!(before.load(Ordering::Relaxed), 1, "it was set after this");
        }
        setter.join().unwrap();
        assert!(range.contains(START + LEN - 1) && !range.contains(START + LEN));
    });
}
