// A login with name and password: its access token is the page's token, and is changed for the next one while the page is open.

import { problemFrom } from "./problem.ts";
import { LOGIN_KEY as KEY, forgetToken, keepToken } from "./token.ts";

/** Time that the coordinator gets for an answer. */
const ANSWER_WITHIN_MS = 8_000;
/** An access token is changed so long before it ends. */
const MARGIN_MS = 120_000;
/** Where no coordinator answers, it is tried again after this. */
const AGAIN_AFTER_MS = 5_000;

/** What is kept of a login, for this tab only. */
interface Kept {
  name: string;
  refresh: string;
  endsAtMs: number;
}

interface Answer {
  access_token: string;
  expires_in_s: number;
  refresh_token: string;
  user: { name: string };
}

/** What one tab tells the others: a tab that was made as a copy of another has the same login. */
interface News {
  old: string;
  answer: Answer;
}

/** Throws the server's problem where it refuses. */
export async function logIn(name: string, password: string): Promise<void> {
  keep(await ask("/v1/login", { name, password }));
}

/** Who is logged in by name and password; nobody where the token came from elsewhere. */
export function loggedInAs(): string | undefined {
  return kept()?.name;
}

/** The login ends, here and at the cluster. */
export async function logOut(authorization: Record<string, string>): Promise<void> {
  forget();
  // Where nobody answers, it ends there by itself.
  await fetch("/v1/logout", { method: "POST", headers: authorization }).catch(() => undefined);
}

/** Keeps the login fresh while the page is open. What has ended by now is refreshed first. */
export async function keepLoggedIn(): Promise<void> {
  const others = new BroadcastChannel(KEY);
  others.onmessage = ({ data }: MessageEvent<News>) => {
    if (kept()?.refresh === data.old) keep(data.answer);
  };
  const look = async (): Promise<void> => {
    const wait = await refreshWhereDue(others);
    setTimeout(() => void look(), wait);
  };
  await look();
}

/** When it is to be looked again. */
async function refreshWhereDue(others: BroadcastChannel): Promise<number> {
  const login = kept();
  const left = (login?.endsAtMs ?? Infinity) - MARGIN_MS - Date.now();
  // A machine that slept wakes with timers that come late: it is looked often.
  if (login === undefined || left > 0) return Math.min(Math.max(left, 1_000), 30_000);
  try {
    const answer = await ask("/v1/login/refresh", { refresh_token: login.refresh });
    // Another tab may have been faster.
    if (kept()?.refresh === login.refresh) keep(answer);
    others.postMessage({ old: login.refresh, answer } satisfies News);
    return 1_000;
  } catch (thrown) {
    const status = thrown instanceof Error && "status" in thrown ? thrown.status : 0;
    if (status !== 401 && status !== 403) return AGAIN_AFTER_MS;
    if (kept()?.refresh === login.refresh) forget();
    return AGAIN_AFTER_MS;
  }
}

async function ask(path: string, body: unknown): Promise<Answer> {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  });
  if (!response.ok) throw await problemFrom(response);
  return (await response.json()) as Answer;
}

function keep(answer: Answer): void {
  const login: Kept = {
    name: answer.user.name,
    refresh: answer.refresh_token,
    endsAtMs: Date.now() + answer.expires_in_s * 1000,
  };
  sessionStorage.setItem(KEY, JSON.stringify(login));
  keepToken(answer.access_token);
}

function kept(): Kept | undefined {
  const text = sessionStorage.getItem(KEY);
  return text === null ? undefined : (JSON.parse(text) as Kept);
}

function forget(): void {
  sessionStorage.removeItem(KEY);
  forgetToken();
}
