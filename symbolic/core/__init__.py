"""The trusted core: everything that a theorem rests on is in this folder, and SymPy's arithmetic of commuting symbols.

``formulas`` what can be stated, ``theorem`` the sealed object, ``algebra`` when two terms are equal by field arithmetic and
exp(a+b) = exp(a)·exp(b), ``equality`` the rules of equational logic, ``folds`` of sums and maxima, ``analysis`` the named axioms,
``definitions`` named functions. Tactics, derivations and printing live outside and can only call these rules.
"""
