/* Node lists, enrolment and commands. */
#include "bench.h"

#include "base/file.h"
#include "ctl/commands.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct trust {
    struct operator_keys operator, other;
    struct ctl_paths paths;
};

static void prepare(struct bench *b, struct trust *t)
{
    struct ctl_settings s = {0};
    struct errmsg err;

    snprintf(s.state_dir, sizeof(s.state_dir), "%s", b->state);
    snprintf(s.run_dir, sizeof(s.run_dir), "%s", b->run);
    ctl_paths_make(&t->paths, &s, "spool");
    assert_int_equal(ctl_paths_ready(&t->paths, &err), 0);
    operator_keys_generate(&t->operator);
    operator_keys_generate(&t->other);
}

static struct upper_port_node node(const char *id, uint8_t key)
{
    struct upper_port_node n = {.role = "device", .site = "plant", .transport = {key}, .end = {key, 1}};

    snprintf(n.id, sizeof(n.id), "%s", id);
    return n;
}

static void signed_list_comes_back_as_it_was(void **state)
{
    struct trust t;
    struct nodes l = {0}, back = {0};
    struct upper_port_node a = node("pump-1", 1), b = node("pump-2", 2);
    struct errmsg err;

    prepare(*state, &t);
    b.revoked = true;
    assert_int_equal(nodes_set(&l, &b), 0);
    assert_int_equal(nodes_set(&l, &a), 0);
    assert_int_equal(nodes_save(t.paths.nodes_doc, &l, &t.operator, & err), 0);
    assert_int_equal(l.version, 1);
    assert_int_equal(nodes_load(t.paths.nodes_doc, t.operator.public_key, &back, &err), 0);
    assert_int_equal(back.version, 1);
    assert_int_equal(back.n, 2);
    assert_string_equal(back.at[0].id, "pump-1");
    assert_memory_equal(&back.at[0], &a, sizeof(a));
    assert_true(nodes_find(&back, "pump-2")->revoked);
    assert_non_null(nodes_find_key(&back, a.transport));
    assert_null(nodes_find(&back, "pump-3"));
    nodes_deinit(&l);
    nodes_deinit(&back);
}

static void list_of_another_operator_is_forged(void **state)
{
    struct trust t;
    struct nodes l = {0}, back;
    struct errmsg err;

    prepare(*state, &t);
    assert_int_equal(nodes_load(t.paths.nodes_doc, t.operator.public_key, &back, &err), NODES_MISSING);
    assert_int_equal(nodes_save(t.paths.nodes_doc, &l, &t.other, &err), 0);
    assert_int_equal(nodes_load(t.paths.nodes_doc, t.operator.public_key, &back, &err), NODES_FORGED);
}

static void any_changed_byte_of_a_list_is_noticed(void **state)
{
    struct trust t;
    struct nodes l = {0}, back = {0};
    struct upper_port_node a = node("pump-1", 1);
    struct buf text = {0};
    struct errmsg err;

    prepare(*state, &t);
    assert_int_equal(nodes_set(&l, &a), 0);
    assert_int_equal(nodes_save(t.paths.nodes_doc, &l, &t.operator, & err), 0);
    assert_int_equal(file_read(t.paths.nodes_doc, 4096, &text), 0);
    for (size_t i = 0; i < text.len; i++) {
        text.data[i] ^= 1;
        assert_int_equal(file_write_atomic(t.paths.nodes_doc, span_of(text.data, text.len), 0600), 0);
        assert_int_equal(nodes_load(t.paths.nodes_doc, t.operator.public_key, &back, &err), NODES_FORGED);
        text.data[i] ^= 1;
    }
    buf_deinit(&text);
    nodes_deinit(&l);
}

static void older_document_never_replaces_a_newer_one(void **state)
{
    struct trust t;
    struct nodes l = {0};
    struct wire_arena *a;
    struct buf text = {0};
    Fogline__V1__Document *d;
    struct errmsg err;
    char path[CTL_FILE_CHARS + 16];
    uint64_t version;

    prepare(*state, &t);
    snprintf(path, sizeof(path), "%s/source.doc", t.paths.state_dir);
    assert_int_equal(nodes_save(path, &l, &t.operator, & err), 0);
    assert_int_equal(nodes_save(path, &l, &t.operator, & err), 0);
    assert_int_equal(nodes_read_document(path, &text, &version), 0);
    assert_int_equal(version, 2);
    assert_int_equal(wire_arena_new(&a, 1 << 20), 0);
    assert_int_equal(wire_document_unpack(a, span_of(text.data, text.len), &d), 0);
    assert_int_equal(nodes_take_document(t.paths.nodes_doc, d, t.operator.public_key, 2, &err), NODES_OLD);
    assert_int_not_equal(access(t.paths.nodes_doc, F_OK), 0);
    assert_int_equal(nodes_take_document(t.paths.nodes_doc, d, t.other.public_key, 1, &err), NODES_FORGED);
    assert_int_not_equal(access(t.paths.nodes_doc, F_OK), 0);
    assert_int_equal(nodes_take_document(t.paths.nodes_doc, d, t.operator.public_key, 1, &err), 0);
    assert_int_equal(access(t.paths.nodes_doc, F_OK), 0);
    wire_arena_free(a);
    buf_deinit(&text);
}

static void signed_list_wins_over_local_accepts(void **state)
{
    struct nodes l = {0}, local = {0};
    struct upper_port_node revoked = node("pump-1", 1), again = node("pump-1", 1),
                           other_name = node("pump-x", 1), fresh = node("pump-2", 2);

    (void)state;
    revoked.revoked = true;
    assert_int_equal(nodes_set(&l, &revoked), 0);
    assert_int_equal(nodes_set(&local, &again), 0);
    assert_int_equal(nodes_set(&local, &other_name), 0);
    assert_int_equal(nodes_set(&local, &fresh), 0);
    assert_int_equal(nodes_add_local(&l, &local), 0);
    assert_int_equal(l.n, 2);
    assert_true(nodes_find(&l, "pump-1")->revoked);
    assert_null(nodes_find(&l, "pump-x"));
    assert_non_null(nodes_find(&l, "pump-2"));
    nodes_deinit(&l);
    nodes_deinit(&local);
}

static void a_change_of_the_files_is_seen_once(void **state)
{
    struct trust t;
    struct nodes l = {0};
    struct nodes_watch w = {0};
    struct errmsg err;

    prepare(*state, &t);
    assert_true(nodes_watch_changed(&w, t.paths.nodes_doc, t.paths.nodes_local));
    assert_false(nodes_watch_changed(&w, t.paths.nodes_doc, t.paths.nodes_local));
    assert_int_equal(nodes_save(t.paths.nodes_doc, &l, &t.operator, & err), 0);
    assert_true(nodes_watch_changed(&w, t.paths.nodes_doc, t.paths.nodes_local));
    assert_false(nodes_watch_changed(&w, t.paths.nodes_doc, t.paths.nodes_local));
    assert_int_equal(nodes_save_local(t.paths.nodes_local, &l, &err), 0);
    assert_true(nodes_watch_changed(&w, t.paths.nodes_doc, t.paths.nodes_local));
}

static char *key_text(uint8_t seed, char out[KEY_TEXT_CHARS])
{
    struct node_public p;
    uint8_t secret[KEY_BYTES] = {0, seed}; /* the low bits of the first byte do not count */

    crypto_scalarmult_base(p.transport, secret);
    secret[2] = 1;
    crypto_scalarmult_base(p.end, secret);
    node_public_format(&p, out);
    return out;
}

static void accepted_on_a_fog_is_provisional_and_of_its_site(void **state)
{
    char key[KEY_TEXT_CHARS], other[KEY_TEXT_CHARS];
    const struct said *s;
    struct trust t;
    struct nodes local;
    struct errmsg err;

    prepare(*state, &t);
    key_text(1, key);
    key_text(2, other);
    s = bench_run(*state, "enroll", "accept", "pump-1", key, NULL);
    assert_int_equal(s->code, CTL_OK);
    assert_non_null(strstr(s->out, "provisional pump-1"));
    assert_non_null(strstr(s->err, "cloudctl enroll accept pump-1 fn1-"));
    assert_int_equal(nodes_load_local(t.paths.nodes_local, &local, &err), 0);
    assert_int_equal(local.n, 1);
    assert_true(local.at[0].provisional);
    assert_string_equal(local.at[0].site, "plant");
    nodes_deinit(&local);
    s = bench_run(*state, "enroll", "list", NULL);
    assert_int_equal(s->code, CTL_OK);
    assert_non_null(strstr(s->out, "provisional"));
    assert_int_equal(bench_run(*state, "enroll", "accept", "x", other, "--site", "elsewhere", NULL)->code,
                     CTL_USAGE);
    assert_int_equal(bench_run(*state, "enroll", "accept", "x", other, "--role", "fog", NULL)->code,
                     CTL_USAGE);
    assert_int_equal(bench_run(*state, "enroll", "accept", "x", "fn1-nonsense", NULL)->code, CTL_USAGE);
    assert_int_equal(bench_run(*state, "enroll", "accept", "pump-2", key, NULL)->code, CTL_FAILED);
    assert_int_equal(bench_run(*state, "enroll", "accept", "pump-1", other, NULL)->code, CTL_FAILED);
    assert_int_equal(bench_run(*state, "enroll", "revoke", "pump-1", NULL)->code, CTL_OK);
    assert_int_equal(bench_run(*state, "enroll", "revoke", "pump-9", NULL)->code, CTL_NOT_FOUND);
    assert_int_equal(bench_run(*state, "enroll", "accept", "pump-1", other, NULL)->code, CTL_OK);
}

static void accepted_on_the_cloud_is_signed_with_the_next_version(void **state)
{
    char key[KEY_TEXT_CHARS];
    struct trust t;
    struct nodes l;
    struct errmsg err;

    prepare(*state, &t);
    bench_tier.authority = true;
    assert_int_equal(operator_keys_save(t.paths.operator_key, &t.operator, & err), 0);
    assert_int_equal(ctl_operator_pub_save(t.paths.operator_pub, t.operator.public_key, &err), 0);
    assert_int_equal(bench_run(*state, "enroll", "accept", "pump-1", key_text(1, key), NULL)->code,
                     CTL_USAGE);
    assert_int_equal(bench_run(*state, "enroll", "accept", "pump-1", key, "--site", "plant", NULL)->code,
                     CTL_OK);
    assert_int_equal(bench_run(*state, "enroll", "accept", "fog-1", key_text(2, key), "--site", "plant",
                               "--role", "fog", NULL)
                         ->code,
                     CTL_OK);
    assert_int_equal(bench_run(*state, "enroll", "revoke", "pump-1", NULL)->code, CTL_OK);
    assert_int_equal(nodes_load(t.paths.nodes_doc, t.operator.public_key, &l, &err), 0);
    assert_int_equal(l.version, 3);
    assert_int_equal(l.n, 2);
    assert_string_equal(nodes_find(&l, "fog-1")->role, "fog");
    assert_false(nodes_find(&l, "fog-1")->provisional);
    assert_true(nodes_find(&l, "pump-1")->revoked);
    nodes_deinit(&l);
}

static void refused_keys_are_listed_with_the_command_to_run(void **state)
{
    struct gate_refusal r = {
        .transport = {9}, .address = "10.0.0.7", .count = 31, .last_unix_ns = 1700000000000000000};
    struct nodes_refused_view v = {"benchctl", "x.yaml", &r, 1};
    char fingerprint[KEY_FINGERPRINT_CHARS + 1];
    struct trust t;
    const struct said *s;

    prepare(*state, &t);
    key_fingerprint(r.transport, fingerprint);
    assert_int_equal(nodes_write_refused(t.paths.refused, &v), 0);
    s = bench_run(*state, "enroll", "list", NULL);
    assert_int_equal(s->code, CTL_OK);
    assert_non_null(strstr(s->out, fingerprint));
    assert_non_null(strstr(s->out, "10.0.0.7"));
    assert_non_null(strstr(s->out, "31"));
    assert_non_null(strstr(s->err, "enroll accept NODE KEY"));
    s = bench_run(*state, "enroll", "list", "--json", NULL);
    assert_non_null(strstr(s->out, "\"accept\":\"benchctl -c x.yaml enroll accept NODE KEY\""));
}

struct sealed {
    struct command command;
    uint8_t seal[KEY_BYTES];
    struct wire_arena *arena;
    struct buf packed;
    Fogline__V1__Document *document;
    struct command_trust trust;
};

static void make_command(struct trust *t, struct sealed *s)
{
    *s = (struct sealed){.command = {.target = "pump-1",
                                     .counter = 5,
                                     .argument = "blink",
                                     .type = FOGLINE__V1__COMMAND_TYPE__COMMAND_TYPE_IDENTIFY}};
    randombytes_buf(s->seal, sizeof(s->seal));
    assert_int_equal(command_make(&s->command, s->seal, &t->operator, & s->packed), 0);
    assert_int_equal(wire_arena_new(&s->arena, 1 << 20), 0);
    assert_int_equal(wire_document_unpack(s->arena, span_of(s->packed.data, s->packed.len), &s->document), 0);
    s->trust = (struct command_trust){"pump-1", t->operator.public_key, s->seal, 4};
}

static void free_command(struct sealed *s)
{
    wire_arena_free(s->arena);
    buf_deinit(&s->packed);
}

static void command_opens_at_its_target_once(void **state)
{
    struct trust t;
    struct sealed s;
    struct command c;

    prepare(*state, &t);
    make_command(&t, &s);
    assert_int_equal(command_open(s.document, &s.trust, &c), 0);
    assert_string_equal(c.argument, "blink");
    assert_int_equal(c.counter, 5);
    assert_string_equal(command_type_name(c.type), "identify");
    s.trust.last = 5;
    assert_int_equal(command_open(s.document, &s.trust, &c), COMMAND_OLD);
    s.trust.last = 0;
    s.trust.node = "pump-2";
    assert_int_equal(command_open(s.document, &s.trust, &c), COMMAND_FOREIGN);
    free_command(&s);
}

static void command_with_wrong_signature_seal_or_counter_is_forged(void **state)
{
    struct trust t;
    struct sealed s;
    struct command c;

    prepare(*state, &t);
    make_command(&t, &s);
    s.trust.operator_public = t.other.public_key;
    assert_int_equal(command_open(s.document, &s.trust, &c), COMMAND_FORGED);
    s.trust.operator_public = t.operator.public_key;
    s.document->version++; /* replayed under a later counter */
    assert_int_equal(command_open(s.document, &s.trust, &c), COMMAND_FORGED);
    s.document->version--;
    s.document->body.data[30] ^= 1;
    assert_int_equal(command_open(s.document, &s.trust, &c), COMMAND_FORGED);
    s.document->body.data[30] ^= 1;
    s.seal[0] ^= 1;
    assert_int_equal(command_open(s.document, &s.trust, &c), COMMAND_FORGED);
    s.seal[0] ^= 1;
    assert_int_equal(command_open(s.document, &s.trust, &c), 0);
    free_command(&s);
}

static void counters_are_never_given_twice(void **state)
{
    struct trust t;
    struct commands c = {0};
    uint64_t first, second;

    prepare(*state, &t);
    assert_int_equal(commands_load(t.paths.commands, &c), 0);
    assert_int_equal(c.n, 0);
    assert_int_equal(commands_next_counter(t.paths.commands, "pump-1", &first), 0);
    assert_int_equal(commands_save(t.paths.commands, "pump-1", first, span_str("one")), 0);
    assert_int_equal(commands_remove(t.paths.commands, "pump-1", first), 0);
    assert_int_equal(commands_remove(t.paths.commands, "pump-1", first), 0);
    assert_int_equal(commands_next_counter(t.paths.commands, "pump-1", &second), 0);
    assert_true(second > first);
    assert_int_equal(commands_save(t.paths.commands, "pump-1", 10, span_str("ten")), 0);
    assert_int_equal(commands_save(t.paths.commands, "pump-1", second, span_str("two")), 0);
    assert_int_equal(commands_save(t.paths.commands, "a-7", 3, span_str("other")), 0);
    assert_int_equal(commands_load(t.paths.commands, &c), 0);
    assert_int_equal(c.n, 3);
    assert_string_equal(c.at[0].node, "a-7");
    assert_int_equal(c.at[1].counter, second);
    assert_int_equal(c.at[2].counter, 10);
    assert_int_equal(c.at[2].packed.len, 3);
    commands_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(signed_list_comes_back_as_it_was, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(list_of_another_operator_is_forged, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(any_changed_byte_of_a_list_is_noticed, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(older_document_never_replaces_a_newer_one, bench_setup,
                                        bench_teardown),
        cmocka_unit_test(signed_list_wins_over_local_accepts),
        cmocka_unit_test_setup_teardown(a_change_of_the_files_is_seen_once, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(accepted_on_a_fog_is_provisional_and_of_its_site, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(accepted_on_the_cloud_is_signed_with_the_next_version, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(refused_keys_are_listed_with_the_command_to_run, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(command_opens_at_its_target_once, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(command_with_wrong_signature_seal_or_counter_is_forged, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(counters_are_never_given_twice, bench_setup, bench_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
