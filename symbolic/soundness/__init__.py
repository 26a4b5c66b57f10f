"""Attempts to refute the core: the meaning of terms evaluated independently, random worlds, and false neighbours of every theorem."""
