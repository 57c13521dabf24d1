"""Resources, their immutable versions, quality, classification and grading."""
