"""The towers: primes that divide as they must, homomorphisms, and signs that multiply."""

from __future__ import annotations

import random

import pytest
import sympy

from kernelproof.symbolic.looks.fields import TOWERS, Field

FIELDS = [field for tower in TOWERS for field in tower]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_primes(field: Field) -> None:
    assert sympy.isprime(field.prime) and field.prime % 4 == 3 and field.prime > 2**60
    assert all(field.is_square(small) for small in (2, 3, 5, 7, 11, 13)) and not field.is_square(field.prime - 1)
    if field.exponents is not None and field.angles is not None:
        assert (field.prime - 1) % field.exponents.prime == 0 and (field.prime + 1) % field.angles.prime == 0
        assert field.exponents.prime != field.angles.prime


@pytest.mark.parametrize("field", [field for field in FIELDS if field.exponents], ids=lambda field: field.name)
def test_exp_and_angles_are_homomorphisms(field: Field) -> None:
    assert field.exponents is not None and field.angles is not None
    rng, p = random.Random(field.name), field.prime
    unit, point = field.unit(rng.randrange(p)), field.point(rng.randrange(p))
    a, b = (rng.randrange(field.exponents.prime) for _ in range(2))
    assert pow(unit, (a + b) % field.exponents.prime, p) == pow(unit, a, p) * pow(unit, b, p) % p != pow(unit, a, p)
    assert field.is_square(pow(unit, a, p))
    q = field.angles.prime
    (c, s), (c2, s2), (c3, s3) = (field.turned(point, times % q) for times in (a, b, a + b))
    assert (c * c + s * s) % p == 1 and c3 == (c * c2 - s * s2) % p and s3 == (s * c2 + c * s2) % p
    assert field.turned(point, q) == (1, 0) != point


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_roots_multiply_and_are_positive(field: Field) -> None:
    rng, p = random.Random(1), field.prime
    a, b = (rng.randrange(p) ** 2 % p for _ in range(2))
    assert field.root(a) ** 2 % p == a and field.is_square(field.root(a))
    assert field.root(a * b % p) == field.root(a) * field.root(b) % p
    assert field.inverse(0) == 0 and field.inverse(a) * a % p == 1


def test_levels_are_different_fields() -> None:
    assert len({field.prime for field in FIELDS}) == len(FIELDS) == 8
