//! The fuzzer's seeds, compiled in, so that a kernel has them too. `tests/seeds.rs` compares the
//! lists with the folders.

/// A file of `fuzz/seeds`.
pub struct Seed {
    pub name: &'static str,
    pub bytes: &'static [u8],
}

/// Names as in the folder: those that begin alike, by what they end with, and the others.
macro_rules! seeds {
    ($target:literal: $start:literal { $($end:literal)+ } $($name:literal),+ $(,)?) => {
        &[
            $(seeds!(@ $target, concat!($start, $end)),)+
            $(seeds!(@ $target, $name)),+
        ]
    };
    (@ $target:literal, $name:expr) => {
        Seed { name: $name, bytes: include_bytes!(concat!("../../fuzz/seeds/", $target, "/", $name)) }
    };
}

pub const HEAP: &[Seed] = seeds!("heap":
    "coverage-" {
        "01" "02" "03" "04" "05" "06" "07" "08" "09" "10" "11" "12" "13" "14" "15" "16" "17" "18" "19" "20"
        "21" "22" "23" "24" "25" "26" "27" "28" "29" "30" "31" "32" "33" "34" "35" "36" "37" "38" "39" "40"
        "41" "42" "43" "44" "45" "46" "47" "48" "49" "50" "51" "52" "53" "54" "55" "56" "57" "58" "59" "60"
        "61" "62" "63" "64" "65" "66" "67" "68" "69" "70" "71" "72" "73" "74" "75" "76" "77" "78" "79" "80"
    }
    "lead-too-long-by-a-little",
    "region-above-brings-the-top",
    "region-below-stays-when-the-break-comes-down",
    "region-fills-hole",
    "region-right-above-is-not-fresh",
    "reserved-cell-that-a-full-search-finds",
    "slack-of-unaligned-regions-is-found",
    "trim-leaves-less-than-a-cell",
    "zeroed-after-move-down",
    "zeroed-over-old-fencepost",
);

pub const SIMPLE_HEAP: &[Seed] = seeds!("simple_heap":
    "coverage-" {
        "01" "02" "03" "04" "05" "06" "07" "08" "09" "10" "11" "12" "13" "14" "15" "16" "17" "18" "19" "20"
    }
    "region-behind-foreign-memory",
);
