/* Payloads that wait for the next commit. */
#include "device/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t put(struct batch *b, const char *text)
{
    struct batch_entry e = {.kind = 1};
    uint64_t no;

    buf_append(batch_begin(b), text, strlen(text));
    assert_int_equal(batch_end(b, &e, &no), 0);
    return no;
}

static void a_sweep_keeps_what_is_not_done_in_order(void **state)
{
    struct batch *b;

    (void)state;
    assert_int_equal(batch_new(&b), 0);
    assert_int_equal(put(b, "one"), 1);
    assert_int_equal(put(b, "two"), 2);
    put(b, "three");
    put(b, "four");
    buf_append(batch_begin(b), "never ended", 11);
    batch_at(b, 0)->is_done = batch_at(b, 2)->is_done = true;
    batch_sweep(b);
    assert_int_equal(batch_n(b), 2);
    assert_memory_equal(batch_payload(b, batch_at(b, 0)).data, "two", 3);
    assert_memory_equal(batch_payload(b, batch_at(b, 1)).data, "four", 4);
    assert_int_equal(put(b, "five"), 5);
    assert_memory_equal(batch_payload(b, batch_at(b, 2)).data, "five", 4);
    assert_int_equal(batch_at(b, 1)->no, 4);
    for (size_t i = 0; i < 3; i++)
        batch_at(b, i)->is_done = true;
    batch_sweep(b);
    assert_int_equal(batch_bytes(b), 0);
    batch_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sweep_keeps_what_is_not_done_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
