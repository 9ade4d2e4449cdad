// Repeats a task while the page is looked at.

export interface Poll {
  /** Runs the task at once instead of waiting for its turn. */
  now(): void;
  stop(): void;
}

/** Runs `task` now and again `intervalMs()` after each end; not while the tab is hidden. It never overlaps itself. */
export function poll(task: () => Promise<void>, intervalMs: () => number): Poll {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running = false;
  let again = false;
  let stopped = false;

  const turn = async (): Promise<void> => {
    clearTimeout(timer);
    if (running) {
      again = true;
      return;
    }
    running = true;
    again = false;
    await task().catch((error: unknown) => console.error("microtome:", error));
    running = false;
    if (stopped) return;
    if (again) void turn();
    else if (!document.hidden) timer = setTimeout(() => void turn(), intervalMs());
  };
  const shown = (): void => {
    if (document.hidden) clearTimeout(timer);
    else void turn();
  };

  document.addEventListener("visibilitychange", shown);
  void turn();
  return {
    now: () => void turn(),
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", shown);
    },
  };
}
