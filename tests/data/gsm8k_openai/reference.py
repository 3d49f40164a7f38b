"""Compares the four models pairwise with statsmodels and scipy: writes reference.json beside this file.

From the publishers' labels, for every pair of models in the order of the suite:

- the interval of each rate: statsmodels' proportion_confint, Wilson's
- McNemar's test: statsmodels' mcnemar for the exact p-value; the mid-p value from scipy's binomial distribution
- the interval of the difference: neither library has the score interval of paired rates, so the score test is inverted by
  scipy's brentq, and the restricted maximum of the likelihood in it found by brentq too and not by Tango's closed form

reference.json was made by statsmodels 0.15.0 and scipy 1.17.1:

    pip install statsmodels==0.15.0 scipy==1.17.1
    python3 reference.py
"""

import itertools
import json
from pathlib import Path

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, norm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

HERE = Path(__file__).parent
MODELS = ["6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"]
CONFIDENCE = 0.95
Z = norm.ppf((1 + CONFIDENCE) / 2)
# Roots are found as far as a double can tell.
EXACTLY = {"xtol": 1e-15, "rtol": 4 * np.finfo(float).eps}


def rate_interval(passed, n):
    return [float(end) for end in proportion_confint(passed, n, alpha=1 - CONFIDENCE, method="wilson")]


def score(lost, gained, n, theta):
    """The score statistic of H0: gained - lost = theta, with the share of lost cases at its restricted maximum."""
    same = n - lost - gained
    slope = lambda q: lost / q + gained / (q + theta) - 2 * same / (1 - 2 * q - theta)
    lowest, highest = max(0.0, -theta), (1 - theta) / 2
    edge = (highest - lowest) * 1e-9
    q = brentq(slope, lowest + edge, highest - edge, **EXACTLY)
    return ((gained - lost) / n - theta) / np.sqrt((2 * q + theta - theta**2) / n)


def difference_interval(lost, gained, n):
    difference = (gained - lost) / n
    end = lambda z, low, high: brentq(lambda theta: score(lost, gained, n, theta) - z, low, high, **EXACTLY)
    return [end(Z, -0.999, difference), end(-Z, difference, 0.999)]


def mid_p(lost, gained):
    discordant, fewer = lost + gained, min(lost, gained)
    if lost == gained:
        return float(1 - binom.pmf(fewer, discordant, 0.5) / 2)
    return float(2 * binom.cdf(fewer, discordant, 0.5) - binom.pmf(fewer, discordant, 0.5))


def main():
    labels = [json.loads(line) for line in (HERE / "labels.jsonl").read_text().splitlines()]
    n = len(labels)
    pairs = []
    for before, after in itertools.combinations(MODELS, 2):
        old, new = ([bool(label[model]) for label in labels] for model in (before, after))
        table = [[sum(a == x and b == y for a, b in zip(old, new)) for y in (True, False)] for x in (True, False)]
        lost, gained = table[0][1], table[1][0]
        pairs.append(
            {
                "before": before,
                "after": after,
                "cases": n,
                "passed": [sum(old), sum(new)],
                "rate_intervals": [rate_interval(sum(old), n), rate_interval(sum(new), n)],
                "regressed": lost,
                "improved": gained,
                "difference": (gained - lost) / n,
                "interval": difference_interval(lost, gained, n),
                "p": mid_p(lost, gained),
                "p_exact": float(mcnemar(table, exact=True).pvalue),
            }
        )
    (HERE / "reference.json").write_text(json.dumps(pairs, indent=1) + "\n")


main()
