//! Results of the checks that a layer of small blocks makes beside the walk over all cells.

use super::corruption::Corruption;
use crate::cell::{Cell, WORD};
use crate::chunks::{Chunks, Tuning};
use crate::layer::{Layer, NoLayer};
use crate::provider::Source;

/// The rules of a layer. The default is that of a layer which is not there.
pub trait LayerRules<P: Tuning>: Layer<P> {
    /// Findings of a walk over all cells that concern the layer.
    type Tally: Default;

    /// Verifies what must be known before the walk.
    fn check_before<B: Source>(&self, _: &Chunks<B, P>) -> Result<(), Corruption> {
        Ok(())
    }

    /// Verifies a used cell, beside the walk.
    fn check_use<B: Source>(
        &self,
        _: &Chunks<B, P>,
        _: Cell<P>,
        _: usize,
        _: &mut Self::Tally,
    ) -> Result<(), Corruption> {
        Ok(())
    }

    /// Verifies everything else, after the walk. `at`: address of the lowest cell.
    fn check_after<B: Source>(
        &self,
        _: &Chunks<B, P>,
        _at: usize,
        _: &Self::Tally,
    ) -> Result<(), Corruption> {
        Ok(())
    }
}

impl<P: Tuning> LayerRules<P> for NoLayer {
    type Tally = ();
}

/// Returns the number of bytes from `at` to the fencepost of its region, if a payload can begin
/// there.
pub(crate) fn room_from<B, P: Tuning>(chunks: &Chunks<B, P>, at: usize) -> usize {
    let region = chunks.region_around(at).filter(|region| at >= region.first.addr() + WORD);
    region.map_or(0, |region| region.fencepost.addr() - at)
}
