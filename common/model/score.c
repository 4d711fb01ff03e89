#include "model/score.h"

#include <math.h>
#include <stdlib.h>

struct score_counts score_count(const struct scored *rows, size_t n, double threshold)
{
    struct score_counts c = {0};

    for (size_t i = 0; i < n; i++) {
        bool alarm = rows[i].score >= threshold;

        c.tp += alarm && rows[i].label;
        c.fp += alarm && !rows[i].label;
        c.tn += !alarm && !rows[i].label;
        c.fn += !alarm && rows[i].label;
    }
    return c;
}

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

double score_f1(const struct score_counts *c)
{
    return ratio((double)c->tp, (double)c->tp + (double)(c->fp + c->fn) / 2);
}

double score_far(const struct score_counts *c)
{
    return ratio((double)c->fp, (double)(c->fp + c->tn));
}

double score_mar(const struct score_counts *c)
{
    return ratio((double)c->fn, (double)(c->fn + c->tp));
}

double score_accuracy(const struct score_counts *c)
{
    return ratio((double)(c->tp + c->tn), (double)(c->tp + c->tn + c->fp + c->fn));
}

static int greatest_first(const void *a, const void *b)
{
    double x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;

    return x > y ? -1 : x < y;
}

void score_sort(struct scored *rows, size_t n)
{
    qsort(rows, n, sizeof *rows, greatest_first);
}

/* Adds the rows that have the score of row i; returns the next. */
static size_t take_equal(const struct scored *rows, size_t n, size_t i, struct score_counts *c)
{
    double score = rows[i].score;

    for (; i < n && rows[i].score == score; i++) {
        c->tp += rows[i].label;
        c->fp += !rows[i].label;
    }
    return i;
}

double score_auc(const struct scored *rows, size_t n)
{
    struct score_counts c = {0};
    double area = 0;

    for (size_t i = 0; i < n;) {
        struct score_counts before = c;

        i = take_equal(rows, n, i, &c);
        area += (double)(c.fp - before.fp) * (double)(c.tp + before.tp) / 2;
    }
    return c.tp > 0 && c.fp > 0 ? area / ((double)c.tp * (double)c.fp) : (double)NAN;
}

double score_best_threshold(const struct scored *rows, size_t n)
{
    struct score_counts c = {0};
    double best = -1, threshold = (double)NAN;
    uint64_t labelled = 0;

    for (size_t i = 0; i < n; i++)
        labelled += rows[i].label;
    for (size_t i = 0; labelled > 0 && i < n;) {
        double score = rows[i].score, f1;

        i = take_equal(rows, n, i, &c);
        c.fn = labelled - c.tp;
        f1 = score_f1(&c);
        if (f1 > best) {
            best = f1;
            threshold = score;
        }
    }
    return threshold;
}
