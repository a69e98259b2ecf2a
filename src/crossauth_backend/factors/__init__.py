"""Ways to prove who one is. One folder per factor; nothing here knows sessions or the web."""
