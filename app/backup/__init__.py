"""A backup of the store in one file that proves itself, and its restoring.

    make.py       store ── one snapshot ──▶ a zip file under a temporary name ── read again ──▶ FILE
    restore.py    FILE ── read to its end ──▶ a place nobody sees ── counted again ──▶ the store

    manifest.py   what the file says about itself: revision, tables, numbers of rows, SHA-256
    archive.py    the zip file: written once, read in any order, never unpacked by its names
    tables.py     which tables it has, and which are made again
    rows.py       rows of a table as lines of JSON, the same on both databases
    places.py     where a store is restored to, empty before, and seen only when it is whole
    files.py      the files beside the store: the emergency folder and the secret key
    check.py      reading a file to its end, which finds every damage
    errors.py     ``BackupError``, a sentence for the operator

A file has rows, not pages of a database. So a backup of SQLite restores into PostgreSQL and the
other way round, and a damaged page ends the backup, not the restore.
"""
