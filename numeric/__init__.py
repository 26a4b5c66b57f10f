"""From the last line of a derivation to numbers: array programs, printers, and the interpreter that carries error bounds."""
