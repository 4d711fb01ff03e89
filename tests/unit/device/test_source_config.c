/* Wrong sources: each is said with its line, its field and what to do; and kinds that a program brings. */
#include "device/device_config.h"
#include "device/sources/modbus_link.h"
#include "device/sources/mqtt_client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct device_tier tier;

/* The problems of a device with these sources, in lines; empty: there are none. */
static char *problems_of(const char *sources)
{
    struct config_text text = {.name = "d.yaml"};
    struct config_problems problems = {0};
    struct device_config values;
    char yaml[2000], *out = NULL;
    size_t n;
    FILE *f = open_memstream(&out, &n);
    int rc;

    snprintf(yaml, sizeof yaml, "node: d\nsite: s\nsources:\n%s", sources);
    text.text = span_str(yaml);
    rc = config_load_text(&tier.schema, &text, &values, &problems);
    config_problems_print(&problems, f);
    fclose(f);
    assert_int_equal(rc, problems.n > 0 ? CONFIG_BAD : 0);
    config_problems_deinit(&problems);
    config_free_values(&tier.schema, &values);
    return out;
}

static void must_say(const char *sources, const char *said)
{
    char *out = problems_of(sources);

    if (strcmp(out, said) != 0)
        fail_msg("%s\nsays\n%s\ninstead of\n%s", sources, out, said);
    free(out);
}

#define MODBUS "  - {type: modbus, name: m, registers: [{name: a, address: 0}], "
static void a_modbus_timeout_is_no_longer_than_the_interval(void **state)
{
    (void)state;
    if (modbus_link_lacks() != NULL)
        skip();
    must_say(MODBUS "host: h, interval_ms: 300 ms, timeout_ms: 300 ms}\n", "");
    must_say(MODBUS "host: h, interval_ms: 100 ms}\n", "");
    must_say(MODBUS "host: h, interval_ms: 300 ms, timeout_ms: 301 ms}\n",
             "d.yaml:4:95: sources[0].timeout_ms: is longer than interval_ms, 300 ms; Make it at most as "
             "long, or interval_ms longer.\n");
}

static void wrong_modbus_sources_are_said_with_a_remedy(void **state)
{
    (void)state;
    if (modbus_link_lacks() != NULL)
        skip();
    must_say(MODBUS "host: h, serial: /dev/ttyS0}\n",
             "d.yaml:4:65: sources[0].host: one of host and serial is needed; Give host for Modbus TCP, or "
             "serial for Modbus RTU.\n");
    must_say("  - type: modbus\n    name: m\n    host: h\n    registers:\n"
             "      - {name: a, address: 65535, type: u32}\n      - {name: b, address: 0, scale: 0}\n",
             "d.yaml:8:19: sources[0].registers[0].address: its 2 words reach beyond the table; The last "
             "address is 65535.\n"
             "d.yaml:9:31: sources[0].registers[1].scale: is 0: every reading would be 0; Leave it out for "
             "1.\n");
}

#define MQTT "  - type: mqtt\n    name: m\n    host: h\n"
static void wrong_mqtt_sources_are_said_with_a_remedy(void **state)
{
    (void)state;
    if (mqtt_client_lacks() != NULL)
        skip();
    must_say(MQTT "    topics: [{filter: a/#/b, channel: x}]\n",
             "d.yaml:7:15: sources[0].topics[0].filter: has something behind #, which can only be the last "
             "level; Write it like plant/+/temperature or plant/#.\n");
    must_say(MQTT "    topics: [{filter: a/+, channel: $2, json: a..b}]\n",
             "d.yaml:7:28: sources[0].topics[0].channel: has a $ with a higher number than the filter has +; "
             "Write it like room-$1.temperature.\n"
             "d.yaml:7:41: sources[0].topics[0].json: a key is missing at a dot or a bracket; Write it like "
             "a.b[0].c.\n");
    must_say(MQTT "    password_file: /p\n    ca_file: /c\n    topics: [{filter: a, channel: x}]\n",
             "d.yaml:4:5: sources[0].tls: is off, but there are files for it; Set tls: true.\n"
             "d.yaml:4:5: sources[0].username: is missing for the password; Give the username, too.\n");
}

static void wrong_exec_sources_are_said_with_a_remedy(void **state)
{
    (void)state;
    must_say(
        "  - {type: exec, name: e, command: [], interval_ms: 1 ms}\n",
        "d.yaml:4:27: sources[0].command: must have 1..64 items, has 0; add items\n"
        "d.yaml:4:53: sources[0].interval_ms: must be 10 ms..1 d, is 1 ms; choose a value in this range\n");
    must_say("  - {type: exec, name: e, command: [p], expect: [{name: a, type: float}]}\n",
             "d.yaml:4:66: sources[0].expect[0].type: must be one of auto, double, int, bool, text, is "
             "float; choose "
             "one of these\n");
    must_say("  - {type: exec, name: e, command: [p], restart_ms: 2 min}\n",
             "d.yaml:4:5: sources[0].restart_max_ms: is shorter than the first wait, 120000 ms; Make it at "
             "least as long, or the first wait shorter.\n");
}

#define DETECTOR "  - {type: detector, name: w, inputs: [a/b], "
#define MODEL "  - {type: model, name: m, inputs: [a/b], "
#define PARAMETERS "; `devicectl config doc` says what each method takes.\n"
static void wrong_detectors_are_said_with_a_remedy(void **state)
{
    (void)state;
    must_say(DETECTOR "limit: 3}\n", "");
    must_say("  - {type: detector, name: w}\n",
             "d.yaml:4:5: sources[0].inputs: is missing; add it, type: list of texts\n");
    must_say(
        "  - {type: detector, name: w, inputs: [x]}\n",
        "d.yaml:4:40: sources[0].inputs[0]: \"x\" names no channel of a source; Write SOURCE/CHANNEL, for "
        "example \"pump/pressure\".\n");
    must_say("  - {type: detector, name: w, inputs: [a/b, a/b]}\n",
             "d.yaml:4:45: sources[0].inputs[1]: \"a/b\" stands there twice; Name each input once.\n");
    must_say(DETECTOR "method: ewna}\n",
             "d.yaml:4:54: sources[0].method: must be one of ewma, mewma, cusum, page_hinkley, hampel, pca, "
             "surprise, is ewna; did you mean ewma?\n");
    must_say(
        DETECTOR "slack: 1}\n",
        "d.yaml:4:46: sources[0].slack: ewma: slack means nothing to this kind; leave it out" PARAMETERS);
    must_say(DETECTOR "commission_rows: 80.5}\n", "d.yaml:4:46: sources[0].commission_rows: commission_rows "
                                                  "is 80.5; a whole number from 20 to 1e+07 is "
                                                  "needed" PARAMETERS);
    must_say(DETECTOR "limit: -1}\n",
             "d.yaml:4:46: sources[0].limit: ewma: limit is -1; it must be from 0.1 to 1000 "
             "deviations" PARAMETERS);
}

static void wrong_models_are_said_with_a_remedy(void **state)
{
    (void)state;
    must_say(MODEL "file: m.fgm, allow_unsigned: true, budget_us: 20}\n", "");
    must_say(MODEL "allow_unsigned: true}\n",
             "d.yaml:4:5: sources[0].file: is missing; add it, type: path\n");
    must_say(
        MODEL "file: m.fgm}\n",
        "d.yaml:4:5: sources[0].keys: no key is named and unsigned files are not allowed; Name the key that "
        "signs models, or say allow_unsigned: true.\n");
    must_say(
        MODEL "file: m.fgm, keys: [12]}\n",
        "d.yaml:4:63: sources[0].keys[0]: \"12\" is no key of 64 hexadecimal digits; `fogline-model keygen` "
        "prints one.\n");
    must_say(MODEL "file: m.fgm, allow_unsigned: true, arena_bytes: 1 KiB}\n",
             "d.yaml:4:91: sources[0].arena_bytes: must be 4 KiB..256 MiB, is 1 KiB; choose a value in this "
             "range\n");
    must_say(MODEL "file: m.fgm, allow_unsigned: true, budget_us: 20 s}\n",
             "d.yaml:4:89: sources[0].budget_us: is not a whole number: 20 s; write digits only, with a "
             "minus if it "
             "is negative\n");
}

static void more_kinds_than_there_is_room_for_are_an_error(void **state)
{
    static struct device_tier full;
    const struct source_kind *extra[DEVICE_KINDS_MAX + 2] = {NULL};
    struct errmsg err = {""};
    size_t built_in = 0, room;

    (void)state;
    while (source_kinds[built_in] != NULL)
        built_in++;
    room = DEVICE_KINDS_MAX - built_in;
    for (size_t i = 0; i < room; i++)
        extra[i] = &source_host;
    assert_int_equal(device_tier_init(&full, extra, NULL, &err), 0);
    assert_ptr_equal(full.kinds[DEVICE_KINDS_MAX - 1], &source_host);
    assert_null(full.kinds[DEVICE_KINDS_MAX]);
    extra[room] = &source_host;
    assert_int_equal(device_tier_init(&full, extra, NULL, &err), -ENOSPC);
    assert_non_null(strstr(err.text, "more than 16 kinds"));
}

static void a_channel_that_no_pattern_can_match_is_refused(void **state)
{
    static const char socket[] = "  - {type: socket, name: s, channels: [{name: \"%s\"}]}\n";
    static const char *const good[] = {"t", "t*", "{a,b}.x", "**"};
    static const struct {
        const char *name, *said;
    } bad[] = {
        {"t{a,b", "d.yaml:4:41: sources[0].channels[0].name: pattern \"*/*/t{a,b\" has '{' without '}' in "
                  "the same part\n"},
        {"x=1", "d.yaml:4:41: sources[0].channels[0].name: has a character that no channel's name has; Write "
                "the name "
                "of a channel alone, with * and {a,b}.\n"},
        {"s/t", "d.yaml:4:41: sources[0].channels[0].name: has a character that no channel's name has; Write "
                "the name "
                "of a channel alone, with * and {a,b}.\n"},
    };
    char yaml[200];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(yaml, sizeof yaml, socket, good[i]);
        must_say(yaml, "");
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(yaml, sizeof yaml, socket, bad[i].name);
        must_say(yaml, bad[i].said);
    }
}

/* The device would make a descriptor that it cannot read itself, and end. */
static void a_unit_with_control_characters_is_refused(void **state)
{
    (void)state;
    must_say("  - {type: socket, name: s, channels: [{name: t, unit: \"\\u00b0C\"}]}\n", "");
    must_say("  - {type: socket, name: s, channels: [{name: t, unit: \"\\a\"}]}\n",
             "d.yaml:4:50: sources[0].channels[0].unit: has line breaks or other control characters; Remove "
             "them.\n");
    must_say("  - {type: socket, name: s, channels: [{name: t, unit: \"\\u009b\"}]}\n",
             "d.yaml:4:50: sources[0].channels[0].unit: has line breaks or other control characters; Remove "
             "them.\n");
    must_say("  - {type: exec, name: s, command: [x], expect: [{name: t, unit: \"a\\nb\"}]}\n",
             "d.yaml:4:60: sources[0].expect[0].unit: has line breaks or other control characters; Remove "
             "them.\n");
    if (modbus_link_lacks() == NULL)
        must_say(
            "  - {type: modbus, name: s, host: h, registers: [{name: t, address: 0, unit: \"a\\tb\"}]}\n",
            "d.yaml:4:72: sources[0].registers[0].unit: has line breaks or other control characters; Remove "
            "them.\n");
    if (mqtt_client_lacks() == NULL)
        must_say("  - {type: mqtt, name: s, host: h, topics: [{filter: t, channel: t, unit: \"\\x7f\"}]}\n",
                 "d.yaml:4:69: sources[0].topics[0].unit: has line breaks or other control characters; "
                 "Remove them.\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_modbus_timeout_is_no_longer_than_the_interval),
        cmocka_unit_test(a_channel_that_no_pattern_can_match_is_refused),
        cmocka_unit_test(a_unit_with_control_characters_is_refused),
        cmocka_unit_test(wrong_modbus_sources_are_said_with_a_remedy),
        cmocka_unit_test(wrong_mqtt_sources_are_said_with_a_remedy),
        cmocka_unit_test(wrong_exec_sources_are_said_with_a_remedy),
        cmocka_unit_test(wrong_detectors_are_said_with_a_remedy),
        cmocka_unit_test(wrong_models_are_said_with_a_remedy),
        cmocka_unit_test(more_kinds_than_there_is_room_for_are_an_error),
    };

    assert_int_equal(device_tier_init(&tier, NULL, NULL, &(struct errmsg){""}), 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
