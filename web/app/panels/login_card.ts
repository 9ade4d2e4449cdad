// Who may look asks here: by name and password, or with a token that they were given.

import { logIn } from "../api/login.ts";
import { Problem, asProblem } from "../api/problem.ts";
import { keepToken } from "../api/token.ts";
import { h, setShown, setText } from "../dom.ts";
import { icon } from "../icons.ts";

export function loginCard(problem: Problem): HTMLElement {
  const name = h("input", { name: "name", "aria-label": "Name", autocomplete: "username", placeholder: "Name", required: true });
  const password = h("input", {
    name: "password",
    type: "password",
    "aria-label": "Password",
    autocomplete: "current-password",
    placeholder: "Password",
    required: true,
  });
  const enter = h("button", { class: "button primary" }, "Log in");
  const refused = h("p", { class: "way-out refused", role: "alert" });
  setShown(refused, false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    enter.disabled = true;
    try {
      await logIn(name.value, password.value);
      location.reload();
    } catch (thrown) {
      const { title, wayOut } = asProblem(thrown, location.origin);
      setText(refused, `${title}. ${wayOut}`);
      setShown(refused, true);
      enter.disabled = false;
      password.select();
    }
  };

  const token = h("input", { type: "password", "aria-label": "Token", autocomplete: "off", placeholder: "Token", required: true });
  const use = (event: SubmitEvent): void => {
    event.preventDefault();
    keepToken(token.value.trim());
    location.reload();
  };
  // Whoever comes for the first time is told nothing of tokens; whose login or token has ended is told so.
  const isNew = problem.code === "unauthorized";
  return h(
    "div",
    { class: "card-large problem", "data-code": problem.code },
    h("div", { class: "emblem" }, icon("slide")),
    h("h1", {}, "Log in"),
    !isNew && h("p", {}, `${problem.title}: ${problem.detail}`),
    h("form", { class: "login", onsubmit: (event: SubmitEvent) => void submit(event) }, name, password, enter),
    refused,
    h(
      "details",
      { class: "with-token" },
      h("summary", {}, "With a token instead"),
      h("form", { class: "token", onsubmit: use }, token, h("button", { class: "button" }, "Use it")),
    ),
  );
}
