/* The n-th allocation fails, for each n: loading says so, frees what it had (seen by the address sanitizer),
 * and works once there is enough. The linker hands the module's allocations to the wrappers here. */
#include "sample.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static long allowed = -1; /* allocations before one fails; negative: no end */

void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

static bool fails(void)
{
    return allowed >= 0 && allowed-- == 0;
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

char *__wrap_strdup(const char *s)
{
    return fails() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
    return fails() ? NULL : __real_strndup(s, n);
}

/* How many allocations a load takes; each of them has failed once on the way. */
static long load_with_less_and_less_memory(const char *text, int expected)
{
    struct config_text t = {"t", "/f", span_str(text)};

    for (long n = 0;; n++) {
        struct config_problems p = {0};
        struct sample s;
        bool failed;
        int r;

        allowed = n;
        r = config_load_text(&sample_schema, &t, &s, &p);
        failed = allowed < 0;
        allowed = -1;
        if (r == 0)
            config_free_values(&sample_schema, &s);
        else
            assert_null(s.sources.at);
        config_problems_deinit(&p);
        if (!failed) {
            assert_int_equal(r, expected);
            return n;
        }
        assert_true(r == -ENOMEM || (r == CONFIG_BAD && expected == CONFIG_BAD));
    }
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    assert_true(
        load_with_less_and_less_memory("site: s\n"
                                       "link: {up_endpoint: fog:1}\n"
                                       "tags: [a, b]\n"
                                       "sources:\n"
                                       "- {type: csv, name: x, path: p, channels: [{name: a}, {name: b}]}\n"
                                       "- {type: sine, name: y}\n",
                                       0) > 20);
}

static void problems_without_memory_still_fail_the_load(void **state)
{
    (void)state;
    assert_true(load_with_less_and_less_memory("site: a/b\nx: 1\ntags: [a, {}]\nsources: [{type: z}]\n",
                                               CONFIG_BAD) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failed_allocation_is_reported),
        cmocka_unit_test(problems_without_memory_still_fail_the_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
