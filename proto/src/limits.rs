//! The limits on what comes from outside. Units stand at the ends of the names.

/// Longest name of a material, a node or a run, in bytes of UTF-8.
pub const NAME_LEN_MAX: usize = 255;
/// Longest key under which a space serves a file, in bytes of UTF-8.
pub const FILE_KEY_LEN_MAX: usize = 1024;
/// The form of such a key as JSON Schema has it: names with a slash between two, of which none is `.` or `..`.
pub const FILE_KEY_PATTERN: &str = r"^[^/\u0000-\u001f\u007f-\u009f]+(/[^/\u0000-\u001f\u007f-\u009f]+)*$";
/// Most members of a space.
pub const SPACE_MEMBERS_MAX: usize = 1_000;
/// Most ETags in a condition under which a key is overwritten.
pub const CONDITION_TAGS_MAX: usize = 16;
/// Longest life that can be asked for, in seconds: a hundred years.
pub const LIFE_S_MAX: u64 = 100 * 365 * 86_400;
/// The form of a name as JSON Schema has it; its length is in bytes, which JSON Schema cannot say.
pub const NAME_PATTERN: &str = r"^[^\u0000-\u001f\u007f-\u009f]+$";
/// Longest media type, in bytes.
pub const MEDIA_TYPE_LEN_MAX: usize = 127;
/// The form of a media type: `type/subtype`, with parameters.
pub const MEDIA_TYPE_PATTERN: &str = "^[0-9A-Za-z!#$&^_.+-]+/[0-9A-Za-z!#$&^_.+-]+(;[ -~]*)?$";
/// Largest material, in bytes: 1 TiB.
pub const MATERIAL_SIZE_MAX: u64 = 1 << 40;
/// Most copies of a material that may be wanted.
pub const POPULATION_MAX: u32 = 16;
/// Largest body of a control request, in bytes.
pub const CONTROL_BODY_LEN_MAX: usize = 1 << 20;
/// Time in seconds in which such a body must have come.
pub const CONTROL_BODY_WITHIN_S: u64 = 30;
/// Longest `Upload-Metadata` header, in bytes.
pub const UPLOAD_METADATA_LEN_MAX: usize = 8 << 10;
/// Longest `Upload-Metadata` that is told again as it was sent, in bytes; of a longer one name and media type are.
pub const UPLOAD_METADATA_KEPT_LEN_MAX: usize = 1 << 10;
/// Longest `Upload-Concat` header, in bytes: with all others it has to fit into the 64 KiB of a request's head.
pub const UPLOAD_CONCAT_LEN_MAX: usize = 48 << 10;
/// Most parts of a file that is put together.
pub const CONCAT_PARTS_MAX: usize = 1000;
/// Entries on a page when the caller names no number.
pub const PAGE_ITEMS_DEFAULT: u32 = 100;
/// Most entries on a page.
pub const PAGE_ITEMS_MAX: u32 = 1000;
/// Most coordinators of one cluster: each more makes each write slower.
pub const COORDINATORS_MAX: usize = 9;
/// Most labels of a node.
pub const LABELS_MAX: usize = 32;
/// Most inputs of a run.
pub const RUN_INPUTS_MAX: usize = 1000;
/// Most runs that wait for a node.
pub const RUNS_WAITING_MAX: usize = 10_000;
/// Most materials that one attempt of a run may make.
pub const RUN_OUTPUTS_MAX: usize = 1000;
/// Largest parameters of a run as JSON, in bytes.
pub const RUN_PARAMETERS_LEN_MAX: usize = 64 << 10;
/// Most levels of objects and lists in a run's parameters and in its result.
pub const RUN_PARAMETERS_DEPTH_MAX: usize = 32;
/// Most replicas in one page of a node's inventory.
pub const INVENTORY_PAGE_MAX: usize = 5_000;
/// Most orders in one answer to a heartbeat; the rest follow with the next one.
pub const ORDERS_MAX: usize = 256;
/// Most damaged copies that a heartbeat tells of; those of later materials stand in the books
/// as they stood.
pub const DAMAGED_MAX: usize = 1_000;
/// Most materials that a heartbeat tells of as read, and as being read; the others follow with the next ones.
pub const USES_MAX: usize = 1_000;
/// Most uploads of which a heartbeat tells how their check stands.
pub const CHECKS_TOLD_MAX: usize = 256;
/// Longest text in which it does, in bytes.
pub const CHECK_TOLD_LEN_MAX: usize = 300;
/// Longest reason of a check that refuses a file, in bytes.
pub const CHECK_REASON_LEN_MAX: usize = 2 << 10;
/// Most uploads under way on a node: each is named in each heartbeat.
pub const UPLOADS_MAX: usize = 4_096;
/// Most materials that are named where copies would be lost.
pub const MATERIALS_TOLD_MAX: usize = 100;
/// Largest region that is cut in one request, in pixels.
pub const REGION_PIXELS_MAX: u64 = 64 << 20;
/// Longest name of a user, in characters; compared in lower case.
pub const USER_NAME_CHARS_MAX: usize = 64;
/// The form of such a name as JSON Schema has it: no blanks at its ends.
pub const USER_NAME_PATTERN: &str =
    r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$";
/// Shortest password, in bytes of UTF-8. What it is made of is its owner's affair (NIST SP 800-63B).
pub const PASSWORD_LEN_MIN: usize = 10;
/// Longest password, in bytes of UTF-8.
pub const PASSWORD_LEN_MAX: usize = 1024;
/// Longest refresh token looked at, in bytes.
pub const REFRESH_TOKEN_LEN_MAX: usize = 256;
/// Longest life of a service account's token, in seconds: ten years.
pub const ACCESS_TOKEN_S_MAX: u64 = 10 * 365 * 86_400;
/// Most sessions of a user: one more login ends the oldest one.
pub const SESSIONS_MAX: usize = 100;
/// Most members of a team.
pub const TEAM_MEMBERS_MAX: usize = 500;
/// Most teams of a user.
pub const TEAMS_OF_USER_MAX: usize = 100;
/// Longest description of a case, in bytes of UTF-8.
pub const DESCRIPTION_LEN_MAX: usize = 4 << 10;
/// Most tokens that are taken back and have not ended by themselves: every node is told of each.
pub const REVOKED_MAX: usize = 4_096;
/// Entries kept of the trail of who did what; the oldest ones go.
pub const AUDIT_MAX: u64 = 100_000;
/// Wrong passwords that a name takes in a quarter of an hour.
pub const LOGIN_FAILURES_PER_NAME_MAX: u32 = 10;
/// Wrong passwords that an address takes in a quarter of an hour.
pub const LOGIN_FAILURES_PER_ADDRESS_MAX: u32 = 100;
/// Logins that wait for their password to be checked; it is checked for two at a time.
pub const LOGINS_WAITING_MAX: usize = 64;
