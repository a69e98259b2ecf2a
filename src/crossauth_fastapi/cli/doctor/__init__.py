"""`crossauth doctor`: what is wrong with a configuration, why it matters, and how to fix it.

`collect.py` reads an application and its environment into a `Snapshot`; the rules are functions of it, one table in each
`rules_*.py`; `command.py` prints what they find.
"""
