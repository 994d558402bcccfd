"""What a fit is worth: checks of the sampler, of the model against the data, summaries, leave-one-out."""
