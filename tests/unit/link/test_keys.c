#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "link/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* ---- texts ---- */

static struct node_public some_node(void)
{
    struct node_public p;
    randombytes_buf(&p, sizeof p);
    return p;
}

static void texts_come_back_as_they_went(void **state)
{
    (void)state;
    char text[KEY_TEXT_CHARS];
    struct node_public p = some_node(), p2;
    node_public_format(&p, text);
    assert_memory_equal(text, "fn1-", 4);
    assert_int_equal(node_public_parse(text, &p2, NULL), 0);
    assert_memory_equal(&p, &p2, sizeof p);

    struct link_key k, k2;
    randombytes_buf(&k, sizeof k);
    link_key_format(&k, text);
    assert_memory_equal(text, "fl1-", 4);
    assert_int_equal(link_key_parse(text, &k2, NULL), 0);
    assert_memory_equal(&k, &k2, sizeof k);
}

static void blanks_around_a_text_do_no_harm(void **state)
{
    (void)state;
    char text[KEY_TEXT_CHARS], padded[KEY_TEXT_CHARS + 8];
    struct node_public p = some_node(), p2;
    node_public_format(&p, text);
    snprintf(padded, sizeof padded, " \t%s \r\n", text);
    assert_int_equal(node_public_parse(padded, &p2, NULL), 0);
    assert_memory_equal(&p, &p2, sizeof p);
}

static void every_single_typo_is_refused(void **state)
{
    (void)state;
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ .";
    char text[KEY_TEXT_CHARS];
    struct node_public p = some_node(), p2;
    node_public_format(&p, text);
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        char right = text[i];
        for (const char *c = letters; *c != '\0'; c++) {
            if (*c == right)
                continue;
            text[i] = *c;
            assert_int_equal(node_public_parse(text, &p2, NULL), -EINVAL);
        }
        text[i] = right;
    }
    for (size_t i = 0; i + 1 < len; i++) { /* two letters swapped */
        char a = text[i], b = text[i + 1];
        text[i] = b;
        text[i + 1] = a;
        assert_int_equal(node_public_parse(text, &p2, NULL), a == b ? 0 : -EINVAL);
        text[i] = a;
        text[i + 1] = b;
    }
}

static void cut_long_and_empty_texts_are_refused(void **state)
{
    (void)state;
    char text[KEY_TEXT_CHARS], longer[KEY_TEXT_CHARS + 1];
    struct node_public p = some_node(), p2;
    node_public_format(&p, text);
    snprintf(longer, sizeof longer, "%sA", text);
    assert_int_equal(node_public_parse(longer, &p2, NULL), -EINVAL);
    for (size_t len = strlen(text); len-- > 0;) {
        text[len] = '\0';
        assert_int_equal(node_public_parse(text, &p2, NULL), -EINVAL);
    }
}

static void one_kind_of_text_is_not_taken_for_the_other(void **state)
{
    (void)state;
    char text[KEY_TEXT_CHARS];
    struct errmsg err = {""};
    struct node_public p = some_node();
    struct link_key k;
    node_public_format(&p, text);
    assert_int_equal(link_key_parse(text, &k, &err), -EINVAL);
    assert_non_null(strstr(err.text, "fl1-"));
    assert_non_null(strstr(err.text, "node key"));
}

static void fingerprint_and_topic_follow_from_the_key(void **state)
{
    (void)state;
    uint8_t key[KEY_BYTES] = {1}, other[KEY_BYTES] = {2}, topic[KEY_TOPIC_BYTES], topic2[KEY_TOPIC_BYTES];
    char a[KEY_FINGERPRINT_CHARS + 1], b[KEY_FINGERPRINT_CHARS + 1];
    key_fingerprint(key, a);
    key_fingerprint(other, b);
    assert_int_equal(strlen(a), KEY_FINGERPRINT_CHARS);
    assert_int_equal(strspn(a, "0123456789abcdef-"), KEY_FINGERPRINT_CHARS);
    assert_true(a[4] == '-' && a[9] == '-' && a[14] == '-');
    assert_string_not_equal(a, b);
    key_topic(key, topic);
    key_topic(other, topic2);
    assert_memory_not_equal(topic, topic2, KEY_TOPIC_BYTES);
}

/* ---- files ---- */

struct folder {
    char path[64], file[96];
    struct errmsg err;
};

static int make_folder(void **state)
{
    struct folder *f = calloc(1, sizeof *f);
    if (f == NULL)
        return -1;
    const char *tmp = getenv("TMPDIR");
    snprintf(f->path, sizeof f->path, "%s/keysXXXXXX", tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
    if (mkdtemp(f->path) == NULL)
        return -1;
    snprintf(f->file, sizeof f->file, "%s/node.key", f->path);
    *state = f;
    return 0;
}

static int remove_folder(void **state)
{
    struct folder *f = *state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", f->path);
    int r = system(command);
    free(f);
    return r;
}

static void saved_keys_load_again(void **state)
{
    struct folder *f = *state;
    struct node_keys k, k2;
    struct stat st;
    node_keys_generate(&k);
    mode_t before = umask(0);
    assert_int_equal(node_keys_save(f->file, &k, &f->err), 0);
    umask(before);
    assert_int_equal(stat(f->file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0400);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(node_keys_load(f->file, &k2, &f->err), 0);
    assert_memory_equal(&k, &k2, sizeof k);
}

static void operator_keys_load_again_and_sign_alike(void **state)
{
    struct folder *f = *state;
    struct operator_keys k, k2;
    uint8_t signature[KEY_SIGNATURE_BYTES];
    operator_keys_generate(&k);
    assert_int_equal(operator_keys_save(f->file, &k, &f->err), 0);
    assert_int_equal(operator_keys_load(f->file, &k2, &f->err), 0);
    operator_sign(&k2, span_str("list 7"), signature);
    assert_true(operator_verify(k.public_key, span_str("list 7"), span_of(signature, sizeof signature)));
    assert_false(operator_verify(k.public_key, span_str("list 8"), span_of(signature, sizeof signature)));
    assert_false(operator_verify(k.public_key, span_str("list 7"), span_of(signature, sizeof signature - 1)));
    signature[5] ^= 1;
    assert_false(operator_verify(k.public_key, span_str("list 7"), span_of(signature, sizeof signature)));
}

static void keys_are_never_overwritten(void **state)
{
    struct folder *f = *state;
    struct node_keys k, other, k2;
    node_keys_generate(&k);
    node_keys_generate(&other);
    assert_int_equal(node_keys_save(f->file, &k, &f->err), 0);
    assert_int_equal(node_keys_save(f->file, &other, &f->err), -EEXIST);
    assert_non_null(strstr(f->err.text, "mv '"));
    assert_int_equal(node_keys_load(f->file, &k2, &f->err), 0);
    assert_memory_equal(&k, &k2, sizeof k);
}

static void other_modes_are_refused_with_the_command_to_run(void **state)
{
    struct folder *f = *state;
    static const mode_t wrong[] = {0600, 0440, 0404, 0644, 04400, 0500, 0000};
    struct node_keys k, k2;
    node_keys_generate(&k);
    assert_int_equal(node_keys_save(f->file, &k, &f->err), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(chmod(f->file, wrong[i]), 0);
        assert_int_equal(node_keys_load(f->file, &k2, &f->err), -EACCES);
        if (wrong[i] & 0400) {
            char want[128];
            snprintf(want, sizeof want, "chmod 0400 '%s'", f->file);
            assert_non_null(strstr(f->err.text, want));
        }
    }
}

static void links_fifos_and_folders_are_refused(void **state)
{
    struct folder *f = *state;
    struct node_keys k, k2;
    char other[96];
    node_keys_generate(&k);
    snprintf(other, sizeof other, "%s/other", f->path);
    assert_int_equal(node_keys_save(f->file, &k, &f->err), 0);
    assert_int_equal(symlink(f->file, other), 0);
    assert_int_equal(node_keys_load(other, &k2, &f->err), -ELOOP);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(mkfifo(other, 0400), 0);
    assert_int_equal(node_keys_load(other, &k2, &f->err), -EACCES);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(mkdir(other, 0400), 0);
    assert_int_equal(node_keys_load(other, &k2, &f->err), -EACCES);
    assert_int_equal(rmdir(other), 0);
    assert_int_equal(node_keys_load(other, &k2, &f->err), -ENOENT);
}

static void a_file_of_someone_else_is_refused(void **state)
{
    struct folder *f = *state;
    struct node_keys k, k2;
    node_keys_generate(&k);
    assert_int_equal(node_keys_save(f->file, &k, &f->err), 0);
    if (geteuid() != 0)
        skip(); /* giving a file away takes root */
    assert_int_equal(chown(f->file, 12345, (gid_t)-1), 0);
    assert_int_equal(node_keys_load(f->file, &k2, &f->err), -EACCES);
    assert_non_null(strstr(f->err.text, "chown"));
}

static void a_folder_others_may_write_in_is_refused(void **state)
{
    struct folder *f = *state;
    struct node_keys k, k2;
    node_keys_generate(&k);
    assert_int_equal(node_keys_save(f->file, &k, &f->err), 0);
    assert_int_equal(chmod(f->path, 0770), 0);
    assert_int_equal(node_keys_load(f->file, &k2, &f->err), -EACCES);
    assert_non_null(strstr(f->err.text, "chmod go-w"));
    assert_int_equal(chmod(f->path, 0755), 0);
    assert_int_equal(node_keys_load(f->file, &k2, &f->err), 0);
}

/* Writes `text` over the key file. */
static void put(const struct folder *f, const char *text, size_t len)
{
    assert_true(unlink(f->file) == 0 || errno == ENOENT);
    int fd = open(f->file, O_WRONLY | O_CREAT | O_EXCL, 0400);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    close(fd);
}

static void damaged_files_are_refused(void **state)
{
    struct folder *f = *state;
    struct node_keys k, k2;
    char text[1024], bad[1100];
    int n_passed = 0;
    node_keys_generate(&k);
    assert_int_equal(node_keys_save(f->file, &k, &f->err), 0);
    int fd = open(f->file, O_RDONLY);
    ssize_t len = read(fd, text, sizeof text);
    close(fd);
    assert_true(len > 0);
    for (ssize_t cut = 0; cut < len; cut += 7) {
        put(f, text, (size_t)cut);
        assert_int_equal(node_keys_load(f->file, &k2, &f->err), -EBADMSG);
    }
    for (ssize_t i = 0; i < len; i++) {
        memcpy(bad, text, (size_t)len);
        bad[i] = bad[i] == '7' ? '8' : '7';
        put(f, bad, (size_t)len);
        /* X25519 ignores five bits of a secret; a change of those alone changes nothing. */
        if (node_keys_load(f->file, &k2, &f->err) == 0) {
            assert_memory_equal(k.transport_public, k2.transport_public, KEY_BYTES);
            assert_memory_equal(k.end_public, k2.end_public, KEY_BYTES);
            n_passed++;
        }
    }
    assert_true(n_passed <= 4);
    memcpy(bad, text, (size_t)len);
    bad[len] = '\n';
    put(f, bad, (size_t)len + 1);
    assert_int_equal(node_keys_load(f->file, &k2, &f->err), -EBADMSG);
    memset(bad, 'a', sizeof bad);
    put(f, bad, sizeof bad);
    assert_int_equal(node_keys_load(f->file, &k2, &f->err), -EFBIG);
}

static void one_kind_of_file_is_not_taken_for_the_other(void **state)
{
    struct folder *f = *state;
    struct node_keys k;
    struct operator_keys o;
    node_keys_generate(&k);
    assert_int_equal(node_keys_save(f->file, &k, &f->err), 0);
    assert_int_equal(operator_keys_load(f->file, &o, &f->err), -EBADMSG);
    assert_non_null(strstr(f->err.text, "fogline-operator-keys 1"));
    assert_int_equal(model_keys_load(f->file, &o, &f->err), -EBADMSG);
    assert_non_null(strstr(f->err.text, "fogline-model-keys 1"));
}

static void keys_for_models_come_back_and_are_not_the_operators(void **state)
{
    struct folder *f = *state;
    struct operator_keys k, k2;

    operator_keys_generate(&k);
    assert_int_equal(model_keys_save(f->file, &k, &f->err), 0);
    assert_int_equal(model_keys_load(f->file, &k2, &f->err), 0);
    assert_memory_equal(&k, &k2, sizeof k);
    assert_int_equal(operator_keys_load(f->file, &k2, &f->err), -EBADMSG);
    assert_int_equal(model_keys_save(f->file, &k, &f->err), -EEXIST);
}

/* ---- what follows from keys ---- */

static void both_ends_derive_the_same_keys_and_each_purpose_its_own(void **state)
{
    (void)state;
    struct node_keys node, cloud;
    struct end_keys at_node, at_cloud, swapped;
    node_keys_generate(&node);
    node_keys_generate(&cloud);
    assert_int_equal(end_keys_derive(node.end_secret, node.end_public, cloud.end_public, true, &at_node), 0);
    assert_int_equal(end_keys_derive(cloud.end_secret, cloud.end_public, node.end_public, false, &at_cloud),
                     0);
    assert_memory_equal(&at_node, &at_cloud, sizeof at_node);
    assert_memory_not_equal(at_node.mark, at_node.tag, KEY_BYTES);
    assert_memory_not_equal(at_node.mark, at_node.seal, KEY_BYTES);
    assert_memory_not_equal(at_node.tag, at_node.seal, KEY_BYTES);
    assert_int_equal(end_keys_derive(node.end_secret, node.end_public, cloud.end_public, false, &swapped), 0);
    assert_memory_not_equal(at_node.mark, swapped.mark, KEY_BYTES);
}

static void a_key_of_low_order_is_refused(void **state)
{
    (void)state;
    static const uint8_t zero[KEY_BYTES], one[KEY_BYTES] = {1};
    struct node_keys node;
    struct end_keys k;
    node_keys_generate(&node);
    assert_int_equal(end_keys_derive(node.end_secret, node.end_public, zero, true, &k), -EINVAL);
    assert_int_equal(end_keys_derive(node.end_secret, node.end_public, one, true, &k), -EINVAL);
}

static void a_mac_covers_key_head_and_body(void **state)
{
    (void)state;
    uint8_t key[KEY_BYTES] = {1}, other[KEY_BYTES] = {2}, mac[KEY_MAC_BYTES];
    struct span m = span_of(mac, sizeof mac);
    end_mac(key, span_str("fogline/mark/v1"), span_str("body"), mac);
    assert_true(end_mac_ok(key, span_str("fogline/mark/v1"), span_str("body"), m));
    assert_false(end_mac_ok(other, span_str("fogline/mark/v1"), span_str("body"), m));
    assert_false(end_mac_ok(key, span_str("fogline/tag/v1"), span_str("body"), m));
    assert_false(end_mac_ok(key, span_str("fogline/mark/v1"), span_str("bodi"), m));
    assert_false(
        end_mac_ok(key, span_str("fogline/mark/v1"), span_str("body"), span_of(mac, sizeof mac - 1)));
    assert_false(end_mac_ok(key, span_str("fogline/mark/v1"), span_str("body"), span_of(NULL, 0)));
    mac[15] ^= 0x80;
    assert_false(end_mac_ok(key, span_str("fogline/mark/v1"), span_str("body"), m));
}

static void sealed_text_opens_and_a_changed_one_does_not(void **state)
{
    (void)state;
    uint8_t key[KEY_BYTES] = {1}, other[KEY_BYTES] = {2};
    struct buf sealed = {0}, plain = {0};
    buf_append(&plain, "kept", 4);
    end_seal(key, span_str("document"), &sealed);
    assert_int_equal(sealed.error, 0);
    assert_int_equal(end_open(key, span_of(sealed.data, sealed.len), &plain), 0);
    assert_true(span_equal(span_of(plain.data, plain.len), span_str("keptdocument")));
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.data[i] ^= 1;
        assert_int_equal(end_open(key, span_of(sealed.data, sealed.len), &plain), -EBADMSG);
        sealed.data[i] ^= 1;
    }
    for (size_t len = 0; len < sealed.len; len++)
        assert_int_equal(end_open(key, span_of(sealed.data, len), &plain), -EBADMSG);
    assert_int_equal(end_open(other, span_of(sealed.data, sealed.len), &plain), -EBADMSG);
    assert_int_equal(plain.len, 12);
    buf_deinit(&sealed);
    buf_deinit(&plain);
}

int main(void)
{
    if (keys_init() != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_come_back_as_they_went),
        cmocka_unit_test(blanks_around_a_text_do_no_harm),
        cmocka_unit_test(every_single_typo_is_refused),
        cmocka_unit_test(cut_long_and_empty_texts_are_refused),
        cmocka_unit_test(one_kind_of_text_is_not_taken_for_the_other),
        cmocka_unit_test(fingerprint_and_topic_follow_from_the_key),
        cmocka_unit_test_setup_teardown(saved_keys_load_again, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(operator_keys_load_again_and_sign_alike, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(keys_are_never_overwritten, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(other_modes_are_refused_with_the_command_to_run, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(links_fifos_and_folders_are_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_file_of_someone_else_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_folder_others_may_write_in_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(damaged_files_are_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(keys_for_models_come_back_and_are_not_the_operators, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(one_kind_of_file_is_not_taken_for_the_other, make_folder,
                                        remove_folder),
        cmocka_unit_test(both_ends_derive_the_same_keys_and_each_purpose_its_own),
        cmocka_unit_test(a_key_of_low_order_is_refused),
        cmocka_unit_test(a_mac_covers_key_head_and_body),
        cmocka_unit_test(sealed_text_opens_and_a_changed_one_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
