"""The library: instances with the best known schedule, the best proved bound, and its proof."""
