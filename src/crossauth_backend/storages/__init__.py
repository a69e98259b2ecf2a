"""Where users and keys are kept: one folder per kind of storage, one file per thing stored."""
