"""Who can sign in: the record, its states, the rules, and what a storage of users must do."""
