"""The train step, distribution strategies and the loops around them."""
