/* csv_find_time.c - which columns of a file are the time of its rows, and in which form. */
#include "device/sources/csv_shape_private.h"

#include <errno.h>

/* What most sampled cells of a column are. */
struct kinds {
    size_t n, n_dates, n_times, n_both, n_numbers;
    double first_number;
};

static struct kinds kinds_of(const struct csv_shape *s, struct csv_sample *p, uint32_t column)
{
    struct kinds k = {0};

    for (size_t i = s->has_header ? 1 : 0; i < p->n; i++) {
        struct csv_stamp t;
        double v;

        if (!csv_fits(s, p->fields, csv_sample_split(p, i, s->separator, p->fields, 0)) ||
            csv_is_absent(p->fields[column]))
            continue;
        k.n++;
        if (csv_stamp_parse((const char *)p->fields[column].data, p->fields[column].len, &t)) {
            k.n_both += t.has_date && t.has_time;
            k.n_dates += t.has_date && !t.has_time;
            k.n_times += !t.has_date;
        } else if (numfmt_parse_double((const char *)p->fields[column].data, p->fields[column].len, &v)) {
            if (k.n_numbers++ == 0)
                k.first_number = v;
        }
    }
    return k;
}

static bool most(size_t n, const struct kinds *k)
{
    return n * 2 > k->n;
}

static void use_time(struct csv_shape *s, enum csv_time_form form, unsigned n, const int *columns)
{
    s->form = form;
    s->n_time_columns = n;
    for (unsigned i = 0; i < n; i++) {
        s->time_column[i] = (uint16_t)columns[i];
        s->columns[columns[i]].is_time = true;
    }
}

static int given_time(struct csv_shape *s, struct csv_sample *p, const struct csv_options *o,
                      struct errmsg *err)
{
    int columns[CSV_TIME_COLUMNS_MAX];
    struct kinds first;
    enum csv_time_form form;

    if (o->n_time_columns > CSV_TIME_COLUMNS_MAX)
        return errmsg_set(err, -EINVAL, "time: at most %d columns", CSV_TIME_COLUMNS_MAX);
    for (size_t i = 0; i < o->n_time_columns; i++) {
        columns[i] = csv_find_column(s, o->time_columns[i]);
        if (columns[i] < 0)
            return errmsg_set(err, -EINVAL, "time: there is no column '%s'", o->time_columns[i]);
    }
    first = kinds_of(s, p, (uint32_t)columns[0]);
    if (o->n_time_columns >= 3) {
        form = CSV_TIME_PARTS;
    } else if (o->n_time_columns == 2) {
        form = CSV_TIME_DATE_AND_TIME;
    } else if (most(first.n_numbers, &first)) {
        form = CSV_TIME_NUMBER;
        s->unit_ns = csv_guess_unit_ns(first.first_number);
    } else if (most(first.n_both + first.n_dates, &first)) {
        form = CSV_TIME_ISO;
    } else {
        return errmsg_set(err, -EINVAL, "time: column '%s' holds neither ISO times nor numbers",
                          o->time_columns[0]);
    }
    use_time(s, form, (unsigned)o->n_time_columns, columns);
    return 0;
}

static bool find_date_and_time(struct csv_shape *s, struct csv_sample *p)
{
    int columns[2] = {-1, -1};

    for (uint32_t i = 0; i < s->n_columns; i++) {
        if (csv_is_called(&s->columns[i], "date") && columns[0] < 0)
            columns[0] = (int)i;
        if (csv_is_called(&s->columns[i], "time") && columns[1] < 0)
            columns[1] = (int)i;
    }
    if (columns[0] >= 0 && columns[1] >= 0) {
        struct kinds date = kinds_of(s, p, (uint32_t)columns[0]), time = kinds_of(s, p, (uint32_t)columns[1]);

        if (most(date.n_dates, &date) && most(time.n_times, &time)) {
            use_time(s, CSV_TIME_DATE_AND_TIME, 2, columns);
            return true;
        }
    }
    return false;
}

static bool find_iso(struct csv_shape *s, struct csv_sample *p)
{
    for (int i = 0; i < (int)s->n_columns; i++) {
        struct kinds k = kinds_of(s, p, (uint32_t)i);

        if (most(k.n_both + k.n_dates, &k)) {
            use_time(s, CSV_TIME_ISO, 1, &i);
            return true;
        }
    }
    return false;
}

static bool find_parts(struct csv_shape *s)
{
    static const char *const names[CSV_TIME_COLUMNS_MAX] = {"year", "month",  "day",
                                                            "hour", "minute", "second"};
    int columns[CSV_TIME_COLUMNS_MAX];
    unsigned n = 0;

    for (; n < CSV_TIME_COLUMNS_MAX; n++) {
        columns[n] = -1;
        for (uint32_t i = 0; i < s->n_columns; i++)
            if (csv_is_called(&s->columns[i], names[n]) && columns[n] < 0)
                columns[n] = (int)i;
        if (columns[n] < 0)
            break;
    }
    if (n < 3)
        return false;
    use_time(s, CSV_TIME_PARTS, n, columns);
    return true;
}

static bool find_number(struct csv_shape *s, struct csv_sample *p)
{
    for (int i = 0; i < (int)s->n_columns; i++) {
        const struct csv_column *c = &s->columns[i];
        struct kinds k;

        if (!csv_is_called(c, "time") && !csv_is_called(c, "ts") && !csv_is_called(c, "timestamp"))
            continue;
        k = kinds_of(s, p, (uint32_t)i);
        if (most(k.n_numbers, &k)) {
            s->unit_ns = csv_guess_unit_ns(k.first_number);
            use_time(s, CSV_TIME_NUMBER, 1, &i);
            return true;
        }
    }
    return false;
}

int csv_find_time(struct csv_shape *s, struct csv_sample *p, const struct csv_options *o, struct errmsg *err)
{
    if (o->n_time_columns > 0)
        return given_time(s, p, o, err);
    if (find_date_and_time(s, p) || find_iso(s, p) || find_parts(s) || find_number(s, p))
        return 0;
    if (s->has_header && p->n == 1)
        return errmsg_set(err, -EINVAL, "there are no rows below the header");
    if (o->may_lack_time) {
        s->form = CSV_TIME_NONE;
        return 0;
    }
    return errmsg_set(
        err, -EINVAL,
        "no time found: no column of ISO times, no date and time, no year, month, day, and no numbers "
        "called time, ts or timestamp; name the column with `time`, on a command line --time");
}
