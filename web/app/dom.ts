// The few lines that build elements.

export type Child = Node | string | false | null | undefined;
type Listener = (event: never) => void;
type Props = Record<string, string | number | boolean | undefined | Listener>;

/** An element with attributes (`class`, `aria-label`, …), listeners (`onclick`, …) and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key.slice(2), value as unknown as EventListener);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.filter((child): child is Node | string => child !== false && child != null));
  return element;
}

/** Writes only what changed: screen readers and selections stay undisturbed. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows or hides. */
export function setShown(element: HTMLElement, shown: boolean): void {
  if (element.hidden === shown) element.hidden = !shown;
}

/** A list whose rows keep their elements while the data behind them changes. */
export class KeyedList<T, R extends { element: HTMLElement; update(item: T): void }> {
  private rows = new Map<string, R>();

  constructor(
    private readonly parent: HTMLElement,
    private readonly key: (item: T) => string,
    private readonly create: (item: T) => R,
  ) {}

  show(items: readonly T[]): void {
    const rows = new Map<string, R>();
    let place: Element | null = this.parent.firstElementChild;
    for (const item of items) {
      const key = this.key(item);
      const row = this.rows.get(key) ?? this.create(item);
      row.update(item);
      rows.set(key, row);
      if (row.element === place) place = place.nextElementSibling;
      else this.parent.insertBefore(row.element, place);
    }
    for (const [key, row] of this.rows) {
      if (!rows.has(key)) row.element.remove();
    }
    this.rows = rows;
  }
}
