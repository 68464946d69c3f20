"""lmarc for other libraries. Each module imports the library it serves."""
