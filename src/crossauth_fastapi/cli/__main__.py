"""`python -m crossauth_fastapi.cli`."""

from crossauth_fastapi.cli import main

main()
