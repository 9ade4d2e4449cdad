//! Makers whose files are TIFFs of a shape of their own. Read as plain pyramids they would show wrong pixels, so they
//! are refused by name.

use crate::{
    SlideError,
    error::Result,
    tiff::{Tiff, tags},
};

/// Refuses a file that one of these makers wrote.
pub(super) fn refuse(tiff: &Tiff<'_>) -> Result<()> {
    let Some(first) = tiff.directories.first() else { return Ok(()) };
    let has = |tag, part: &str| Ok::<_, SlideError>(tiff.text(first, tag)?.is_some_and(|text| text.contains(part)));
    let maker = if has(tags::IMAGE_DESCRIPTION, "www.leica-microsystems.com/scn")? {
        "Leica SCN"
    } else if has(tags::XMP, "<iScan")? || has(tags::XMP, "<EncodeInfo")? {
        "Ventana BIF"
    } else if has(tags::SOFTWARE, "Philips")? {
        "Philips TIFF"
    } else if has(tags::SOFTWARE, "MedScan")? {
        "Trestle TIFF"
    } else {
        return Ok(());
    };
    Err(SlideError::Unsupported(format!("a slide in {maker} form")))
}
