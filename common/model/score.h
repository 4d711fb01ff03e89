/* score.h - how well scores tell rows apart that were labelled: F1, false and missed alarms, AUC.
 *
 * A row is an alarm when its score is at or above the threshold. Values; no hidden state. */
#ifndef FOGLINE_MODEL_SCORE_H
#define FOGLINE_MODEL_SCORE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scored {
    double score; /* a number; infinite is fine, NaN is not */
    bool label;
};

struct score_counts {
    uint64_t tp, fp, tn, fn;
};

/* Scores at or above the threshold are alarms. */
struct score_counts score_count(const struct scored *rows, size_t n, double threshold);
/* Each 0 where there is nothing to divide by. */
double score_f1(const struct score_counts *c);
double score_far(const struct score_counts *c); /* alarms among rows without the label, 0..1 */
double score_mar(const struct score_counts *c); /* rows with the label and without an alarm, 0..1 */
double score_accuracy(const struct score_counts *c);

/* Sorts the rows, the greatest score first. */
void score_sort(struct scored *rows, size_t n);
/* Of sorted rows: area under the curve of hits over false alarms, by trapezoids, rows of equal score as one:
 * how often a row with the label has the greater score, ties for one half. NaN when all labels are the same.
 */
double score_auc(const struct scored *rows, size_t n);
/* Of sorted rows: the threshold with the best F1, of several the highest; it is the score of a row. NaN when
 * no row has the label. */
double score_best_threshold(const struct scored *rows, size_t n);

#endif
