/* What the configuration of a fog says of rules and models: every mistake is named with its place and what to
 * do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fog/fog_config.h"
#include "fog/rules_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int load(const char *text, struct fog_config *c, char **ret_said)
{
    struct config_text t = {"fog.yaml", "/etc", span_str(text)};
    struct config_problems problems = {.n = 0};
    size_t bytes;
    FILE *f = open_memstream(ret_said, &bytes);
    int rc = config_load_text(&fog_schema, &t, c, &problems);

    assert_non_null(f);
    config_problems_print(&problems, f);
    fclose(f);
    config_problems_deinit(&problems);
    return rc;
}

#define HEAD "node: fog-a\nsite: plant-a\n"

static void expect(const char *rules, const char *said_there)
{
    struct fog_config c;
    char text[2000], *said = NULL;

    snprintf(text, sizeof text, HEAD "%s", rules);
    assert_int_equal(load(text, &c, &said), said_there[0] != '\0' ? CONFIG_BAD : 0);
    assert_string_equal(said, said_there);
    free(said);
    config_free_values(&fog_schema, &c);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    expect("rules:\n- {type: above, name: hot, select: 'plant-a/oven-{1,2}/t', limit: 80, at_least: 2}\n",
           "");
    expect(
        "rules:\n- {type: above, name: hot, select: pump-1/t, limit: 80}\n",
        "fog.yaml:4:28: rules[0].select: \"pump-1/t\" is not of this site, plant-a; Begin with the site, or "
        "with \"*/\".\n");
    expect("rules:\n- {type: above, name: hot, select: '*/*/{t', limit: 80}\n",
           "fog.yaml:4:36: rules[0].select: is not a pattern: pattern \"*/*/{t\" has '{' without '}' in the "
           "same "
           "part; write site/device/channel with *, ** or {a,b}\n");
    expect("rules:\n- {type: silent, name: gone, select: '*/pump-1/t', for_ms: 10 s}\n",
           "fog.yaml:4:30: rules[0].select: \"*/pump-1/t\" names no devices; Write SITE/DEVICE, for example "
           "\"*/pump-*\".\n");
    expect("rules:\n- type: outside\n  name: odd\n  select: '*/*/t'\n  min: 5\n  max: 4\n  actions:\n"
           "  - {type: set, output: lamp}\n  - {type: exec, argv: [tell]}\n",
           "fog.yaml:8:3: rules[0].max: is not above min, 5; Exchange the two.\n"
           "fog.yaml:10:17: rules[0].actions[0].output: there is no output \"lamp\"; Add it to `outputs`, or "
           "name "
           "one that is there.\n"
           "fog.yaml:11:18: rules[0].actions[1].argv: \"tell\" is looked for nowhere: there is no shell; "
           "Write the "
           "whole path of the program.\n");
    expect("history: {max_age: 0}\nrules:\n- {type: missing, name: beat, select: '*/*/t', for_ms: 5 min}\n",
           "fog.yaml:4:1: rules: what readings mean is looked up in the history, and none is kept; Raise "
           "history.max_age, or take the rules away.\n");
}

static void mistakes_of_models_are_named(void **state)
{
    (void)state;
    expect("models:\n- {type: detector, name: watch, select: '*/pump-*', inputs: [t], limit: 4}\n", "");
    expect("models:\n- {type: detector, name: watch, select: '*/pump-*/t', inputs: [t], limit: -4}\n",
           "fog.yaml:4:33: models[0].select: \"*/pump-*/t\" names no devices; Write SITE/DEVICE, for example "
           "\"*/pump-*\".\nfog.yaml:4:68: models[0].limit: ewma: limit is -4; it must be from 0.1 to 1000 "
           "deviations; `fogctl config doc` says what each method takes.\n");
    expect("models:\n- {type: model, name: wear, select: '*/*', file: wear.fogmodel, inputs: [t], keys: "
           "[abc]}\n",
           "fog.yaml:4:85: models[0].keys[0]: \"abc\" is no key of 64 hexadecimal digits; `fogline-model "
           "keygen` prints one.\n");
    expect("models:\n- {type: model, name: wear, select: '*/*', file: wear.fogmodel, inputs: [t]}\n",
           "fog.yaml:4:3: models[0].keys: no key is named and unsigned files are not allowed; Name the key "
           "that signs models, or say allow_unsigned: true.\n");
    expect("history: {max_age: 0}\nmodels:\n- {type: detector, name: watch, select: '*/*', inputs: [t]}\n",
           "fog.yaml:4:1: models: what readings mean is looked up in the history, and none is kept; Raise "
           "history.max_age, or take the models away.\n");
}

static void the_table_is_sound(void **state)
{
    struct errmsg err = {""};

    (void)state;
    if (config_schema_check(&fog_schema, &err) != 0)
        fail_msg("%s", err.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(mistakes_of_models_are_named),
        cmocka_unit_test(the_table_is_sound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
