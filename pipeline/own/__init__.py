"""A study of one's own data: what lies there is understood, shown and written down; nothing of the data is changed."""
