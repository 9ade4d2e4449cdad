// Which material the page's address names.

const VIEW = /^\/view\/([a-z0-9-]+)\/?$/;

export function materialInAddress(path: string): string | undefined {
  return VIEW.exec(path)?.[1];
}

/** Follows clicks on links to materials, and back and forward, without loading the page anew. */
export function followAddress(open: (id: string | undefined) => void): { go: (path: string) => void } {
  const show = (): void => open(materialInAddress(location.pathname));
  const go = (path: string): void => {
    if (path === location.pathname) return;
    history.pushState(null, "", path);
    show();
  };
  document.addEventListener("click", (event) => {
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    const link = (event.target as Element).closest<HTMLAnchorElement>("a[href^='/']");
    if (!plain || !link || link.target || event.defaultPrevented) return;
    if (link.pathname !== "/" && materialInAddress(link.pathname) === undefined) return;
    event.preventDefault();
    go(link.pathname);
  });
  window.addEventListener("popstate", show);
  return { go };
}
