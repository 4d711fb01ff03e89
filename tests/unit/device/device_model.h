/* device_model.h - small models, built by hand, for tests of what the device does with models. */
#ifndef FOGLINE_TESTS_DEVICE_MODEL_H
#define FOGLINE_TESTS_DEVICE_MODEL_H

#include "infer/build.h"

enum device_model {
    DEVICE_MODEL_SUM,     /* of inputs a, b: y = gain * (a + b) */
    DEVICE_MODEL_ROOT,    /* of inputs a, b: y = sqrt(gain * (a + b)), NaN below 0 */
    DEVICE_MODEL_WINDOWS, /* the same sum over the features of a recipe on a and b that look back */
    DEVICE_MODEL_SLOW,    /* y = gain * (a + b), after 4 * 10^8 operations */
    DEVICE_MODEL_TWO,     /* of inputs a, b: y = [a, b] */
};

extern const char *const device_model_names[]; /* "sum", ...; NULL at the end */

/* Appends the file. secret: 64 bytes that sign it, or NULL. */
void device_model_write(enum device_model kind, float gain, const uint8_t *secret, struct buf *out);

#endif
