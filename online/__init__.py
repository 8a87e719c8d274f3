"""Decisions without the future: simulator, policies, evaluation against hindsight."""
