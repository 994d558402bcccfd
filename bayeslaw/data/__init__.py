"""Tables in: read, filtered, joined and validated into a dataset of one row an observation; pass@k from counts, loss curves, windows of rows."""
