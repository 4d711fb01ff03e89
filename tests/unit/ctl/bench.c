#include "bench.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct config_row rows[] = {
    CTL_ROWS_NODE(struct bench_config, common),
    CTL_ROWS_SITE(struct bench_config, common),
    CTL_ROWS_STORE(struct bench_config, common, "/nowhere/state", "/nowhere/run", "8 MiB", "1 MiB"),
    CTL_ROWS_UP(struct bench_config, common),
    CTL_ROWS_LISTEN(struct bench_config, common, "5510", "16 MiB"),
    {"depth", CONFIG_I64, CONFIG_AT(struct bench_config, depth), .min = "0", .max = "9", .def = "3",
     .help = "A number."},
    {"words", CONFIG_STRINGS, CONFIG_AT(struct bench_config, words), .max = "3", .help = "Some words."},
    {NULL},
};

static void check(const void *values, struct config_check *c)
{
    ctl_settings_check(&((const struct bench_config *)values)->common, c);
}

const struct config_schema bench_schema = {
    .name = "bench", .rows = rows, .size = sizeof(struct bench_config), .check = check};

static const char *const tables[] = {SPOOL_TABLE_NAMES};
static const struct cmd *const cmds[] = {ctl_verbs, ctl_verbs_spool, ctl_verbs_enroll, NULL};

struct ctl_tier bench_tier = {
    .name = "fog",
    .cli = "benchctl",
    .daemon = "benchd",
    .about = "a tier of the tests",
    .config_path = "/nowhere/bench.yaml",
    .schema = &bench_schema,
    .settings_offset = offsetof(struct bench_config, common),
    .store_name = "spool",
    .tables = tables,
    .n_tables = 5,
    .cmds = cmds,
};

void bench_configure(struct bench *b, const char *more)
{
    FILE *f = fopen(b->config, "w");

    assert_non_null(f);
    fprintf(f, "node: fog-a\nsite: plant\nstate_dir: %s\nrun_dir: %s\n%s", b->state, b->run, more);
    assert_int_equal(fclose(f), 0);
}

int bench_setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    const char *tmp = getenv("TMPDIR");

    assert_int_equal(keys_init(), 0);
    snprintf(b->folder, sizeof(b->folder), "%.200s/fogline-ctl-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(b->folder) == NULL)
        return -1;
    snprintf(b->config, sizeof(b->config), "%s/bench.yaml", b->folder);
    snprintf(b->state, sizeof(b->state), "%s/state", b->folder);
    snprintf(b->run, sizeof(b->run), "%s/run", b->folder);
    bench_configure(b, "");
    bench_tier.authority = false;
    *state = b;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int bench_teardown(void **state)
{
    struct bench *b = *state;

    nftw(b->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(b);
    return 0;
}

const struct said *bench_run(struct bench *b, ...)
{
    static struct said said;
    char *argv[32] = {(char *)"benchctl", (char *)"-c", b->config}, *out = NULL, *err = NULL;
    size_t out_len = 0, err_len = 0;
    FILE *fo = open_memstream(&out, &out_len), *fe = open_memstream(&err, &err_len);
    int argc = 3;
    va_list ap;

    va_start(ap, b);
    while ((argv[argc] = va_arg(ap, char *)) != NULL)
        argc++;
    va_end(ap);
    said.code = cmd_run(&bench_tier, argc, argv, fo, fe);
    fclose(fo);
    fclose(fe);
    snprintf(said.out, sizeof(said.out), "%s", out);
    snprintf(said.err, sizeof(said.err), "%s", err);
    free(out);
    free(err);
    return &said;
}
