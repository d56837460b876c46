"""The object store that speaks S3."""
