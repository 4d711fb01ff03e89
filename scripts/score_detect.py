"""score_detect.py - scores of detectors on labelled recordings, by the rules of the two public benchmarks SKAB and NAB.

SKAB: each file alone, the first 400 rows are not scored; counts of rows summed over all files; changepoints within 60 s after each.
NAB v1.1: the first min(15 %, 750) rows are not scored; one threshold for all files, the best; the first hit of a window counts.
"""
import math

SKAB_LEARNED = 400
SKAB_WINDOW_S = 60.0
SKAB_PROFILES = {"standard": (-0.11, -1.0), "low_fp": (-0.22, -1.0), "low_fn": (-0.11, -2.0)}  # a false one, a missed one
NAB_PROFILES = {"standard": (0.11, 1.0), "low_fp": (0.22, 1.0), "low_fn": (0.11, 2.0)}


def ratio(part, whole):
    return part / whole if whole else 0.0


def rates(tp, tn, fp, fn):
    return {"f1": ratio(tp, tp + (fp + fn) / 2), "far_percent": 100 * ratio(fp, fp + tn), "mar_percent": 100 * ratio(fn, fn + tp)}


def skab_sigmoid(part, false_cost, n=1000):
    x = -math.pi / 2 + math.pi * min(int(part * n), n - 1) / (n - 1)
    half = (1 - false_cost) / 2
    return half * -math.tanh(x) / math.tanh(math.pi / 2) + half + false_cost


def skab_windows(times, labels):
    """A window begins where the one before ends when they overlap."""
    windows = []
    for t, label in zip(times, labels):
        if label:
            begin = windows[-1][1] if windows and windows[-1][1] >= t else t
            windows.append((begin, t + SKAB_WINDOW_S))
    return windows


def skab_changepoints(times, labels, told):
    """Where in its window each one was told first, None when missed; how many were false."""
    windows = skab_windows(times, labels)
    at = [t for t, x in zip(times, told) if x]
    hits = [min((t for t in at if lo <= t <= hi), default=None) for lo, hi in windows]
    parts = [None if t is None else (t - lo) / (hi - lo) for t, (lo, hi) in zip(hits, windows)]
    return parts, sum(not any(lo <= t <= hi for lo, hi in windows) for t in at)


def skab(files):
    """files: of each its times in s, labels and predictions (anomaly, changepoint), rows that are learned from included."""
    counts, parts, n_false = [0, 0, 0, 0], [], 0
    for times, labels, told in files:
        times, labels, told = times[SKAB_LEARNED:], labels[SKAB_LEARNED:], told[SKAB_LEARNED:]
        for (y, _), (p, _) in zip(labels, told):
            counts[0 if y and p else 1 if not y and not p else 2 if p else 3] += 1
        more, false = skab_changepoints(times, [y for _, y in labels], [p for _, p in told])
        parts, n_false = parts + more, n_false + false
    out = {"files": len(files), "rows": sum(counts), **rates(*counts), "changepoints": len(parts),
           "changepoints_missed": sum(p is None for p in parts), "changepoints_false": n_false}
    for name, (false_cost, miss_cost) in SKAB_PROFILES.items():
        total = false_cost * n_false + sum(miss_cost if p is None else skab_sigmoid(p, false_cost) for p in parts)
        null = miss_cost * len(parts)
        out[f"nab_{name}"] = 100 * ratio(total - null, len(parts) - null)
    return out


def nab_sigmoid(x):
    return -1.0 if x > 3 else 2 / (1 + math.exp(5 * x)) - 1


def nab_worth(times, windows):
    """Of each row: what a detection there is worth, and the number of its window or None."""
    spans = [(times.index(lo), times.index(hi)) for lo, hi in windows]
    out, before, k = [], None, 0
    for i in range(len(times)):
        if k < len(spans) and spans[k][0] <= i:
            lo, hi = spans[k]
            width = hi - lo + 1.0
            out.append((nab_sigmoid(-(hi - i + 1) / width), k))
            if i == hi:
                before, k = (hi, width), k + 1
        else:
            out.append((-1.0 if before is None else nab_sigmoid((i - before[0]) / (before[1] - 1)), None))
    return out


def nab_profile(points, n_windows, seen, fp_weight, fn_weight):
    """Lowers the threshold row by row. Windows that only hold unscored rows are lost but not counted against a detector."""
    gained, top = dict.fromkeys(seen, -fn_weight), nab_sigmoid(-1.0)
    total = -fn_weight * len(seen)
    best, best_hits, n_false, false = total, 0, 0, 0
    for i, (score, worth, window) in enumerate(points):
        if window is None:
            total, false = total + worth * fp_weight, false + 1
        elif worth / top > gained[window]:
            total, gained[window] = total + worth / top - gained[window], worth / top
        if (i + 1 == len(points) or points[i + 1][0] != score) and total > best:
            best, n_false, best_hits = total, false, sum(v > -fn_weight for v in gained.values())
    null = -fn_weight * n_windows
    return {"score": 100 * (best - null) / (n_windows - null), "windows_hit": best_hits, "false_detections": n_false}


def nab(files):
    """files: of each its name, times, windows [(first, last time)] and scores."""
    points, n_windows = [], 0
    for name, times, windows, scores in files:
        unscored = min(math.floor(0.15 * len(times)), 750)
        n_windows += len(windows)
        for i, (score, (worth, k)) in enumerate(zip(scores, nab_worth(times, windows))):
            if i >= unscored:
                points.append((score, worth, None if k is None else (name, k)))
    points.sort(key=lambda p: -p[0])
    seen = {w for _, _, w in points if w is not None}
    return {"files": len(files), "windows": n_windows,
            **{name: nab_profile(points, n_windows, seen, *weights) for name, weights in NAB_PROFILES.items()}}
