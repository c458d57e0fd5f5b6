//! The fuzzer's seeds, compiled in, so that a kernel has them too. `tests/seeds.rs` compares the lists with the folders.

/// A file of `fuzz/seeds`.
pub struct Seed {
    pub name: &'static str,
    pub bytes: &'static [u8],
}

macro_rules! seeds {
    ($target:literal: $($name:literal),+ $(,)?) => {
        &[$(Seed { name: $name, bytes: include_bytes!(concat!("../../fuzz/seeds/", $target, "/", $name)) }),+]
    };
}

pub const HEAP: &[Seed] = seeds!("heap":
    "coverage-01",
    "coverage-02",
    "coverage-03",
    "coverage-04",
    "coverage-05",
    "coverage-06",
    "coverage-07",
    "coverage-08",
    "coverage-09",
    "coverage-10",
    "coverage-11",
    "coverage-12",
    "coverage-13",
    "coverage-14",
    "coverage-15",
    "coverage-16",
    "coverage-17",
    "coverage-18",
    "coverage-19",
    "coverage-20",
    "coverage-21",
    "coverage-22",
    "coverage-23",
    "coverage-24",
    "coverage-25",
    "coverage-26",
    "coverage-27",
    "coverage-28",
    "coverage-29",
    "coverage-30",
    "coverage-31",
    "coverage-32",
    "coverage-33",
    "coverage-34",
    "coverage-35",
    "coverage-36",
    "coverage-37",
    "coverage-38",
    "coverage-39",
    "coverage-40",
    "lead-too-long-by-a-little",
    "region-above-brings-the-top",
    "region-below-stays-when-the-break-comes-down",
    "region-fills-hole",
    "region-right-above-is-not-fresh",
    "slack-of-unaligned-regions-is-found",
    "trim-leaves-less-than-a-cell",
    "zeroed-after-move-down",
    "zeroed-over-old-fence",
);

pub const SIMPLE_HEAP: &[Seed] = seeds!("simple_heap":
    "coverage-01",
    "coverage-02",
    "coverage-03",
    "coverage-04",
    "coverage-05",
    "coverage-06",
    "coverage-07",
    "coverage-08",
    "coverage-09",
    "coverage-10",
    "coverage-11",
    "coverage-12",
    "coverage-13",
    "coverage-14",
    "coverage-15",
    "coverage-16",
    "coverage-17",
    "coverage-18",
    "coverage-19",
    "coverage-20",
    "region-behind-foreign-memory",
);
