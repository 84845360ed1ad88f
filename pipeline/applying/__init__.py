"""A model on slides: what (inputs, model, field), prediction (reading, blending, maps), objects (cells), results."""
