"""Does a model hold on one's own slides? What `lobule apply --truth` compares, counts and reports."""
