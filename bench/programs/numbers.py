"""Arithmetic: floats in loops, integers of many digits, lists of lists."""
import math


def spectral(size):
    u = [1.0] * size
    for _ in range(4):
        v = [sum(u[j] / ((i + j) * (i + j + 1) / 2 + i + 1) for j in range(size)) for i in range(size)]
        u = [sum(v[j] / ((i + j) * (i + j + 1) / 2 + j + 1) for j in range(size)) for i in range(size)]
    return math.sqrt(sum(a * b for a, b in zip(u, v)) / sum(a * a for a in v))


def digits_of_pi(count):
    q, r, t, k, n, l = 1, 0, 1, 1, 3, 3
    digits = []
    while len(digits) < count:
        if 4 * q + r - t < n * t:
            digits.append(n)
            q, r, n = 10 * q, 10 * (r - n * t), 10 * (3 * q + r) // t - 10 * n
        else:
            q, r, t, k, n, l = q * k, (2 * q + r) * l, t * l, k + 1, (q * (7 * k + 2) + r * l) // (t * l), l + 2
    return "".join(map(str, digits))


def primes(limit):
    sieve = [True] * limit
    for n in range(2, int(limit**0.5) + 1):
        if sieve[n]:
            for multiple in range(n * n, limit, n):
                sieve[multiple] = False
    return sum(n for n in range(2, limit) if sieve[n])


print(f"{spectral(240):.12f}", digits_of_pi(1200)[-10:], primes(2000000))
