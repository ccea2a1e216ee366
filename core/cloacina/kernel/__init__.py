"""The loop that moves a runner's executions: take what arrived, step, commit, carry out."""
