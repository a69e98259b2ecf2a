// What the pages can do better where scripts run. They all work without.
(() => {
  "use strict";
  const text = document.currentScript.dataset;
  const all = (selector) => document.querySelectorAll(selector);

  // Passwords can be shown while they are typed, and are hidden again before they are sent.
  for (const input of all('input[type="password"]')) {
    const button = document.createElement("button");
    const label = input.labels[0]?.firstChild.textContent.trim();
    // A new password that can be read need not be typed twice.
    const again = input.autocomplete === "new-password" && !input.name.startsWith("repeat_")
      ? input.form?.querySelector(`[name="repeat_${/password$/.test(input.name) ? "password" : input.name}"]`)
      : null;
    const repeat = () => {
      if (again && input.type === "text") again.value = input.value;
    };
    const show = (shown) => {
      input.type = shown ? "text" : "password";
      button.textContent = shown ? text.hide : text.show;
      button.setAttribute("aria-label", `${button.textContent}: ${label}`);
      if (again) again.closest(".field").hidden = shown;
      repeat();
    };
    input.addEventListener("input", repeat);
    button.type = "button";
    button.className = "reveal";
    button.setAttribute("aria-controls", input.id);
    button.addEventListener("click", () => show(input.type === "password"));
    input.form?.addEventListener("submit", () => show(false));
    const box = document.createElement("div");
    const focused = document.activeElement === input;
    box.className = "password";
    input.replaceWith(box);
    box.append(input, button);
    show(false);
    if (focused) input.focus();
  }

  // Keys and codes can be copied and printed.
  for (const button of navigator.clipboard ? all("[data-copy]") : []) {
    const lines = () => {
      const from = document.getElementById(button.dataset.copy);
      const items = [...from.querySelectorAll("li")];
      return (items.length ? items : [from]).map((item) => item.textContent.trim()).join("\n");
    };
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(lines());
      button.textContent = text.copied;
    });
  }
  for (const button of all("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }

  // Until a new code can be asked for.
  for (const hint of all("[data-wait]")) {
    const button = hint.parentElement.querySelector("button");
    let left = Number(hint.dataset.wait);
    const count = () => {
      button.disabled = left > 0;
      hint.textContent = hint.dataset.text.replace("{n}", String(left));
      if (left-- > 0) setTimeout(count, 1000);
      else hint.remove();
    };
    count();
  }
})();
