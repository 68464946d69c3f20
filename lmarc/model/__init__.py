"""Integer models as data: their file format, where they are found, and what predictors read."""
