"""Terms, the trusted core, and the derivations and theorems of the phases. Knows no arrays."""
