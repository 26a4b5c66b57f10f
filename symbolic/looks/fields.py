"""Towers of prime fields in which exp, sin, cos and √ have a meaning.

What it does: a value lives modulo a prime p. The exponent of an exp lives modulo another prime q that divides p − 1, where a random
element g of order q makes exp(a) = gᵃ a homomorphism; an angle lives modulo a prime r that divides p + 1, where a random point of
order r on the circle c² + s² = 1 makes (cos a, sin a) one. Both q and r have primes below them in turn, to a depth of three.

Why that is sound: over the reals, exponents and values are tied by nothing but exp(a + b) = exp(a)·exp(b), so an identity that follows
from the laws of fields and of exp holds for *any* ring homomorphism of the values and *any other* of the exponents. An atom therefore
has an independent random value in each field, also when it stands inside and outside of an exp.

Signs: all primes are 3 modulo 4, so of a and −a exactly one is a square: squares stand for positive numbers. Products, quotients, values
of exp and roots of positive numbers are positive, as they are numbers over 2, 3, 5, 7, 11 and 13; *sums need not be*, which is why looks
redraw. The root of a square is the one that is a square itself, so √(ab) = √a·√b.
"""

from __future__ import annotations

from dataclasses import dataclass

#: level by level from below: a prime for exponents and one for angles; the last level has one, for values
_LEVELS: tuple[tuple[tuple[int, ...], ...], ...] = (
    (
        (
            1377117524463237311,
            1932990278944105631,
        ),
        (
            27869723800533932162637070328792462714506151,
            34965004569996982391134140831935737961997191,
        ),
        (
            5371067684254286843608333634163938305379984197874420528141230914687428037042304869090613359551,
            11411971236549626826325551578656562666616707995650778256266597039156698966922791645894650086751,
        ),
        (
            int(
                "2702545397385095325937206122382946982930864864695318462323941732078365172959651364597264096790598261"
                "56947671036170276746159702451535616871601886500419964391215200304117813873724001902519072649359"
            ),
        ),
    ),
    (
        (
            1678810944579857591,
            1975432240522642919,
        ),
        (
            53879139671430992241132347590056835635834839,
            18303989308385322276386221076999051826661391,
        ),
        (
            2903915099744995339712155183009662200598995182308465816103619839167380698871123693102097076991,
            14427107728822944200223139208388192306964090754543220991303064736867713814101505176231954012591,
        ),
        (
            int(
                "3062129194419350811271599357140317509670679304944419609054152302916101057630216423895256727185637925"
                "81791904592997687878113205728199026855701878628634451988166938513097563290184339186423843352119"
            ),
        ),
    ),
)


@dataclass(frozen=True, eq=False)
class Field:
    """The integers modulo a prime, with the fields of exponents and of angles, if there are any below."""

    name: str
    prime: int
    exponents: Field | None = None
    angles: Field | None = None

    def inverse(self, value: int) -> int:
        """1/value, 0 for 0."""
        return pow(value, -1, self.prime) if value % self.prime else 0

    def is_square(self, value: int) -> bool:
        """Whether a value other than 0 is a square: stands for a positive number."""
        return pow(value, (self.prime - 1) // 2, self.prime) == 1

    def root(self, square: int) -> int:
        """The root of a square that is a square."""
        return pow(square, (self.prime + 1) // 4, self.prime)

    def unit(self, dice: int) -> int:
        """An element whose order is the prime of the exponents, from a random number."""
        assert self.exponents is not None
        found = pow(dice % self.prime, (self.prime - 1) // self.exponents.prime, self.prime)
        return found if found > 1 else self.unit(dice + 1)

    def point(self, dice: int) -> tuple[int, int]:
        """A point of the circle whose order is the prime of the angles, from a random number: (t + i)^(p−1), then the cofactor."""
        assert self.angles is not None
        t, p = dice % self.prime, self.prime
        size = self.inverse(t * t + 1)
        on_circle = ((t * t - 1) * size % p, 2 * t * size % p)
        found = self.turned(on_circle, (p + 1) // self.angles.prime)
        return found if found != (1, 0) else self.point(dice + 1)

    def turned(self, point: tuple[int, int], times: int) -> tuple[int, int]:
        """A point of the circle turned that many times: the cosine and sine of the multiple angle."""
        result, base, p = (1, 0), point, self.prime
        while times:
            if times & 1:
                result = ((result[0] * base[0] - result[1] * base[1]) % p, (result[0] * base[1] + result[1] * base[0]) % p)
            base = ((base[0] * base[0] - base[1] * base[1]) % p, 2 * base[0] * base[1] % p)
            times >>= 1
        return result


def _towers(number: int) -> tuple[Field, ...]:
    """Fields with none, one, two and three levels below."""
    below: list[Field] = []
    found = []
    for height, level in enumerate(_LEVELS[number]):
        below = [Field(f"{number}/{height}/{place}", prime, *below) for place, prime in enumerate(level)]
        found.append(below[0])
    return tuple(found)


#: two choices of primes; in each, fields by the number of levels below
TOWERS = tuple(_towers(number) for number in range(len(_LEVELS)))
