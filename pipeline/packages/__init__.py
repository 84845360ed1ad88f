"""A trained model as a folder that works elsewhere, without Lobule: `lobule export`, no stage."""
