"""Tactics: functions that find the next step and have the core prove it; whatever is wrong in them cannot make a theorem.

``rewriting`` combines conversions, ``sums`` moves sums about, ``signs`` shows that something is positive, ``induction`` proves for
every size, ``calculus`` differentiates.
"""
