"""Logs of serving engines: when each request arrived, and got its first and its last token."""
