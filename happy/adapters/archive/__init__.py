"""Backups: one file that holds every row and every uploaded file (docs/backup-format.md)."""
