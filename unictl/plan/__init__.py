"""Plans: compares the desired fleet with the live state and produces the steps and refusals of one apply. Pure: no
input, no output, no clock.

Folders, each importing only those before it: model, context, ingress, reconcile, rollout, guards, progress,
estimates, file, whatif. `planner` is the pipeline over all of them.
"""
