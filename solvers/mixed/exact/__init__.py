"""The exact method for total latency: exhaustive search guided by configuration prices."""
