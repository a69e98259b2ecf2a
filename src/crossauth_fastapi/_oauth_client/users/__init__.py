"""Who somebody is here whom an ID token names."""
