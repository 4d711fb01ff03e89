/* Saved states of detectors. The target puts the right head and checksum in, so that what lies behind them is
 * reached; what is restored judges rows. */
#include "infer/detector.h"
#include "infer/detector_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHANNELS_MAX = 5, ROWS = 20 };

static uint64_t n_tried, n_restored;

static void print_totals(void)
{
    fprintf(stderr, "%" PRIu64 " tried, %" PRIu64 " restored\n", n_tried, n_restored);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return atexit(print_totals);
}

static void judge(struct detector_state *s, const struct detector_spec *spec, const uint8_t *data,
                  size_t size)
{
    for (int row = 0; row < ROWS; row++) {
        struct detector_verdict v;
        double values[CHANNELS_MAX];

        for (uint32_t c = 0; c < spec->n_channels; c++)
            values[c] = (double)data[(size_t)row * 3 % size] * (c + 1);
        detector_step(s, row, values, NULL, &v);
        if (!(v.score >= 0 && v.score <= 1e6) || v.channel >= spec->n_channels)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct detector_spec spec;
    struct detector_state *made, *s;
    struct errmsg err;
    uint8_t *image;
    size_t bytes, head, n;

    if (size < 3)
        return 0;
    spec = detector_defaults((enum detector_kind)(data[0] % DETECTOR_N_KINDS), data[1] % CHANNELS_MAX + 1);
    if (detector_check(&spec, &err) != 0)
        return 0;
    data += 2;
    size -= 2;
    bytes = detector_state_bytes(&spec);
    made = calloc(1, bytes);
    s = calloc(1, bytes);
    image = malloc(bytes);
    if (made != NULL && s != NULL && image != NULL) {
        n_tried++;
        /* As it came, then behind the head of one that fits. */
        if (detector_restore(s, &spec, span_of(data, size), &err) == 0)
            judge(s, &spec, data, size);
        detector_init(made, &spec);
        head = offsetof(struct detector_state, spec) + sizeof spec;
        n = size < bytes - head ? size : bytes - head;
        memcpy((uint8_t *)made + head, data, n);
        made->bytes = bytes;
        detector_save(made, image);
        if (detector_restore(s, &spec, span_of(image, bytes), &err) == 0) {
            n_restored++;
            judge(s, &spec, data, size);
        }
    }
    free(made);
    free(s);
    free(image);
    return 0;
}
