"""Users and keys in an SQL database: SQLite or PostgreSQL, through SQLAlchemy.

SQLAlchemy owns the schema, the dialects, the migrations and every query but one. The one that each request with a
session makes is compiled by it once and run on the driver, see `read.py`.
"""
