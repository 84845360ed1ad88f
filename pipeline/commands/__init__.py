"""What a person runs beside DVC."""
