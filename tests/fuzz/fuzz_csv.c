/* CSV files of any content: no crash, bounded time and memory, and what the first pass counts the second one
 * gives. */
#include "device/sources/csv_reader.h"

#include <stdlib.h>

static void expect(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const first[] = {"1"}, *const parts[] = {"1", "2", "3"}, *const ints[] = {"2"};
    struct csv_options o = {.zone = "+01:00"};
    struct csv_input *in = NULL;
    struct csv_shape *s = NULL;
    struct csv_reader *r = NULL;
    struct csv_row row;
    struct errmsg err;
    const char *why;
    uint64_t n = 0, bad = 0, cells = 0;
    int rc;

    if (size == 0)
        return 0;
    if (data[0] & 1) {
        o.time_columns = data[0] & 2 ? parts : first;
        o.n_time_columns = data[0] & 2 ? 3 : 1;
    }
    if (data[0] & 4) {
        o.int_columns = ints;
        o.n_int_columns = 1;
    }
    expect(csv_input_memory(&in, span_of(data + 1, size - 1)) == 0);
    if (csv_shape_new(&s, in, &o, &err) == 0) {
        expect(csv_reader_new(&r, in, s) == 0);
        while ((rc = csv_reader_next(r, &row, &why)) != CSV_END) {
            expect(rc == 0 || rc == CSV_BAD_ROW);
            n += rc == 0;
            bad += rc == CSV_BAD_ROW;
            for (uint32_t i = 0; rc == 0 && i < s->n_channels; i++)
                cells += !row.cells[i].absent;
        }
        expect(n == s->n_rows && bad == s->n_bad_rows && cells == s->n_samples);
    }
    csv_reader_free(r);
    csv_shape_free(s);
    csv_input_free(in);
    return 0;
}
