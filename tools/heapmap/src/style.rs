//! Colours. Those of states are Okabe and Ito's, which people with any kind of colour vision tell
//! apart; they are the same on light and dark ground. Warm is free, cold is used.

/// The style sheet. A class for each state, by its name; `live` is the live part of a slab.
pub(crate) const STYLE: &str = "
    text { font: 12px system-ui, sans-serif; fill: #222 }
    .title { font-size: 16px; font-weight: bold }
    .address { font: 11px ui-monospace, monospace; fill: #555 }
    .ground { fill: #fff }
    .band { fill: #eee }
    .tick { stroke: #bbb }
    .used { fill: #0072b2; stroke: #0072b2 }
    .slab { fill: #9fd8c5; stroke: #009e73 }
    .live { fill: #009e73 }
    .free { fill: #f0e442; stroke: #f0e442 }
    .top { fill: #e69f00; stroke: #e69f00 }
    .internal { fill: #cc79a7; stroke: #cc79a7 }
    .hole { fill: url(#hatch); stroke: #888 }
    .hatch { stroke: #888 }
    .piece { stroke-width: 0 }
    .thin { stroke-width: 1 }
    .wide { stroke-width: .75; stroke: #fff }
    @media (prefers-color-scheme: dark) {
      text { fill: #ddd }
      .address { fill: #aaa }
      .ground, .wide { stroke: #181818 }
      .ground { fill: #181818 }
      .band { fill: #2a2a2a }
      .tick { stroke: #555 }
    }
";
