"""One action, two answers: one handler behind a page and a JSON endpoint. The servers define their actions with it."""
