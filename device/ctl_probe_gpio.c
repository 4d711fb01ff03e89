/* ctl_probe_gpio.c - the GPIO chips of this machine as sources of the kind `gpio`, one for each chip.
 *
 * Lines that nobody uses are listed; the others stand there as comments: what they are for is known. */
#include "base/name.h"
#include "device/ctl_probe.h"
#include "device/sources/source_gpio.h"
#include "gpio/gpio_line.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct found_line {
    char chip_name[64], chip_label[64], name[64], consumer[64];
    unsigned number;
    bool is_output, is_used, is_active_low;
};

struct found {
    struct found_line *lines;
    size_t n, room;
};

static int remember(void *ctx, const struct gpio_line_info *info)
{
    struct found *f = ctx;
    struct found_line *line;

    if (f->n == f->room) {
        size_t room = f->room > 0 ? 2 * f->room : 64;
        struct found_line *lines = reallocarray(f->lines, room, sizeof *lines);

        if (lines == NULL)
            return -ENOMEM;
        f->lines = lines;
        f->room = room;
    }
    line = &f->lines[f->n++];
    *line = (struct found_line){.number = info->number,
                                .is_output = info->is_output,
                                .is_used = info->is_used,
                                .is_active_low = info->is_active_low};
    snprintf(line->chip_name, sizeof line->chip_name, "%s", info->chip_name);
    snprintf(line->chip_label, sizeof line->chip_label, "%s", info->chip_label);
    snprintf(line->name, sizeof line->name, "%s", info->name);
    snprintf(line->consumer, sizeof line->consumer, "%s", info->consumer);
    return 0;
}

/* As a YAML text in double quotes; what cannot stand in one, or on a line of a comment, is shown as '?'. */
static void print_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            fputc('\\', out);
        fputc((unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c, out);
    }
    fputc('"', out);
}

/* Numbers of chips may change from boot to boot: a label that only one chip has is the better name. */
static const char *chip_of(const struct found *f, const struct found_line *line)
{
    if (line->chip_label[0] == '\0')
        return line->chip_name;
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->lines[i].chip_label, line->chip_label) == 0 &&
            strcmp(f->lines[i].chip_name, line->chip_name) != 0)
            return line->chip_name;
    return line->chip_label;
}

/* Its name says which line it is: there is one, no number, and no other line of the chip has it. */
static bool has_own_name(const struct found_line *chip, size_t n, const struct found_line *line)
{
    unsigned same = 0;

    if (line->name[strspn(line->name, "0123456789")] == '\0')
        return false;
    for (size_t i = 0; i < n; i++)
        same += strcmp(chip[i].name, line->name) == 0;
    return same == 1;
}

static void channel_of(const struct found_line *chip, size_t n, const struct found_line *line,
                       char out[NAME_PART_CHARS + 1])
{
    char other[NAME_PART_CHARS + 1];
    unsigned same = 0;

    name_part_mend(line->name, strlen(line->name), out);
    for (size_t i = 0; i < n; i++) {
        name_part_mend(chip[i].name, strlen(chip[i].name), other);
        same += strcmp(other, out) == 0;
    }
    if (same != 1 || !has_own_name(chip, n, line))
        snprintf(out, NAME_PART_CHARS + 1, "line%u", line->number);
}

static void print_line(FILE *out, const struct found *f, const struct found_line *chip, size_t n,
                       const struct found_line *line)
{
    char channel[NAME_PART_CHARS + 1];

    channel_of(chip, n, line, channel);
    fprintf(out, "      - name: %s\n        chip: ", channel);
    print_quoted(out, chip_of(f, line));
    fprintf(out, "\n        line: ");
    if (has_own_name(chip, n, line))
        print_quoted(out, line->name);
    else
        fprintf(out, "%u", line->number);
    fprintf(out, "\n");
    if (line->is_active_low)
        fprintf(out, "        active_low: true\n");
}

static void print_comment(FILE *out, const struct found_line *line, bool is_free)
{
    fprintf(out, "      # line %u ", line->number);
    print_quoted(out, line->name);
    if (line->is_used) {
        fprintf(out, ": in use by ");
        print_quoted(out, line->consumer);
    } else if (is_free) {
        fprintf(out, ": free; a source takes %d lines, so this is for another one", SOURCE_GPIO_LINES_MAX);
    } else {
        fprintf(out, ": an output");
    }
    fprintf(out, "\n");
}

/* One chip: n lines from `chip` on. */
static void print_chip(FILE *out, const struct found *f, const struct found_line *chip, size_t n)
{
    unsigned n_free = 0, n_listed = 0;

    for (size_t i = 0; i < n; i++)
        n_free += !chip[i].is_used && !chip[i].is_output;
    fprintf(out, "  # GPIO chip %s ", chip->chip_name);
    print_quoted(out, chip->chip_label);
    fprintf(out, ": %zu lines, %u of them free inputs. With `mode: edges` a line is counted as well.\n", n,
            n_free);
    /* Without a line to read it is no source. */
    if (n_free > 0)
        fprintf(out, "  - type: gpio\n    name: %s\n    lines:\n", chip->chip_name);
    for (size_t i = 0; i < n; i++) {
        bool is_free = !chip[i].is_used && !chip[i].is_output;

        if (is_free && n_listed < SOURCE_GPIO_LINES_MAX) {
            print_line(out, f, chip, n, &chip[i]);
            n_listed++;
        } else {
            print_comment(out, &chip[i], is_free);
        }
    }
}

int probe_gpio(const struct probe_options *o, FILE *out, struct errmsg *err)
{
    struct found f = {0};
    size_t from = 0;
    int n_chips = 0, rc;

    if (o->root != NULL && o->root[0] != '\0') /* chips are devices, not files in a tree */
        return 0;
    rc = gpio_lines_each(remember, &f);
    for (size_t to = 0; to < f.n && rc == 0; to++)
        if (to + 1 == f.n || strcmp(f.lines[to + 1].chip_name, f.lines[from].chip_name) != 0) {
            print_chip(out, &f, &f.lines[from], to + 1 - from);
            from = to + 1;
            n_chips++;
        }
    free(f.lines);
    if (rc == -ENOTSUP)
        return 0;
    return rc != 0 ? errmsg_set(err, rc, "GPIO chips: %s", strerror(-rc)) : n_chips;
}
