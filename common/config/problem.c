#include "config/problem.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "config/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void config_problems_deinit(struct config_problems *p)
{
    free(p->at);
    *p = (struct config_problems){0};
}

bool problem_any(const struct config_problems *p)
{
    return p->n > 0 || p->n_left_out > 0;
}

bool problem_full(const struct config_problems *p)
{
    return p->n_left_out > 0;
}

static struct config_problem *problem_slot(struct config_problems *p)
{
    if (p->n >= CONFIG_PROBLEMS || problem_full(p))
        return NULL;
    if (p->n % 8 == 0) {
        struct config_problem *at = realloc(p->at, (p->n + 8) * sizeof(*at));

        if (at == NULL)
            return NULL;
        p->at = at;
    }
    return &p->at[p->n++];
}

void problem_vadd(struct config_problems *p, struct problem_at at, const char *remedy, const char *fmt,
                  va_list ap)
{
    struct config_problem *slot = problem_slot(p);

    if (slot == NULL) {
        p->n_left_out++;
        return;
    }
    *slot = (struct config_problem){.line = at.line, .column = at.column};
    text_cut(slot->field, sizeof(slot->field), "%s", at.field);
    vsnprintf(slot->message, sizeof(slot->message), fmt, ap);
    if (remedy != NULL)
        text_cut(slot->remedy, sizeof(slot->remedy), "%s", remedy);
}

void problem_add(struct config_problems *p, struct problem_at at, const char *remedy, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    problem_vadd(p, at, remedy, fmt, ap);
    va_end(ap);
}

bool problem_at_field(const struct config_problems *p, const char *field)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->at[i].field, field) == 0)
            return true;
    return false;
}

static bool problem_after(const struct config_problem *a, const struct config_problem *b)
{
    return a->line != b->line ? a->line > b->line : a->column > b->column;
}

/* Insertion: stable, and there are at most CONFIG_PROBLEMS, mostly in order. */
void problem_sort(struct config_problems *p)
{
    for (size_t i = 1; i < p->n; i++) {
        struct config_problem moving = p->at[i];
        size_t to = i;

        for (; to > 0 && problem_after(&p->at[to - 1], &moving); to--)
            p->at[to] = p->at[to - 1];
        p->at[to] = moving;
    }
}

/* A file may hold anything, a terminal must not be steered by it. */
static void print_clean(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, out);
}

void config_problems_print(const struct config_problems *p, FILE *out)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct config_problem *one = &p->at[i];

        print_clean(out, p->file);
        if (one->line > 0)
            fprintf(out, ":%u:%u", one->line, one->column);
        fputs(": ", out);
        if (one->field[0] != '\0') {
            print_clean(out, one->field);
            fputs(": ", out);
        }
        print_clean(out, one->message);
        if (one->remedy[0] != '\0') {
            fputs("; ", out);
            print_clean(out, one->remedy);
        }
        fputc('\n', out);
    }
    if (p->n_left_out > 0) {
        print_clean(out, p->file);
        fputs(": and further problems; fix these first\n", out);
    }
}

int config_problems_print_json(const struct config_problems *p, FILE *out)
{
    owned(json_freep) struct json *j = NULL;
    int r = json_new(&j, out, false);

    if (r < 0)
        return r;
    json_object(j);
    json_kstr(j, "file", p->file);
    json_key(j, "problems");
    json_array(j);
    for (size_t i = 0; i < p->n; i++) {
        json_object(j);
        json_ku64(j, "line", p->at[i].line);
        json_ku64(j, "column", p->at[i].column);
        json_kstr(j, "field", p->at[i].field);
        json_kstr(j, "message", p->at[i].message);
        json_kstr(j, "remedy", p->at[i].remedy);
        json_object_end(j);
    }
    json_array_end(j);
    json_ku64(j, "left_out", p->n_left_out);
    json_object_end(j);
    return json_end(j);
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned text_distance(const char *a, const char *b)
{
    enum { LONGEST = 64 };
    unsigned row[3][LONGEST + 1]; /* of the prefix two before, one before, now */
    size_t len_a = strnlen(a, LONGEST + 1), len_b = strnlen(b, LONGEST + 1);

    if (len_a > LONGEST || len_b > LONGEST)
        return UINT32_MAX;
    for (unsigned j = 0; j <= len_b; j++)
        row[0][j] = row[1][j] = row[2][j] = j;
    for (unsigned i = 1; i <= len_a; i++) {
        unsigned *before2 = row[(i + 1) % 3], *before = row[(i + 2) % 3], *now = row[i % 3];

        now[0] = i;
        for (unsigned j = 1; j <= len_b; j++) {
            now[j] = least(before[j] + 1, now[j - 1] + 1);
            now[j] = least(now[j], before[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before2[j - 2] + 1);
        }
    }
    return row[len_a % 3][len_b];
}

void nearest_offer(struct nearest *n, const char *candidate)
{
    size_t len = strnlen(n->wanted, 65);
    unsigned allowed = (unsigned)(len < 3 ? 1 : len < 9 ? 2 : len / 3);
    unsigned distance = text_distance(n->wanted, candidate);

    if (distance > allowed || (n->best != NULL && distance >= n->distance))
        return;
    n->best = candidate;
    n->distance = distance;
}
