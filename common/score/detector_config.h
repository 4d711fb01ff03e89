/* detector_config.h - what a configuration says of a detector (common/infer/detector.h), and its verdicts as
 * cells. For sources of a device and models of a fog.
 *
 * Values; no hidden state. */
#ifndef FOGLINE_SCORE_DETECTOR_CONFIG_H
#define FOGLINE_SCORE_DETECTOR_CONFIG_H

#include "codec/block.h"
#include "config/config.h"
#include "infer/detector.h"

/* NaN: not said. */
struct detector_settings {
    int method; /* enum detector_kind */
    double commission_rows, settle_rows, gap_ms, window_rows, quiet_rows, change_quiet_rows;
    double limit, clear, weight, follow, floor, change_limit, change_weight, slack, share, variance_weight,
        tail, tail_weight, cap, extreme;
};

extern const char *const detector_methods[];

/* Rows of a table over `type`, whose member m is a struct detector_settings. */
#define DETECTOR_ROW(type, m, name, text)                                                                    \
    {                                                                                                        \
#name, CONFIG_DOUBLE, CONFIG_AT(type, m.name), .def = "nan", .help = text                            \
    }
#define DETECTOR_ROWS(type, m)                                                                               \
    {"method",                                                                                               \
     CONFIG_ENUM,                                                                                            \
     CONFIG_AT(type, m.method),                                                                              \
     .choices = detector_methods,                                                                            \
     .def = "ewma",                                                                                          \
     .help = "ewma: each channel's smoothed value against its band; mewma: all together; cusum, "            \
             "page_hinkley: small shifts that "                                                              \
             "last; hampel: far from the median of a window; pca: beside what channels do together; "        \
             "surprise: rarer than one "                                                                     \
             "series has shown."},                                                                           \
        DETECTOR_ROW(type, m, commission_rows, "Rows it learns from before it judges."),                     \
        DETECTOR_ROW(type, m, settle_rows, "Rows at the start that are not learned from."),                  \
        DETECTOR_ROW(type, m, gap_ms, "A longer time between two rows begins smoothing anew; 0: never."),    \
        DETECTOR_ROW(type, m, limit, "Alarm limit, in deviations; at which score is 1."),                    \
        DETECTOR_ROW(type, m, clear, "An alarm is cleared below this part of its limit."),                   \
        DETECTOR_ROW(type, m, weight, "Weight of a new value in the smoothed one."),                         \
        DETECTOR_ROW(type, m, follow, "How fast the centre follows deviations within the limit."),           \
        DETECTOR_ROW(type, m, floor, "ewma: the band is at least this part of the channel's deviation."),    \
        DETECTOR_ROW(type, m, change_limit, "Limit for a changepoint; 0: none are looked for."),             \
        DETECTOR_ROW(type, m, change_weight,                                                                 \
                     "Weight of a new value in the slow reference of changepoints."),                        \
        DETECTOR_ROW(type, m, change_quiet_rows, "No further changepoint for so many rows."),                \
        DETECTOR_ROW(type, m, slack, "cusum, page_hinkley: a deviation up to this adds nothing."),           \
        DETECTOR_ROW(type, m, window_rows, "hampel: length of the window."),                                 \
        DETECTOR_ROW(type, m, share, "pca: share of the variance that the kept components explain."),        \
        DETECTOR_ROW(type, m, variance_weight, "surprise: weight of a new deviation in the variance."),      \
        DETECTOR_ROW(type, m, tail,                                                                          \
                     "surprise: share of rows beyond the point from where rarity is measured."),             \
        DETECTOR_ROW(type, m, tail_weight, "surprise: weight of a new excess in its mean."),                 \
        DETECTOR_ROW(type, m, cap, "surprise: one kind of evidence says no more than this, in nats."),       \
        DETECTOR_ROW(type, m, extreme,                                                                       \
                     "surprise: for going beyond all before by 5 % of their range, in nats."),               \
        DETECTOR_ROW(type, m, quiet_rows, "surprise: after one only a greater one counts for so many rows.")

/* What is given over what is normal for the method. -EINVAL with a sentence. */
must_check int detector_settings_spec(const struct detector_settings *s, size_t n_inputs,
                                      struct detector_spec *ret, struct errmsg *err);
/* Complains of what detector_settings_spec does not like. field: of what has the keys. */
void detector_settings_check(const struct detector_settings *s, size_t n_inputs, const char *field,
                             const char *doc, struct config_check *c);

enum detector_output {
    DETECTOR_OUT_SCORE,
    DETECTOR_OUT_ALARM,
    DETECTOR_OUT_CHANGEPOINT,
    DETECTOR_OUT_LEARNING,
    DETECTOR_OUT_CAUSE,
    DETECTOR_OUTPUTS
};
struct detector_output_info {
    const char *name, *unit;
    enum column_type type;
};
extern const struct detector_output_info detector_outputs[DETECTOR_OUTPUTS];
/* cause: what the channel named by an alarm is called; borrowed by the cell. */
void detector_cells(const struct detector_verdict *v, const char *cause, struct cell cells[DETECTOR_OUTPUTS]);

#endif
