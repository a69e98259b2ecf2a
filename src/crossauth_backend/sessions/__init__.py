"""Sessions: the cookie that carries one, the token that protects it, the rules that keep it alive, the keys behind it."""
