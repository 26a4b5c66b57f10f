"""Looks: ways of looking at a theorem that are no proof and share nothing with the rules that proved it."""
