"""The canonical schema: tables, queries, and the SQL generated from them for both databases."""
