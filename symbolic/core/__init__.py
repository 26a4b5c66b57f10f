"""The trusted core: everything that a theorem rests on is in this folder, in what it reads, and in SymPy's arithmetic of symbols.

What it reads: ``terms`` and ``formulas`` (what can be said), ``binding`` (equality up to bound names, substitution), ``functions``
(definitions as data). In this folder: ``theorem`` the sealed object and its log, ``logic`` the rules of equality, hypotheses, "for all",
cases and induction, ``algebra`` when two terms are equal by field arithmetic and exp(a+b) = exp(a)·exp(b), ``definitions`` named functions
in force, ``laws`` the table of what is taken without proof. Tactics, derivations and printing live outside and can only call these rules.
"""
