"""Compares the four models pairwise, by other means than assay: writes reference.json beside this file.

Python's standard library alone. From the publishers' labels, for every pair of models in the order of the suite:

- exact and mid-p values of McNemar's test as fractions of whole numbers, rounded once at the end
- the interval of the difference by inverting the score test, where the restricted maximum of the likelihood is found by
  bisection of its derivative and not by Tango's closed form
- the interval of each rate by inverting the score test for one proportion, not by Wilson's closed form

    python3 reference.py
"""

import itertools
import json
import math
from fractions import Fraction
from pathlib import Path
from statistics import NormalDist

HERE = Path(__file__).parent
MODELS = ["6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"]
Z = NormalDist().inv_cdf(0.975)


def bisect(low, high, is_left):
    """The point of [low, high] where `is_left` turns from true to false."""
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if is_left(middle) else (low, middle)
    return (low + high) / 2


def rate_interval(passed, n):
    z = lambda p: (passed / n - p) / math.sqrt(p * (1 - p) / n)
    rate = passed / n
    return [bisect(1e-15, rate, lambda p: z(p) > Z), bisect(rate, 1 - 1e-15, lambda p: z(p) > -Z)]


def score(lost, gained, n, theta):
    """The score statistic of H0: gained - lost = theta, with the share of lost cases at its restricted maximum."""
    rest = n - lost - gained
    lowest, highest = max(0.0, -theta), (1 - theta) / 2
    slope = lambda q: lost / q + gained / (q + theta) - 2 * rest / (1 - 2 * q - theta)
    margin = (highest - lowest) * 1e-15
    q = bisect(lowest + margin, highest - margin, lambda q: slope(q) > 0)
    variance = (2 * q + theta - theta * theta) / n
    return ((gained - lost) / n - theta) / math.sqrt(variance)


def difference_interval(lost, gained, n):
    difference = (gained - lost) / n
    low = bisect(-1 + 1e-9, difference, lambda theta: score(lost, gained, n, theta) > Z)
    high = bisect(difference, 1 - 1e-9, lambda theta: score(lost, gained, n, theta) > -Z)
    return [low, high]


def mcnemar(lost, gained):
    n, k = lost + gained, min(lost, gained)
    mass = lambda i: Fraction(math.comb(n, i), 2**n)
    exact = min(Fraction(1), 2 * sum(mass(i) for i in range(k + 1)))
    mid_p = 1 - mass(k) / 2 if lost == gained else exact - mass(k)
    return float(exact), float(mid_p)


def main():
    labels = [json.loads(line) for line in (HERE / "labels.jsonl").read_text().splitlines()]
    n = len(labels)
    pairs = []
    for before, after in itertools.combinations(MODELS, 2):
        lost = sum(label[before] and not label[after] for label in labels)
        gained = sum(label[after] and not label[before] for label in labels)
        rates = [sum(label[model] for label in labels) for model in (before, after)]
        exact, mid_p = mcnemar(lost, gained)
        pairs.append(
            {
                "before": before,
                "after": after,
                "cases": n,
                "passed": rates,
                "rate_intervals": [rate_interval(passed, n) for passed in rates],
                "regressed": lost,
                "improved": gained,
                "difference": (gained - lost) / n,
                "interval": difference_interval(lost, gained, n),
                "p": mid_p,
                "p_exact": exact,
            }
        )
    (HERE / "reference.json").write_text(json.dumps(pairs, indent=1) + "\n")


main()
