"""Floor 2: templates, ours and the application's, and the headers they are served with."""
