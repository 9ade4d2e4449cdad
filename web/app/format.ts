// Numbers for people: SI units, a thin gap between thousands, no more digits than matter.

const GAP = "\u202f";

/** At most three significant digits: 0.052, 1.94, 43.7, 812. */
function short(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.995 || size === 0 ? 2 : 3;
  return value.toFixed(digits).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

/** 12 345 678 */
export function count(value: number): string {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, GAP);
}

/** Bytes in decimal units, as disks are sold: 1.94 MB. */
export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let scaled = value;
  let unit = 0;
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${short(scaled)} ${units[unit]}`;
}

/** A material's length, where its sender has told it. */
export function fileSize(material: { size: number; size_unknown?: boolean }): string {
  return material.size_unknown ? "size not known yet" : bytes(material.size);
}

/** A share of one: 34.2 %, <0.1 %. */
export function percent(share: number, digits = 0): string {
  const least = 10 ** -digits;
  const value = share * 100;
  if (value > 0 && value < least) return `<${least} %`;
  return `${value.toFixed(digits)} %`;
}

/** A time span in its largest fitting unit: 40 s, 3 min, 2 h, 5 days. */
export function duration(seconds: number): string {
  if (seconds < 59.5) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 3570) return `${Math.round(seconds / 60)} min`;
  if (seconds < 84_600) return `${Math.round(seconds / 3600)} h`;
  const days = Math.round(seconds / 86_400);
  return days === 1 ? "1 day" : `${count(days)} days`;
}

/** How long ago: just now, 3 min ago; the date for what is older than a month. */
export function age(then: string, now: number): string {
  const seconds = (now - Date.parse(then)) / 1000;
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 10) return "just now";
  if (seconds > 30 * 86_400) return then.slice(0, 10);
  return `${duration(seconds)} ago`;
}

/** When a material is deleted: ends in 3 min, ends when unread for 2 h; nothing where it is not said. */
export function ending(material: { expires_at?: string; idle_s?: number }, now: number): string {
  const parts: string[] = [];
  if (material.expires_at) parts.push(`in ${duration((Date.parse(material.expires_at) - now) / 1000)}`);
  if (material.idle_s) parts.push(`when unread for ${duration(material.idle_s)}`);
  return parts.length === 0 ? "" : `ends ${parts.join(" or ")}`;
}

/** A length on the slide, from micrometres: 250 nm, 50 µm, 1.2 mm. */
export function length(micrometres: number): string {
  if (Math.abs(micrometres) >= 1000) return `${short(micrometres / 1000)} mm`;
  if (Math.abs(micrometres) >= 1 || micrometres === 0) return `${short(micrometres)} µm`;
  return `${short(micrometres * 1000)} nm`;
}

/** An area on the slide, from square millimetres: 0.35 mm², 2.1 cm². */
export function area(squareMillimetres: number): string {
  if (squareMillimetres >= 100) return `${short(squareMillimetres / 100)} cm²`;
  return `${short(squareMillimetres)} mm²`;
}

/** A magnification: 0.8×, 12.5×, 40×. */
export function magnification(value: number): string {
  const digits = value < 10 ? 1 : 0;
  return `${value.toFixed(digits).replace(/\.0$/, "")}×`;
}

/** One thing, two things. */
export function plural(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}
