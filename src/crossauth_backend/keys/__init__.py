"""Everything the library stores under a name nobody can guess: sessions, tokens, codes."""
