#include "model/rows.h"

#include "model/graph_run.h"

#include <stdlib.h>

int model_rows_init(struct model_rows *r, const struct infer_graph *graph, struct errmsg *err)
{
    int rc;

    *r = (struct model_rows){0};
    rc = graph_run_width(graph, &r->width, err);
    if (rc == 0 && r->width == 0)
        rc = errmsg_set(err, -EINVAL, "the model takes no numbers: there is nothing to give it");
    return rc;
}

void model_rows_deinit(struct model_rows *r)
{
    free(r->values);
    *r = (struct model_rows){0};
}

int model_rows_add(struct model_rows *r, const float *row, struct errmsg *err)
{
    if (r->n == r->alloc) {
        size_t more = r->alloc == 0 ? 64 : r->alloc * 2, bytes;
        float *values = NULL;

        if (!__builtin_mul_overflow(more, r->width * sizeof *values, &bytes))
            values = realloc(r->values, bytes);
        if (values == NULL)
            return errmsg_set(err, -ENOMEM, "no memory for more than %zu rows", r->n);
        r->values = values;
        r->alloc = more;
    }
    memcpy(r->values + r->n * r->width, row, r->width * sizeof *row);
    r->n++;
    return 0;
}

int model_rows_check(const struct model_rows *r, struct errmsg *err)
{
    if (r->n == 0)
        return errmsg_set(err, -EINVAL, "there are no rows");
    for (size_t i = 1; i < r->n; i++)
        if (memcmp(model_rows_at(r, i), model_rows_at(r, 0), r->width * sizeof *r->values) != 0)
            return 0;
    return errmsg_set(err, -EINVAL,
                      "%s: ranges cannot be learned of that, give rows as they come in operation",
                      r->n == 1 ? "there is one row" : "all rows are the same");
}
