//! The limits on what a file may make this crate do. Slides come from outside: a number in a file is a claim until it
//! has been held against the file's size or one of these.

/// Most pixels that one request may ask for, and most that an associated image may have.
pub(crate) const REGION_PIXELS_MAX: u64 = 64 << 20;
/// Most pixels that are decoded to draw one picture that is smaller than they are.
pub(crate) const RENDER_PIXELS_MAX: u64 = 256 << 20;
/// Most pixels that are in memory at once of such a picture, after the first step of making it smaller.
pub(crate) const KEPT_PIXELS_MAX: u64 = 32 << 20;
/// Most pixels of a picture that the IIIF Image API gives, told as `maxArea`: `max` of any slide that has levels of a
/// quarter each can be drawn within the limits above.
pub(crate) const IIIF_PIXELS_MAX: u64 = 16 << 20;
/// Longest side of such a picture: a JPEG's.
pub(crate) const IIIF_SIDE_MAX: u32 = 65_535;
/// Most pixels that are in memory at once while such a picture is drawn, beside those of the picture.
pub(crate) const IIIF_BAND_PIXELS_MAX: u64 = 4 << 20;
/// Most pixels of all tiles that one request has decoded: tiles may be much larger than what is wanted of them.
pub(crate) const DECODED_PIXELS_MAX: u64 = 1 << 30;
/// Of these, as many as four tiles of the largest size have in any case, and this many for each pixel that is wanted:
/// strips across a whole slide are mostly not wanted, but a few pixels must not cost as much as a thousand tiles.
pub(crate) const DECODED_PIXELS_FREE: u64 = 4 * TILE_PIXELS_MAX;
pub(crate) const DECODED_PER_PIXEL_MAX: u64 = 64;
/// Pixels that a tile counts for in that sum at the least: to find and read even the smallest one takes about as long as
/// decoding so many.
pub(crate) const TILE_COST_PIXELS: u64 = 1024;
/// Longest tile, in bytes, that is sent as it is. What is longer is drawn, on the pool that bounds such work.
pub(crate) const NATIVE_LEN_MAX: usize = 4 << 20;
/// Most pixels of one tile or strip: 4096 × 4096 and the like.
pub(crate) const TILE_PIXELS_MAX: u64 = 16 << 20;
/// Most images (TIFF directories) in one file.
pub(crate) const DIRECTORIES_MAX: usize = 1000;
/// Most fields of one TIFF directory.
pub(crate) const FIELDS_MAX: u64 = 1000;
/// Most bytes read of a text such as ImageDescription; what is longer is cut off.
pub(crate) const TEXT_LEN_MAX: u64 = 64 << 10;
/// Longest JPEG tables, in bytes.
pub(crate) const JPEG_TABLES_LEN_MAX: u64 = 64 << 10;
/// Longest ICC profile, in bytes.
pub(crate) const ICC_PROFILE_LEN_MAX: u64 = 16 << 20;
/// Most that one level may be smaller than the one before it for a tile missing in it to be filled from there.
pub(crate) const FILL_RATIO_MAX: f64 = 4.5;
/// Most tiles that the file lacks which are filled, from the level above each, to fill one.
pub(crate) const FILLS_MAX: u32 = 3;
/// Most rows and columns of tiles of one level that are looked at for holes under one tile.
pub(crate) const TILES_COVERED_MAX: usize = 64;
/// Most levels that are looked at so.
pub(crate) const LEVELS_COVERED_MAX: usize = 4;
/// Most tiles of a level that are looked at for holes at all.
pub(crate) const HOLES_TILES_MAX: u64 = 64 << 20;
/// Most pixels of a plain picture, which is decoded as a whole: 192 MiB of RGB.
pub(crate) const PICTURE_PIXELS_MAX: u64 = 64 << 20;
/// The same for JPEG 2000, whose decoder takes some 30 bytes for each.
pub(crate) const JPEG_2000_PICTURE_PIXELS_MAX: u64 = 16 << 20;
/// Longest file of a plain picture, in bytes: it is read as a whole.
pub(crate) const PICTURE_LEN_MAX: u64 = 512 << 20;
/// Most bytes of decoded pieces that the process keeps, of all slides together; more than the largest piece.
pub(crate) const PIECES_LEN_MAX: usize = 256 << 20;
/// Pieces of more pixels are decoded one at a time.
pub(crate) const PIECE_PIXELS_ALONE: u64 = 8 << 20;
/// Most marker segments or boxes that are passed by on the way to the one that tells a picture's size.
pub(crate) const PICTURE_SEGMENTS_MAX: usize = 1000;
/// Longest head of a JPEG of which parts are decoded, in bytes; it is kept.
pub(crate) const JPEG_HEAD_LEN_MAX: u64 = 64 << 10;
/// Longest JPEG that is looked through for its restart markers, in bytes: a second or so.
pub(crate) const RESTART_SCAN_LEN_MAX: u64 = 1 << 30;
/// Longest XML that is read from a tag, in bytes: those of whole slides list their tiles.
pub(crate) const XML_LEN_MAX: u64 = 16 << 20;
/// Most elements and texts of it.
pub(crate) const XML_NODES_MAX: u32 = 500_000;
/// Most attributes of one element.
pub(crate) const XML_ATTRIBUTES_MAX: usize = 500;
/// Most namespaces that it declares.
pub(crate) const XML_NAMESPACES_MAX: usize = 1000;
/// Most channels that are shown together.
pub(crate) const CHANNELS_MAX: usize = 100;
/// Most pixels that are decoded for one tile of a slide that is put together from overlapping parts.
pub(crate) const MOSAIC_PIXELS_MAX: u64 = 64 << 20;
/// Most levels of a pyramid below the first, in the file or in its XML: each is smaller than the last.
pub(crate) const LEVELS_MAX: usize = 64;
/// Most areas that a slide is put together from.
pub(crate) const AREAS_MAX: usize = 1000;
/// Longest associated image that is written as text into XML, in bytes.
pub(crate) const ENCODED_IMAGE_LEN_MAX: usize = 8 << 20;
/// Most bytes of a slide's properties, names and values together; what comes after these is left out.
pub(crate) const PROPERTIES_LEN_MAX: usize = 512 << 10;
