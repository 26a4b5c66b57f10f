"""The trusted core: everything that a theorem rests on is in this folder, in what it reads, and in SymPy's arithmetic of symbols.

What it reads: ``terms`` and ``formulas`` (what can be said), ``binding`` (equality up to bound names, substitution), ``functions``
(definitions as data). In this folder: ``theorem`` the sealed object and its log, ``algebra`` when two terms are equal by field
arithmetic and exp(a+b) = exp(a)·exp(b), ``equality`` the rules of equational logic, ``folds`` of sums and maxima, ``analysis`` the named
axioms, ``definitions`` named functions in force. Tactics, derivations and printing live outside and can only call these rules.
"""
