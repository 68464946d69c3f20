"""One chunk: content to payload and back. Import its modules: this one imports nothing."""
