// Keyboard shortcuts: one table, which the help also shows.

export interface Shortcut {
  /** As people read it: `+`, `Shift R`, `← ↑ → ↓`. */
  keys: string;
  label: string;
  /** Whether it takes the event, and what it does. */
  matches: (event: KeyboardEvent) => boolean;
  run: (event: KeyboardEvent) => void;
}

/** A shortcut for one character, as typed, whatever the layout. */
export function onKey(keys: string, label: string, characters: string[], run: (event: KeyboardEvent) => void): Shortcut {
  return { keys, label, matches: (event) => characters.includes(event.key), run };
}

export function listenForShortcuts(shortcuts: readonly Shortcut[]): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target as HTMLElement;
    const typing = target.matches("input, textarea, select, [contenteditable]");
    if (typing || document.querySelector("dialog[open]")) return;
    const shortcut = shortcuts.find((candidate) => candidate.matches(event));
    if (!shortcut) return;
    event.preventDefault();
    shortcut.run(event);
  });
}
