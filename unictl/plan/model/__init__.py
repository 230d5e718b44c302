"""The values a plan consists of: plan, change, step, revision, options, reason. No logic."""
