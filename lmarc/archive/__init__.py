"""Archives: what stands between files, records and storage."""
