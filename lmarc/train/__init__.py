"""Train models from text; nothing that reads or writes archives imports this."""
