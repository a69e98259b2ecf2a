"""Keys that programs present instead of a login."""
