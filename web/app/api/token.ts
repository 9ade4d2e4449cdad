// The access token, where the cluster asks for one. It comes once in the page's address (`?token=…`), is kept for this
// tab only, and leaves the address bar, so that a copied link does not give it away.

const KEY = "microtome.token";
/** What is kept of a login, whose access token it is then. */
export const LOGIN_KEY = "microtome.login";

/** Moves a token from the page's address into this tab's storage. */
export function takeTokenFromAddress(): void {
  const address = new URL(location.href);
  const given = address.searchParams.get("token");
  if (given === null) return;
  // Whose token it is, nothing of a login before goes on.
  sessionStorage.removeItem(LOGIN_KEY);
  keepToken(given);
  address.searchParams.delete("token");
  history.replaceState(history.state, "", address);
}

export function keepToken(token: string): void {
  sessionStorage.setItem(KEY, token);
}

export function forgetToken(): void {
  sessionStorage.removeItem(KEY);
}

export function token(): string | undefined {
  return sessionStorage.getItem(KEY) || undefined;
}

/** The address with a token in its query: for tiles and images, which then need no preflight request. */
export function withToken(url: string, given: string | undefined): string {
  if (given === undefined) return url;
  return `${url}${url.includes("?") ? "&" : "?"}token=${encodeURIComponent(given)}`;
}

export function authorization(): Record<string, string> {
  const kept = token();
  return kept === undefined ? {} : { Authorization: `Bearer ${kept}` };
}
