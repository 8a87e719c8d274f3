"""Ascent of Lagrangian duals."""
