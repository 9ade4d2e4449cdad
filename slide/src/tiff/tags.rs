//! Tag numbers, from TIFF 6.0, its supplements and libtiff's tiff.h.

pub(crate) const NEW_SUBFILE_TYPE: u16 = 254;
pub(crate) const IMAGE_WIDTH: u16 = 256;
pub(crate) const IMAGE_LENGTH: u16 = 257;
pub(crate) const BITS_PER_SAMPLE: u16 = 258;
pub(crate) const COMPRESSION: u16 = 259;
pub(crate) const PHOTOMETRIC: u16 = 262;
pub(crate) const FILL_ORDER: u16 = 266;
pub(crate) const DOCUMENT_NAME: u16 = 269;
pub(crate) const IMAGE_DESCRIPTION: u16 = 270;
pub(crate) const MAKE: u16 = 271;
pub(crate) const MODEL: u16 = 272;
pub(crate) const STRIP_OFFSETS: u16 = 273;
pub(crate) const ORIENTATION: u16 = 274;
pub(crate) const SAMPLES_PER_PIXEL: u16 = 277;
pub(crate) const ROWS_PER_STRIP: u16 = 278;
pub(crate) const STRIP_BYTE_COUNTS: u16 = 279;
pub(crate) const X_RESOLUTION: u16 = 282;
pub(crate) const Y_RESOLUTION: u16 = 283;
pub(crate) const PLANAR_CONFIGURATION: u16 = 284;
pub(crate) const RESOLUTION_UNIT: u16 = 296;
pub(crate) const SOFTWARE: u16 = 305;
pub(crate) const DATE_TIME: u16 = 306;
pub(crate) const ARTIST: u16 = 315;
pub(crate) const HOST_COMPUTER: u16 = 316;
pub(crate) const PREDICTOR: u16 = 317;
pub(crate) const COLOR_MAP: u16 = 320;
pub(crate) const TILE_WIDTH: u16 = 322;
pub(crate) const TILE_LENGTH: u16 = 323;
pub(crate) const TILE_OFFSETS: u16 = 324;
pub(crate) const TILE_BYTE_COUNTS: u16 = 325;
pub(crate) const SUB_IFDS: u16 = 330;
pub(crate) const INK_SET: u16 = 332;
pub(crate) const EXTRA_SAMPLES: u16 = 338;
pub(crate) const SAMPLE_FORMAT: u16 = 339;
pub(crate) const JPEG_TABLES: u16 = 347;
pub(crate) const JPEG_PROC: u16 = 512;
pub(crate) const JPEG_INTERCHANGE_FORMAT: u16 = 513;
pub(crate) const JPEG_RESTART_INTERVAL: u16 = 515;
pub(crate) const JPEG_Q_TABLES: u16 = 519;
pub(crate) const JPEG_DC_TABLES: u16 = 520;
pub(crate) const JPEG_AC_TABLES: u16 = 521;
pub(crate) const YCBCR_COEFFICIENTS: u16 = 529;
pub(crate) const YCBCR_SUBSAMPLING: u16 = 530;
pub(crate) const REFERENCE_BLACK_WHITE: u16 = 532;
pub(crate) const XMP: u16 = 700;
pub(crate) const IMAGE_DEPTH: u16 = 32997;
pub(crate) const COPYRIGHT: u16 = 33432;
pub(crate) const ICC_PROFILE: u16 = 34675;
/// Hamamatsu's mark on every directory of an NDPI file. This and the following from OpenSlide's reader.
pub(crate) const NDPI_FORMAT: u16 = 65420;
/// The objective's magnification, scaled like the level; -1 marks the macro image, -2 a map of the scanned area.
pub(crate) const NDPI_SOURCE_LENS: u16 = 65421;
/// Nanometres from the slide's centre.
pub(crate) const NDPI_X_OFFSET: u16 = 65422;
pub(crate) const NDPI_Y_OFFSET: u16 = 65423;
/// 0 for the plane in the middle.
pub(crate) const NDPI_FOCAL_PLANE: u16 = 65424;
/// Where each restart interval begins, in bytes from the JPEG's start: the lower and the upper 32 bits.
pub(crate) const NDPI_MCU_STARTS_LOW: u16 = 65426;
pub(crate) const NDPI_REFERENCE: u16 = 65427;
pub(crate) const NDPI_MCU_STARTS_HIGH: u16 = 65432;
/// Lines of `key=value`.
pub(crate) const NDPI_PROPERTIES: u16 = 65449;
