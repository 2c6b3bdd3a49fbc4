"""Reads and changes the database of a document store behind the store's back."""

import sqlite3

MEGABYTE = 1_000_000


def database(directory):
    return sqlite3.connect(directory / "cache.db", isolation_level=None)


def execute(directory, statement, values=()):
    connection = database(directory)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()
