"""Many fits that answer one question: back-tests, stacking, comparison and stability."""
