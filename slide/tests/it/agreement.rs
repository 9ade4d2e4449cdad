//! For `cargo xtask agree`. The made files of makers of whom no real file could be had, for `tests/agreement/agree.py` to show to OpenSlide:
//! `MICROTOME_MADE_FILES` names a folder that they are written to.

use crate::{bif, ndpi, philips, scn};
use jpeg_encoder::SamplingFactor;

#[test]
fn made_files_are_there_for_openslide() {
    let Some(folder) = std::env::var_os("MICROTOME_MADE_FILES") else { return };
    let files = [
        ("ndpi-444.ndpi", ndpi::made(SamplingFactor::F_1_1)),
        ("ndpi-422.ndpi", ndpi::made(SamplingFactor::F_2_1)),
        ("philips.tiff", philips::file().0),
        ("leica.scn", scn::file().0),
        ("ventana.bif", bif::file()),
        ("trestle.tif", bif::trestle()),
    ];
    for (name, bytes) in files {
        std::fs::write(std::path::Path::new(&folder).join(name), bytes).unwrap();
    }
}
