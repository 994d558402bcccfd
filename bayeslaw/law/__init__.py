"""Laws as data: formulas against a closed table, model files, their priors, schedules of the learning rate, and the law evaluated on rows.

Nothing here knows of tables or samplers.
"""
