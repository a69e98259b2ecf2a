"""What can be done with an account: sign in, sign up, change a password, change a profile, leave."""
