"""The ends of what each kind of vector can be given, with answers from scipy, statsmodels, exact fractions, or formulas written out
a step at a time. Writes variants.jsonl into the working folder, which was made by statsmodels 0.15.0 and scipy 1.17.1:

    pip install statsmodels==0.15.0 scipy==1.17.1
    python3 reference.py
"""

import hashlib
import hmac
import itertools
import json
import math
from fractions import Fraction

import numpy as np
from scipy import optimize, stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

lines = []


def add(kind, given, expected, tol=1e-9):
    number = 1 + sum(line["kind"] == kind for line in lines)
    def plain(value):
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items()}
        if isinstance(value, (list, tuple, np.ndarray)):
            return [plain(each) for each in value]
        if isinstance(value, (float, np.floating)):
            return float(value) if math.isfinite(value) else None
        if isinstance(value, np.integer):
            return int(value)
        return bool(value) if isinstance(value, np.bool_) else value
    lines.append({"id": f"{kind}-variant-{number:02}", "kind": kind, "input": plain(given), "expect": plain(expected), "tol": tol})


# Rates.
for k, n, conf in [(0, 0, 0.95), (0, 1, 0.95), (1, 1, 0.99), (1, 2, 0.8), (0, 100_000, 0.95), (99_999, 100_000, 0.999), (3, 1_000_000, 0.95)]:
    for kind, method in [("wilson", "wilson"), ("clopper_pearson", "beta")]:
        low, high = proportion_confint(k, n, 1 - conf, method) if n else (0.0, 1.0)
        low, high = (0.0 if k == 0 else low), (1.0 if k == n else high)
        add(kind, {"k": k, "n": n, "conf": conf}, {"lower": low, "upper": high})


# Means of clusters.
def clustered(y, cluster):
    groups = len(set(cluster))
    se = None
    if groups > 1:
        names = {name: at for at, name in enumerate(dict.fromkeys(cluster))}
        fit = OLS(np.array(y, float), np.ones(len(y))).fit(cov_type="cluster", cov_kwds={"groups": [names[c] for c in cluster]})
        se = float(fit.bse[0])
        se = 0.0 if se < 1e-15 else se
    return float(np.mean(y)), groups, se


def t_interval(mean, se, df, conf):
    half = None if se is None else stats.t.ppf((1 + conf) / 2, df) * se
    return (None, None) if half is None else (mean - half, mean + half)


CLUSTERS = [
    ([1, 1, 1, 1], "aabb"),
    ([1], "a"),
    ([1, 0, 1], "aaa"),
    ([1, 0, 0, 1, 1, 0], "abcdef"),
    ([1, 0, 0, 1, 1, 0], "aabbcc"),
    ([0.25, 0.5, 1.0, 0.0, 0.75], "abbab"),
    ([1, 1, 0, 0, 1, 1, 0, 0], "aabbccdd"),
]
for (y, cluster), conf in itertools.product(CLUSTERS, [0.9]):
    cluster = list(cluster)
    (mean, groups, se), n = clustered(y, cluster), len(y)
    iid = stats.sem(y) if n > 1 else None
    known = se is not None and len(set(y)) > 1
    neff = n / max(1.0, (se / iid) ** 2) if known else groups
    low, high = t_interval(mean, se, groups - 1, conf)
    expected = {"mean": mean, "n": n, "G": groups, "se_iid": iid, "se_clustered": se, "deff": n / neff, "neff": neff, "t_lo": low, "t_hi": high}
    expected["se_clustered_miller_no_correction"] = None if se is None else se * math.sqrt((groups - 1) / groups)
    for name, method in [("wilson_neff", "wilson"), ("korn_graubard", "beta")]:
        low, high = proportion_confint(mean * neff, neff, 1 - conf, method)
        expected |= {f"{name}_lo": 0.0 if mean == 0 else low, f"{name}_hi": 1.0 if mean == 1 else high}
    add("clustered_mean", {"y": y, "cluster": cluster, "conf": conf}, expected)

for d, cluster, margin in [
    ([0] * 6, "aabbcc", 0.02),
    ([-1] * 6, "aabbcc", 0.02),
    ([1] * 3, "abc", 0.0),
    ([0, 1, 1, 0], "aabb", 0.1),
    ([1], "a", 0.05),
    ([-1, 0, 1], "aaa", 0.05),
    ([0.5, -0.25, 0.0, 1.0], "abcd", 0.0),
    ([-1, 0, 0, 1, 0], "aabbc", 0.3),
]:
    cluster = list(cluster)
    mean, groups, se = clustered(d, cluster)
    gap = mean + margin
    t = None if se is None else (math.copysign(math.inf, gap) if se == 0 else gap / se)
    low, high = t_interval(mean, se, groups - 1, 0.95)
    p = None if t is None else stats.t.sf(t, groups - 1)
    add("paired_clustered", {"d": d, "cluster": cluster, "margin": margin, "conf": 0.95}, {"mean": mean, "se": se, "df": groups - 1, "lo": low, "hi": high, "t": t, "p_noninferior": p})


# Pairs of rates.
def tango(lost, gained, n, theta):
    roots = np.roots([2 * n, -gained - lost + (2 * n - gained + lost) * theta, -lost * theta * (1 - theta)])
    excess = gained - lost - n * theta
    if excess == 0:
        return 0.0
    variance = n * (2 * max(roots.real) + theta * (1 - theta))
    return math.copysign(math.inf, excess) if variance <= 1e-14 * n else excess / math.sqrt(variance)


def tango_bounds(lost, gained, n, confidence):
    z, at = stats.norm.ppf((1 + confidence) / 2), (gained - lost) / n
    side = lambda end, sign: end if sign * tango(lost, gained, n, end) <= z else optimize.brentq(lambda x: sign * min(max(tango(lost, gained, n, x), -99), 99) - z, end, at, xtol=1e-14)
    return side(-1.0, 1), side(1.0, -1)


for lost, gained, n, margin in [(0, 0, 1, 0.02), (0, 0, 133, 0.02), (3, 3, 6, 0.05), (5, 0, 5, 0.02), (0, 5, 5, 0.02), (1, 0, 1000, 0.0), (400, 380, 100_000, 0.001), (2, 1, 40, 0.2)]:
    z, bound = tango(lost, gained, n, -margin), stats.norm.ppf(0.95)
    (low90, high90), (low95, high95) = [tango_bounds(lost, gained, n, conf) for conf in (0.9, 0.95)]
    verdict = "PASS" if z >= bound else "FAIL" if z <= -bound else "INCONCLUSIVE"
    expected = {"z": z, "p_noninferior": stats.norm.sf(z), "p_inferior": stats.norm.cdf(z), "lower_one_sided95": low90, "upper_one_sided95": high90, "lower95": low95, "upper95": high95, "verdict": verdict}
    add("tango_noninferiority", {"n10": lost, "n01": gained, "n": n, "margin": margin, "alpha": 0.05}, expected, 1e-7)

for a, b, c, d, conf in [(1, 0, 0, 0, 0.95), (0, 1, 0, 0, 0.95), (0, 0, 0, 5, 0.95), (5, 5, 0, 0, 0.9), (2, 3, 4, 0, 0.99), (30, 1, 1, 30, 0.95)]:
    n = a + b + c + d
    p1, p2 = (a + c) / n, (a + b) / n
    def score(k):
        low, high = proportion_confint(k, n, 1 - conf, "wilson")
        return (0.0 if k == 0 else low), (1.0 if k == n else high)
    (l1, u1), (l2, u2) = score(a + c), score(a + b)
    margins, determinant = (a + b) * (c + d) * (a + c) * (b + d), a * d - b * c
    phi = 0 if margins == 0 else (max(determinant - n / 2, 0) if determinant > 0 else determinant) / math.sqrt(margins)
    low = p1 - p2 - math.sqrt((p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2)
    high = p1 - p2 + math.sqrt((u1 - p1) ** 2 - 2 * phi * (u1 - p1) * (p2 - l2) + (p2 - l2) ** 2)
    add("newcombe_paired", {"n11": a, "n10": b, "n01": c, "n00": d, "conf": conf}, {"theta": p1 - p2, "lower": low, "upper": high})

for lost, gained in [(0, 1), (1, 1), (0, 60), (500, 500), (5000, 4800)]:
    n, k = lost + gained, min(lost, gained)
    chance = lambda i: Fraction(math.comb(n, i), 2**n)
    exact = min(Fraction(1), 2 * sum(map(chance, range(k + 1))))
    worse = sum(map(chance, range(lost, n + 1)))
    mid = 1 - chance(k) / 2 if 2 * k == n else exact - chance(k)
    expected = {"exact_two_sided": float(exact), "midp_two_sided": float(mid), "exact_one_sided_B_worse": float(worse), "midp_one_sided_B_worse": float(worse - chance(lost) / 2)}
    add("mcnemar", {"n10": lost, "n01": gained}, expected)

for d in [[], [0.5], [0, 0], [0.5, -0.5], [0.1, 0.2, 0.3, -0.3], [0.25] * 12 + [-0.5]]:
    exact = [Fraction(str(x)) for x in d]
    sums = [sum(s * x for s, x in zip(signs, exact)) for signs in itertools.product([1, -1], repeat=len(d))]
    seen = sum(exact)
    for alternative, extreme in [("greater", lambda s: s >= seen), ("less", lambda s: s <= seen), ("two-sided", lambda s: abs(s) >= abs(seen))]:
        add("sign_flip_exact", {"d": d, "alternative": alternative}, {"p": sum(map(extreme, sums)) / len(sums)})

# Money and time.
for a, b, conf in [([1.0, 2.0, 3.5], [2.0, 4.0, 7.0], 0.95), ([1.0, 3.0], [1.0, 2.0], 0.9), ([1.0], [2.0], 0.95), ([0.001, 5.0, 0.02, 0.3], [0.002, 4.0, 0.01, 0.9], 0.99)]:
    n, ratio, logs = len(a), sum(b) / sum(a), np.log(np.array(b) / np.array(a))
    half = stats.t.ppf((1 + conf) / 2, n - 1) * np.std(np.array(b) - ratio * np.array(a), ddof=1) / (np.mean(a) * math.sqrt(n)) if n > 1 else math.nan
    width = stats.t.ppf((1 + conf) / 2, n - 1) * np.std(logs, ddof=1) / math.sqrt(n) if n > 1 else math.nan
    mean = math.exp(logs.mean()) if n > 1 else None
    add("cost_ratio", {"a": a, "b": b, "conf": conf}, {"ratio_of_means": ratio, "lower": ratio - half, "upper": ratio + half, "geo_ratio": mean, "geo_lower": math.exp(logs.mean() - width) if n > 1 else None, "geo_upper": math.exp(logs.mean() + width) if n > 1 else None}, 1e-8)


def ranks(n, q, conf):
    tail = (1 - conf) / 2
    low = max([l for l in range(0, n + 1) if stats.binom.cdf(l - 1, n, q) <= tail])
    high = min([u for u in range(1, n + 1) if stats.binom.cdf(u - 1, n, q) >= 1 - tail], default=n + 1)
    return low, high, (1.0 if high > n else stats.binom.cdf(high - 1, n, q)) - stats.binom.cdf(low - 1, n, q)


for n, q, conf in [(1, 0.5, 0.95), (2, 0.5, 0.5), (35, 0.9, 0.95), (36, 0.9, 0.95), (72, 0.95, 0.95), (3688, 0.999, 0.95), (20, 0.01, 0.9)]:
    low, high, coverage = ranks(n, q, conf)
    add("quantile_ci_ranks", {"n": n, "q": q, "conf": conf}, {"l": low, "u": high, "coverage": coverage})
for x, q, conf in [([3.0], 0.5, 0.95), ([2.0, 1.0], 0.5, 0.95), ([1.0] * 50, 0.9, 0.95), ([1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 9.0, 9.0, 9.0, 10.0], 0.5, 0.9)]:
    low, high, coverage = ranks(len(x), q, conf)
    ordered = [None, *sorted(x), None]
    add("quantile_ci_data", {"x": x, "q": q, "conf": conf}, {"lower": ordered[low], "upper": ordered[high], "coverage": coverage})

# Several tests, and planning.
for p in [[0.04], [0.01, 0.01, 0.01], [0.0, 1.0, 0.5], [0.03, 0.02, 0.02, 0.9], [1.0, 1.0]]:
    for kind, method, key, level in [("holm", "holm", "reject_05", 0.05), ("benjamini_hochberg", "fdr_bh", "reject_10", 0.1)]:
        reject, adjusted, *_ = multipletests(p, level, method)
        add(kind, {"p": p}, {"adjusted": adjusted, key: reject})
for e in [[25.0], [math.inf, 1.0], [math.inf, math.inf, 0.0], [0.0, 0.0], [20.0, 20.0, 20.0]]:
    sets = [s for size in range(1, len(e) + 1) for s in itertools.combinations(range(len(e)), size)]
    adjusted = [min(sum(e[j] for j in s) / len(s) for s in sets if i in s) for i in range(len(e))]
    add("e_holm", {"e": e, "alpha": 0.05}, {"adjusted": adjusted, "rejected": [i for i, x in enumerate(adjusted) if x >= 20]})
    order = sorted(range(len(e)), key=lambda i: -e[i])
    most = max((k for k in range(1, len(e) + 1) if e[order[k - 1]] >= len(e) / (0.1 * k)), default=0)
    add("e_bh", {"e": e, "q": 0.1}, {"rejected": sorted(order[:most])})
for a, b, phi in [(0.5, 0.5, 1.0), (1.0, 0.9, 0.6), (0.0, 0.0, 0.6), (0.9, 0.5, 1.0), (0.8, 0.7, -0.2)]:
    both = a * b + phi * math.sqrt(a * (1 - a) * b * (1 - b))
    add("discordance", {"pA": a, "pB": b, "phi": phi}, {"discordance": max(a + b - 2 * both, abs(a - b))})
for n, psi, theta, margin, alpha in [(100, 0.1, -0.05, 0.05, 0.05), (100, 0.1, -0.1, 0.05, 0.05), (50, 0.02, 0.0, 0.05, 0.025), (1, 0.5, 0.1, 0.1, 0.1)]:
    za, gap, variance = stats.norm.ppf(1 - alpha), theta + margin, psi - theta**2
    cases = lambda power: math.ceil((za + stats.norm.ppf(power)) ** 2 * variance / gap**2) if gap > 0 else None
    add("ni_power", {"N": n, "discordance": psi, "true_delta": theta, "margin": margin, "alpha": alpha}, {"power": stats.norm.cdf(gap * math.sqrt(n / variance) - za), "n_for_80": cases(0.8), "n_for_90": cases(0.9), "mde_80": (za + stats.norm.ppf(0.8)) * math.sqrt(psi / n)})
for n, lost, gained, margin in [(10, 0.0, 0.0, 0.3), (40, 0.05, 0.0, 0.1), (25, 0.1, 0.2, 0.0)]:
    bound, power = stats.norm.ppf(0.95), 0.0
    for i in range(n + 1):
        for j in range(n + 1 - i):
            if tango(i, j, n, -margin) >= bound:
                power += stats.multinomial.pmf([i, j, n - i - j], n, [lost, gained, 1 - lost - gained])
    add("ni_power_exact", {"N": n, "q10": lost, "q01": gained, "margin": margin, "alpha": 0.05}, {"power": power}, 1e-8)
for n, lost, gained in [(20, 0.0, 0.0), (30, 0.3, 0.0), (12, 0.1, 0.4)]:
    power = [0.0, 0.0]
    for i in range(n + 1):
        for j in range(n + 1 - i):
            if i + j == 0:
                continue
            k, m = min(i, j), i + j
            exact = min(1.0, 2 * stats.binom.cdf(k, m, 0.5))
            mid = 1 - stats.binom.pmf(k, m, 0.5) / 2 if 2 * k == m else 2 * stats.binom.cdf(k, m, 0.5) - stats.binom.pmf(k, m, 0.5)
            mass = stats.multinomial.pmf([i, j, n - m], n, [lost, gained, 1 - lost - gained])
            power = [power[0] + mass * (exact <= 0.05), power[1] + mass * (mid <= 0.05)]
    psi, theta = lost + gained, gained - lost
    cases = math.ceil((stats.norm.ppf(0.975) * math.sqrt(psi) + stats.norm.ppf(0.8) * math.sqrt(psi - theta**2)) ** 2 / theta**2) if theta else None
    add("mcnemar_power_exact", {"N": n, "q10": lost, "q01": gained, "alpha": 0.05}, {"power_exact": power[0], "power_midp": power[1], "n80_connor_miettinen": cases}, 1e-8)
for looks, alpha, spending in itertools.product([[1.0], [0.5, 1.0], [0.3, 0.4]], [0.025, 0.05], ["obf", "pocock"]):
    spent = lambda t: 2 * stats.norm.sf(stats.norm.ppf(1 - alpha / 2) / math.sqrt(t)) if spending == "obf" else alpha * math.log(1 + (math.e - 1) * t)
    z = [stats.norm.isf(spent(looks[0]))]
    if len(looks) > 1:
        both = stats.multivariate_normal(cov=[[1, math.sqrt(looks[0] / looks[1])], [math.sqrt(looks[0] / looks[1]), 1]])
        z.append(optimize.brentq(lambda x: both.cdf([z[0], x]) - (1 - spent(looks[1])), 0, 8))
    add("lan_demets", {"looks": looks, "alpha_one_sided": alpha, "spending": spending}, {"z": z}, 0.002)
for seed, units in [("00", ["only"]), ("0F" * 32, ["", " ", "a", "A", "ß", "a\u0308"]), ("ab" * 70, [str(n) for n in range(30)])]:
    key = lambda unit: (hmac.new(bytes.fromhex(seed), unit.encode(), hashlib.sha256).digest(), unit)
    add("committed_order", {"seed_hex": seed, "unit_ids": units}, {"order": sorted(units, key=key)})

# Trials of a case.
for n, c, k in [(1, 1, 2), (5, 5, 5), (5, 0, 5), (5, 2, 1), (2, 1, 2), (1000, 500, 400), (3, 3, 4)]:
    hat = Fraction(math.comb(c, k), math.comb(n, k)) if k <= n else None
    at = 1 - Fraction(math.comb(n - c, k), math.comb(n, k)) if k <= n else None
    flip = Fraction(2 * c * (n - c), n * (n - 1)) if n > 1 else None
    add("pass_at_k", {"n": n, "c": c, "k": k}, {key: None if x is None else float(x) for key, x in [("pass_at_k", at), ("pass_hat_k", hat), ("flip_rate", flip)]})
for counts, k in [([1, 0, 1], 1), ([3, 3, 3], 3), ([0, 0], 4), ([1, 1, 1, 1], 2), ([2, 0, 2, 0], 2), ([5], 10)]:
    p, n = [Fraction(c, k) for c in counts], len(counts)
    within = between = var = icc = None
    if k > 1 and n > 1:
        mean = sum(p) / n
        within = sum(Fraction(k, k - 1) * x * (1 - x) for x in p) / n
        between = max(Fraction(0), sum((x - mean) ** 2 for x in p) / (n - 1) - within / k)
        var, icc = (between + within / k) / n, (between / (between + within) if between + within else None)
    add("variance_components", {"pass_counts": counts, "K": k}, {key: None if x is None else float(x) for key, x in [("within", within), ("between", between), ("var_mean", var), ("icc", icc)]})
for n, k, between, within in [(1, 1, 0.1, 0.2), (50, 10, 0.0, 0.25), (50, 10, 0.25, 0.0), (10, 3, 0.0, 0.0)]:
    var = (between + within / k) / n
    add("epochs_variance", {"N": n, "K": k, "between_d": between, "within_d": within}, {"var": var, "se": math.sqrt(var), "neff_vs_K1": (between + within) / var if var else None})
for n, c, pi0, a in [(1, 1, 0.02, 0.001), (1, 0, 0.02, 0.001), (2, 1, 0.02, 0.001), (100, 100, 0.02, 0.001), (6, 3, 0.1, 0.05), (400, 200, 0.02, 0.001)]:
    m = min(c, n - c)
    tail, (low, high) = stats.binom.sf(m - 1, n, pi0), proportion_confint(m, n, 0.1, "beta")
    state = ("stable_pass" if c else "stable_fail") if m == 0 else "flaky" if tail <= a else "suspect"
    add("flake_class", {"n": n, "c": c, "pi0": pi0, "a": a}, {"state": state, "tail_p": tail, "minority_lower95": 0.0 if m == 0 else low, "minority_upper95": high})


# Wealth, a unit at a time.
class Grid:
    def __init__(self, bets):
        self.c, self.ln = (np.arange(1, bets + 1) - 0.5) / bets, np.zeros(bets)

    def push(self, y):
        self.ln = self.ln + np.log1p(self.c * y)

    def value(self):
        return float(np.logaddexp.reduce(self.ln) - math.log(len(self.ln)))


class Scaled:
    def __init__(self, bound, bets):
        self.bound, self.grid = bound, Grid(bets)

    def push(self, y):
        self.grid.push(y / self.bound)

    def value(self):
        return self.grid.value()


class Aimed:
    """Half on the grid, half on a bet that knows how many units there will be."""

    def __init__(self, bound, width, units, alpha, bets=20, share=0.5, cap=0.5):
        self.grid, self.a, self.squares, self.t = Grid(bets), 1.0, 0.0, 0
        self.bound, self.width, self.units, self.alpha, self.share, self.cap = bound, width, units, alpha, share, cap

    def push(self, y):
        self.t += 1
        need = (1 / self.alpha - self.share * math.exp(self.grid.value())) / ((1 - self.share) * self.a) if self.share < 1 else 0.0
        bet = 0.0
        if need > 1 and self.t <= self.units:
            v = (self.width**2 / 16 + self.squares) / self.t
            bet = min(self.cap / self.bound, math.sqrt(2 * math.log(need) / ((self.units - self.t + 1) * v)))
        self.a *= 1 + bet * y
        self.grid.push(y / self.bound)
        self.squares += y * y

    def value(self):
        return math.log(self.share * math.exp(self.grid.value()) + (1 - self.share) * self.a)


SIGNS = {"-": -1.0, "0": 0.0, "+": 1.0, "1": 1.0, "?": None}
values = lambda d: [SIGNS[x] for x in d] if isinstance(d, str) else d


def paths(ys, low, high, make):
    sides = make(-low), make(high)
    out = []
    for y in ys:
        sides[0].push(low if y is None else y)
        sides[1].push(-(high if y is None else y))
        out.append([sides[0].value(), sides[1].value()])
    return out


for lost, same, gained, margin, bets in [(0, 0, 0, 0.02, 20), (0, 1, 0, 0.02, 1), (8, 0, 0, 0.05, 20), (0, 0, 8, 0.05, 20), (3, 4000, 2, 0.01, 40), (1, 30, 1, 0.3, 5)]:
    ys = [margin - 1] * lost + [margin] * same + [margin + 1] * gained
    last = [[0.0, 0.0], *paths(ys, margin - 1, margin + 1, lambda bound: Scaled(bound, bets))][-1]
    add("eproc_counts", {"n10": lost, "n0": same, "n01": gained, "margin": margin, "J": bets}, {"logE_pass": last[0], "logE_fail": last[1]})


def bounds(xs, alpha, bets):
    """The means of values in [0, 1] that the grid does not refute."""
    def refuted(mean, of):
        grid = Grid(bets)
        for x in xs:
            if mean > 0 or of(x) > 0:
                grid.push(of(x) / mean - 1 if mean > 0 else math.inf)
        return grid.value() >= -math.log(alpha)
    def edge(of):
        if not refuted(1e-300, of):
            return 0.0
        low, high = 0.0, 1.0
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if refuted(middle, of) else (low, middle)
        return high
    return edge(lambda x: x), 1 - edge(lambda x: 1 - x)


for kind, d, margin, bets in [("grid_population_path", "-", 0.02, 20), ("grid_population_path", "++++++", 0.05, 20), ("grid_population_path", "--------", 0.2, 3), ("eproc_epochs_mean", [0.2, -0.4, 0.0, 1.0, -1.0, 0.6], 0.05, 20)]:
    ds = values(d)
    path = paths([x + margin for x in ds], margin - 1, margin + 1, lambda bound: Scaled(bound, bets))
    points = []
    for n in range(1, len(ds) + 1):
        point = {"n": n, "logE_pass": path[n - 1][0], "logE_fail": path[n - 1][1]}
        if kind == "grid_population_path":
            low, high = bounds([(x + 1) / 2 for x in ds[:n]], 0.05, bets)
            point |= {"theta_hat": float(np.mean(ds[:n])), "lower": 2 * low - 1, "upper": 2 * high - 1}
        points.append(point)
    add(kind, {"d": d, "margin": margin, "alpha_one_sided": 0.05, "J": bets}, {"points": points}, 1e-7)

for x, tau in [("1", 0.9), ("000", 0.5), ("1111111111", 0.5), ([0.5, 0.25, 1.0, 0.75], 0.6)]:
    xs = values(x)
    path = paths([v - tau for v in xs], -tau, 1 - tau, lambda bound: Scaled(bound, 20))
    point = lambda n: dict(zip(["n", "logE_pass", "logE_fail", "lower", "upper"], [n, *path[n - 1], *bounds(xs[:n], 0.05, 20)]))
    add("eproc_threshold_path", {"x": x, "tau": tau, "alpha_one_sided": 0.05, "J": 20}, {"points": [point(n) for n in range(1, len(xs) + 1)]}, 1e-7)

for Y, low, high in [([0.0], -1.0, 1.0), ([-1.9, 2.1, 0.1, 0.1], -1.9, 2.1), ([0.3] * 5, -4.5, 5.5)]:
    path = paths(Y, low, high, lambda bound: Scaled(bound, 20))
    add("eproc_cluster_units", {"Y": Y, "lo": low, "hi": high, "J": 20}, {"logE_pass": [p for p, _ in path], "logE_fail": [f for _, f in path]}, 1e-8)

for d in ["?", "????", "0?0+?-0", "000000000?"]:
    path = paths([None if x is None else x + 0.05 for x in values(d)], -0.95, 1.05, lambda bound: Scaled(bound, 20))
    add("eproc_missing_worst_case", {"d": d, "margin": 0.05, "J": 20}, {"logE_pass": path[-1][0], "logE_fail": path[-1][1]}, 1e-8)

for kind, d, n, margin, share, cap in [("ha_population_path", "0", 1, 0.02, 0.5, 0.5), ("ha_population_path", "++++", 4, 0.05, 0.5, 0.5), ("ha_population_path", "00-0+000000000000000", 10, 0.05, 0.3, 0.9), ("ha_epochs_path", [0.2, -0.4, 0.0, 1.0, -1.0], 5, 0.1, 0.5, 0.5), ("ha_epochs_path", [0.0] * 12, 6, 0.1, 0.8, 0.2)]:
    ds = values(d)
    make = lambda bound: Aimed(bound, 2.0, n, 0.05, 20, share, cap)
    path = paths([x + margin for x in ds], margin - 1, margin + 1, make)
    given = {"d": d, "N": n, "margin": margin, "alpha_one_sided": 0.05, "wg": share, "cap": cap, "J": 20}
    expected = {"points": [{"n": at + 1, "logE_pass": p, "logE_fail": f} for at, (p, f) in enumerate(path)]}
    if kind == "ha_population_path":
        thetas = [step / 100 for step in range(-99, 100)]
        latched = {theta: np.max(paths([x - theta for x in ds], -theta - 1, 1 - theta, make), axis=0) >= math.log(20) for theta in thetas}
        above = list(itertools.takewhile(lambda theta: latched[theta][0], thetas))
        below = list(itertools.takewhile(lambda theta: latched[theta][1], reversed(thetas)))
        given["theta_grid"] = "-0.99..0.99 step 0.01"
        expected |= {"cs_lower": above[-1] if above else -1.0, "cs_upper": below[-1] if below else 1.0}
    add(kind, given, expected, 1e-7)

for Y, low, high, n in [([0.1], -1.9, 2.1, 1), ([-1.9, 2.1, 0.1, 0.1, 0.1], -1.9, 2.1, 3)]:
    path = paths(Y, low, high, lambda bound: Aimed(bound, high - low, n, 0.05))
    add("ha_cluster_path", {"Y": Y, "lo": low, "hi": high, "N_units": n, "alpha_one_sided": 0.05, "wg": 0.5, "cap": 0.5, "J": 20}, {"points": [{"n": at + 1, "logE_pass": p, "logE_fail": f} for at, (p, f) in enumerate(path)]}, 1e-7)


def gate(d, n, margin, alpha, alpha_fail, share, cap, futility):
    sides = Aimed(1 - margin, 2.0, n, alpha, 20, share, cap), Aimed(1 + margin, 2.0, n, alpha_fail, 20, share, cap)
    looks = set()
    if futility:
        at = futility["start"]
        while at < 1:
            looks.add(math.floor(at * n + 1e-9))
            at += futility["every"]
    sum_, squares = 0.0, 0.0
    for t, x in enumerate(values(d), 1):
        sides[0].push(margin - 1 if x is None else x + margin)
        sides[1].push(-(1 + margin if x is None else x + margin))
        sum_, squares = sum_ + (x or 0), squares + (x or 0) ** 2
        wealth = [side.value() for side in sides]
        if wealth[0] >= -math.log(alpha):
            return "PASS", "sequential", t, wealth
        if wealth[1] >= -math.log(alpha_fail):
            return "FAIL", "sequential", t, wealth
        if t in looks and t < n:
            mean = sum_ / t
            s = math.sqrt((squares + 1) / (t + 2) - mean**2)
            chance = lambda sign: stats.norm.cdf((sign * n * (mean + margin) - stats.norm.ppf(1 - alpha) * s * math.sqrt(n)) / (s * math.sqrt(n - t)))
            if chance(1) < futility["cp"] and chance(-1) < futility["cp"]:
                return "INCONCLUSIVE", "futility", t, wealth
    return "INCONCLUSIVE", "end", len(d), wealth


usual = {"start": 0.5, "every": 0.05, "cp": 0.05}
for d, n, margin, alpha, alpha_fail, share, cap, futility in [
    ("0", 1, 0.05, 0.05, 0.05, 0.5, 0.5, None),
    ("-" * 20, 20, 0.02, 0.05, 0.01, 0.5, 0.5, None),
    ("+" * 100, 100, 0.05, 0.01, 0.05, 0.5, 0.5, None),
    ("0?" * 60, 120, 0.05, 0.05, 0.05, 0.5, 0.5, None),
    ("0" * 40, 200, 0.1, 0.05, 0.05, 0.5, 0.5, None),
    ("0" * 200, 200, 0.05, 0.05, 0.05, 1.0, 0.5, None),
    (("0" * 19 + "-") * 10, 200, 0.05, 0.05, 0.05, 0.5, 0.5, usual),
    (("0" * 9 + "-" + "0" * 9 + "+") * 8, 160, 0.02, 0.05, 0.05, 0.5, 0.5, {"start": 0.3, "every": 0.1, "cp": 0.2}),
    ("0" * 120, 120, 0.05, 0.05, 0.05, 0.5, 0.5, usual),
]:
    verdict, stage, t, wealth = gate(d, n, margin, alpha, alpha_fail, share, cap, futility)
    given = {"d": d, "N": n, "margin": margin, "alpha": alpha, "alpha_fail": alpha_fail, "wg": share, "cap": cap, "J": 20, "futility": futility}
    add("gate_population_futility" if futility else "gate_population", given, {"verdict": verdict, "stage": stage, "n": t, "logE_pass": wealth[0], "logE_fail": wealth[1]}, 1e-7)

for d, n, margin, share in [("0" * 60, 60, 0.05, 0.5), ("0" * 200, 200, 0.05, 0.25), ("-" * 20, 20, 0.02, 0.5), ("0" * 20, 20, 0.02, 0.5)]:
    level = 0.05 * (1 - share)
    path = paths([x + margin for x in values(d)], margin - 1, margin + 1, lambda bound: Scaled(bound, 20))
    hit = next((at for at, wealth in enumerate(path) if max(wealth) >= -math.log(level)), None)
    given = {"d": d, "N": n, "margin": margin, "alpha": 0.05, "final_share": share, "J": 20}
    if hit is not None:
        expected = {"verdict": "PASS" if path[hit][0] > path[hit][1] else "FAIL", "n": hit + 1, "stage": "sequential"}
    else:
        z, bound = tango(d.count("-"), d.count("+"), n, -margin), stats.norm.ppf(1 - 0.05 * share)
        expected = {"verdict": "PASS" if z >= bound else "FAIL" if z <= -bound else "INCONCLUSIVE", "n": n, "stage": "final", "z": z}
    wealth = path[-1 if hit is None else hit]
    add("gate_grid_final", given, expected | {"logE_pass": wealth[0], "logE_fail": wealth[1]}, 1e-7)


def finite(xs, mean, n):
    """ln of the wealth against "the mean of all n values is at most this", after each value."""
    grid, left, out = Grid(20), mean * n, []
    for t, x in enumerate(xs):
        if out and out[-1] == math.inf:
            out.append(math.inf)
            continue
        if left > 1e-9:
            grid.push(x / (left / (n - t)) - 1)
        left -= x
        out.append(math.inf if left < -1e-9 else grid.value())
    return out


for kind, d, margin in [("gate_suite", "0", 0.05), ("gate_suite", "-", 0.05), ("gate_suite", "0000-", 0.2), ("gate_suite", "0000-", 0.1), ("eproc_suite_path", "00+-0-", 0.2), ("eproc_suite_path", "++", 0.0), ("eproc_suite_path", "-0", 0.5)]:
    n, ds = len(d), values(d)
    least = math.ceil(-margin * n - 1e-9)
    for_pass = finite([(x + 1) / 2 for x in ds], (least - 1 + n) / (2 * n), n)
    for_fail = finite([(1 - x) / 2 for x in ds], 1 - (least + n) / (2 * n), n)
    first = next(at for at in range(n) if max(for_pass[at], for_fail[at]) >= math.log(20))
    certain = next(at for at in range(n) if sum(ds[: at + 1]) - (n - at - 1) > least - 1 or sum(ds[: at + 1]) + (n - at - 1) < least)
    word = lambda at: "PASS" if for_pass[at] > for_fail[at] else "FAIL"
    given = {"d": d, "N": n, "margin": margin, "alpha": 0.05, "J": 20}
    expected = {"verdict": word(first), "by": "evidence", "logical_n": certain + 1, "full_run_verdict": "PASS" if sum(ds) >= least else "FAIL"}
    if kind == "gate_suite":
        expected |= {"n": first + 1, "logE_pass": for_pass[-1], "logE_fail": for_fail[-1]}
    else:
        given |= {"D_fail_total": least - 1, "D_pass_total": least}
        expected |= {"stop_n": first + 1, "points": [{"n": at + 1, "logE_pass": for_pass[at], "logE_fail": for_fail[at]} for at in range(n)]}
    add(kind, given, expected, 1e-6)

# Nights.
for nights, slack in [(["-"], 0.0), (["?0?", "???"], 0.01), ([[0.2, -0.6], [0.0, 0.0], [-1.0, -0.8]], 0.02), (["+++", "---", "---"], 0.05)]:
    sr, cusum = np.zeros(20), np.zeros(20)
    found = {"sr": [], "cusum": []}
    for night in nights:
        grid = Grid(20)
        for x in values(night):
            grid.push((1 - ((1.0 if x is None else x) + 1) / 2) / (1 - (1 - slack) / 2) - 1)
        factor = np.exp(grid.ln)
        sr, cusum = (sr + 1) * factor, np.maximum(cusum, 1) * factor
        found["sr"].append(sr.mean())
        found["cusum"].append(cusum.mean())
    add("e_sr_detector", {"nights": nights, "slack": slack, "J": 20}, found, 1e-8)

with open("variants.jsonl", "w", encoding="utf-8") as file:
    file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
print(len(lines), "variants of", len({line["kind"] for line in lines}), "kinds")
