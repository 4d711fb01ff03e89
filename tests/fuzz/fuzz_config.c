/* fuzz_config.c - any bytes as a config file: no crash, no leak; what loads is printed and loads again the
 * same. */
#include "unit/config/sample.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static int load(struct span text, struct sample *s, struct config_problems *p)
{
    struct config_text t = {"fuzz", "/f", text};
    int r = config_load_text(&sample_schema, &t, s, p);

    must(r == 0 || r == CONFIG_BAD);
    must((r == CONFIG_BAD) == (p->n > 0 || p->n_left_out > 0));
    return r;
}

static void print_again(const struct sample *s, unsigned flags)
{
    struct config_problems p = {0};
    struct config_changes c = {0};
    struct sample again;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    must(out != NULL && config_print(&sample_schema, s, out, flags) == 0);
    fclose(out);
    if (len <= CONFIG_FILE_BYTES) {
        must(load((struct span){(const uint8_t *)text, len}, &again, &p) == 0);
        must(config_diff_reloadable(&sample_schema, s, &again, &c) == 0 && c.n == 0);
        config_free_values(&sample_schema, &again);
    }
    free(text);
    config_changes_deinit(&c);
    config_problems_deinit(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_problems p = {0};
    struct sample s;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    must(out != NULL);
    if (load((struct span){data, size}, &s, &p) == 0) {
        print_again(&s, 0);
        print_again(&s, CONFIG_PRINT_HELP);
    } else {
        config_problems_print(&p, out);
        must(config_problems_print_json(&p, out) == 0);
    }
    fclose(out);
    free(text);
    config_free_values(&sample_schema, &s);
    config_problems_deinit(&p);
    return 0;
}
