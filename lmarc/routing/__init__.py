"""Content classes of members, and how members are packed into chunks and groups."""
