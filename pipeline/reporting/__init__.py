"""What a report is made of: results, tables, figures, pictures, templates and the published figures."""
