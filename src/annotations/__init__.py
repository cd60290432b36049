"""Label recorded sessions with ground truth."""
