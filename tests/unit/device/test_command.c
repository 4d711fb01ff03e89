/* Orders from above: carried out once, whatever is repeated, and only when they are the operator's and for
 * us. */
#include "device/io.h"
#include "tests/lib/tmpdir.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

struct bench {
    struct tmpdir dir;
    char config[600];
    struct node_keys node, cloud;
    struct operator_keys operator_keys;
};

static void write_config(struct bench *b)
{
    struct link_key k;
    char text[KEY_TEXT_CHARS];
    FILE *f = fopen(b->config, "w");

    assert_non_null(f);
    memcpy(k.upper_transport, b->cloud.transport_public, KEY_BYTES);
    memcpy(k.cloud_end, b->cloud.end_public, KEY_BYTES);
    memcpy(k.operator_public, b->operator_keys.public_key, KEY_BYTES);
    link_key_format(&k, text);
    fprintf(f,
            "node: dev\nsite: here\nstate_dir: state\nrun_dir: run\nlog:\n  level: error\nstore:\n  "
            "map_bytes: 4 MiB\n"
            "up:\n  endpoints: ['127.0.0.1:9']\n  keys: [%s]\n",
            text);
    fclose(f);
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    struct errmsg err;

    tmpdir_init(&b->dir);
    snprintf(b->config, sizeof b->config, "%s/d.yaml", b->dir.path);
    assert_int_equal(keys_init(), 0);
    node_keys_generate(&b->node);
    node_keys_generate(&b->cloud);
    operator_keys_generate(&b->operator_keys);
    assert_int_equal(file_mkdirs(tmpdir_path(&b->dir, "state"), 0700), 0);
    assert_int_equal(node_keys_save(tmpdir_path(&b->dir, "state/node.key"), &b->node, &err), 0);
    write_config(b);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    tmpdir_deinit(&b->dir);
    free(b);
    return 0;
}

static void make_order(struct bench *b, const char *target, uint64_t counter, struct buf *ret)
{
    struct command c = {.counter = counter, .type = FOGLINE__V1__COMMAND_TYPE__COMMAND_TYPE_IDENTIFY};
    struct end_keys keys;

    snprintf(c.target, sizeof c.target, "%s", target);
    assert_int_equal(
        end_keys_derive(b->cloud.end_secret, b->cloud.end_public, b->node.end_public, false, &keys), 0);
    buf_reset(ret);
    assert_int_equal(command_make(&c, keys.seal, &b->operator_keys, ret), 0);
}

struct outcome {
    uint64_t done, refused;
};

/* One life of the device: it gets the order twice, answers and commits. In a child, since a daemon locks and
 * blocks signals. */
static int live(struct bench *b, struct span order, const struct outcome *expected)
{
    char *argv[] = {(char *)"fogline-device", (char *)"-c", b->config, NULL};
    struct device_tier tier;
    struct daemon d;
    struct errmsg err = {""};
    struct io *io;
    struct wire_arena *arena;
    Fogline__V1__Document *document;
    uint64_t held_before;
    bool ok;

    assert_int_equal(device_tier_init(&tier, NULL, NULL, &(struct errmsg){""}), 0);
    if (daemon_begin(&d, &tier.tier, 3, argv) != DAEMON_RUN || io_new(&io, &d, &tier, &err) != 0)
        return 2;
    if (wire_arena_new(&arena, 1 << 20) != 0 || wire_document_unpack(arena, order, &document) != 0)
        return 3;
    held_before = spool_held_records(io->spool);
    io_on_document(io, document);
    io_on_document(io, document);
    io_run_commands(io);
    io_commit(io);
    io_on_document(io, document); /* announced again before the reply has got through */
    io_run_commands(io);
    /* Each order done has left a note and a reply. */
    ok = io->error == 0 && io->counter[IO_COMMANDS] == expected->done &&
         io->counter[IO_COMMANDS_REFUSED] >= expected->refused &&
         spool_held_records(io->spool) == held_before + 2 * expected->done;
    wire_arena_free(arena);
    io_free(io);
    return daemon_end(&d, ok ? 0 : 1);
}

static void assert_life(struct bench *b, const struct buf *order, struct outcome expected)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60);
        _exit(live(b, span_of(order->data, order->len), &expected));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void an_order_is_carried_out_once_across_restarts(void **state)
{
    struct bench *b = *state;
    owned(buf_deinit) struct buf order = {0};

    make_order(b, "dev", 7, &order);
    assert_life(b, &order, (struct outcome){1, 0});
    assert_life(b, &order, (struct outcome){0, 0});
    make_order(b, "dev", 6, &order); /* an older one that was held back */
    assert_life(b, &order, (struct outcome){0, 0});
    make_order(b, "dev", 8, &order);
    assert_life(b, &order, (struct outcome){1, 0});
}

static void an_order_for_another_or_by_another_is_not_carried_out(void **state)
{
    struct bench *b = *state;
    struct operator_keys genuine = b->operator_keys;
    owned(buf_deinit) struct buf order = {0};

    make_order(b, "other", 1, &order);
    assert_life(b, &order, (struct outcome){0, 0});
    operator_keys_generate(&b->operator_keys);
    make_order(b, "dev", 1, &order);
    assert_life(b, &order, (struct outcome){0, 1});
    b->operator_keys = genuine;
    make_order(b, "dev", 1, &order);
    assert_life(b, &order, (struct outcome){1, 0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_order_is_carried_out_once_across_restarts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_order_for_another_or_by_another_is_not_carried_out, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
