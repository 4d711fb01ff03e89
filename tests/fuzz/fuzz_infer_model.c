/* Model files. The target puts the right length and checksum in, so that what lies behind them is reached;
 * what is read is run. The limits are low: a run of hours is no finding. */
#include "infer/model.h"
#include "unit/infer/zoo_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t n_tried, n_read, n_nodes;

static void print_totals(void)
{
    fprintf(stderr, "%" PRIu64 " tried, %" PRIu64 " read and run, %" PRIu64 " nodes\n", n_tried, n_read,
            n_nodes);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return atexit(print_totals);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct infer_limits limits = {
        .file_bytes = 1 << 20, .arena_bytes = 1 << 20, .operations = 1 << 20};
    struct infer_model *m;
    struct errmsg err;
    void *copy = NULL;

    if (size == 0 || size > 1 << 20 || posix_memalign(&copy, 64, size) != 0)
        return 0;
    memcpy(copy, data, size);
    zoo_model_seal(copy, size);
    n_tried++;
    if (infer_model_read(span_of(copy, size), &limits, &m, &err) == 0) {
        infer_model_run(m);
        infer_model_text(m, "name");
        infer_model_signature(m, (const uint8_t(*)[32])copy, size >= 32);
        n_read++;
        n_nodes += infer_model_graph(m)->n_nodes;
        infer_model_free(m);
    }
    free(copy);
    return 0;
}
