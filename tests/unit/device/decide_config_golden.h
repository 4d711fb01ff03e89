/* Wrong pieces of a configuration, and what is said of them. Included by test_decide_config.c. */
{"rules:\n"
 "  - {type: above, name: r, channel: host/x}\n",
 "d.yaml:8:5: rules[0].limit: is missing; add it, type: number\n"},
    {"rules:\n"
     "  - {type: outside, name: r, channel: host/x, min: 1}\n",
     "d.yaml:8:5: rules[0].max: is missing; add it, type: number\n"},
    {"rules:\n"
     "  - {type: outside, name: r, channel: host/x, min: 3, max: 1}\n",
     "d.yaml:8:55: rules[0].max: is not above min, 3; Exchange the two.\n"},
    {"rules:\n"
     "  - {type: outside, name: r, channel: host/x, min: 1, max: 3, hysteresis: 2}\n",
     "d.yaml:8:63: rules[0].hysteresis: 2 leaves no value at which the rule is cleared; Choose at most half "
     "the width of the range.\n"},
    {"rules:\n"
     "  - {type: rate, name: r, channel: host/x, limit: 1, hysteresis: 2}\n",
     "d.yaml:8:54: rules[0].hysteresis: 2 leaves no change at which the rule is cleared; Choose at most the "
     "limit.\n"},
    {"rules:\n"
     "  - {type: rate, name: r, channel: host/x, limit: -1}\n",
     "d.yaml:8:51: rules[0].limit: must be at least 0, is -1; choose a value in this range\n"},
    {"rules:\n"
     "  - {type: stuck, name: r, channel: host/x}\n",
     "d.yaml:8:5: rules[0].for_ms: is missing; add it, type: duration\n"},
    {"rules:\n"
     "  - {type: missing, name: r, channel: host/x, hold_ms: 3 s}\n",
     "d.yaml:8:5: rules[0].for_ms: is missing; add it, type: duration\n"
     "d.yaml:8:47: rules[0].hold_ms: unknown key; remove it, or look it up in the list of keys\n"},
    {"rules:\n"
     "  - {type: equals, name: r, channel: host/x}\n",
     "d.yaml:8:5: rules[0].value: is missing; add it, type: text\n"},
    {"rules:\n"
     "  - {type: aboove, name: r, channel: host/x, limit: 3}\n",
     "d.yaml:8:12: rules[0].type: must be one of above, below, outside, rate, stuck, missing, equals, is "
     "aboove; did you mean above?\n"},
    {"rules:\n"
     "  - {name: r, channel: host/x, hold_ms: 3 s}\n",
     "d.yaml:8:5: rules[0].type: is missing; it is one of above, below, outside, rate, stuck, missing, "
     "equals; add `type: ` with one of them\n"},
    {"rules:\n"
     "  - {type: above, name: r, channel: temperature, limit: 3}\n",
     "d.yaml:8:28: rules[0].channel: \"temperature\" names no channel of a source; Write SOURCE/CHANNEL, for "
     "example \"tank/level\".\n"},
    {"rules:\n"
     "  - {type: above, name: r, channel: a/b/c, limit: 3}\n",
     "d.yaml:8:28: rules[0].channel: \"a/b/c\" names no channel of a source; Write SOURCE/CHANNEL, for "
     "example \"tank/level\".\n"},
    {"rules:\n"
     "  - {type: above, name: r, channel: tank/x, limit: 3}\n",
     "d.yaml:8:28: rules[0].channel: \"tank/x\": there is no such source; Name one of `sources` before the "
     "slash.\n"},
    {"rules:\n"
     "  - {type: above, name: r, channel: 'host/**', limit: 3}\n",
     "d.yaml:8:28: rules[0].channel: conditions on tags and ** mean nothing here; Use * and {a,b} only.\n"},
    {"rules:\n"
     "  - {type: above, name: r, channel: host/x, limit: 3, severity: bad}\n",
     "d.yaml:8:65: rules[0].severity: must be one of info, warning, error, critical, is bad; choose one of "
     "these\n"},
    {"rules:\n"
     "  - {type: above, name: r, channel: host/x, limit: 3, hysteresis: -1}\n",
     "d.yaml:8:67: rules[0].hysteresis: must be at least 0, is -1; choose a value in this range\n"},
    {"rules:\n"
     "  - {type: above, name: r, channel: host/x, limit: 3, actions: [{type: set, output: lamp}]}\n",
     "d.yaml:8:77: rules[0].actions[0].output: there is no output \"lamp\"; Add it to `outputs`, or name one "
     "that is there.\n"},
    {"rules:\n"
     "  - {type: above, name: r, channel: host/x, limit: 3, actions: [{type: pulse, output: led}]}\n",
     "d.yaml:8:65: rules[0].actions[0].ms: is missing; add it, type: duration\n"},
    {"rules:\n"
     "  - {type: above, name: r, channel: host/x, limit: 3, actions: [{type: exec, argv: [ls, -l]}]}\n",
     "d.yaml:8:78: rules[0].actions[0].argv: \"ls\" is looked for nowhere: there is no shell; Write the "
     "whole path of the program.\n"},
    {"rules:\n"
     "  - {type: above, name: r, channel: host/x, limit: 3, actions: [{type: exec, argv: []}]}\n",
     "d.yaml:8:78: rules[0].actions[0].argv: must have 1..32 items, has 0; add items\n"},
    {"rules:\n"
     "  - {type: above, name: r, channel: host/x, limit: 1}\n"
     "  - {type: above, name: r, channel: host/y, limit: 1}\n",
     "d.yaml:9:25: rules[1].name: r is already that of rules[0]; choose different ones\n"},
    {"rules:\n"
     "  - {type: above, name: a-name-of-more-than-thirty-two-characters, channel: host/x, limit: 3}\n",
     "d.yaml:8:19: rules[0].name: at most 32 characters; Choose a shorter one.\n"},
    {"  - {type: gpio, name: reject}\n", "d.yaml:7:5: outputs[1].line: is missing; add it, type: text\n"},
    {"  - {type: file, name: two, path: /tmp/led}\n",
     "d.yaml:7:29: outputs[1].path: is output \"led\" already; Let rules share one output.\n"},
    {"  - {type: file, name: led, path: /tmp/led2}\n",
     "d.yaml:7:24: outputs[1].name: led is already that of outputs[0]; choose different ones\n"},
    {"  - {type: gpio, name: two, line: '3', on_stale: inactive}\n",
     "d.yaml:7:40: outputs[1].on_stale: has no effect without stale_ms; Say after how long, with "
     "stale_ms.\n"},
    {"  - {type: gpio, name: two, line: '3', stale_ms: 5 s}\n",
     "d.yaml:7:40: outputs[1].stale_ms: has no effect while on_stale is keep; Say what then, with on_stale: "
     "inactive or active.\n"},
    {"  - {type: gpio, name: two, line: '3', on_start: keep}\n",
     "d.yaml:7:50: outputs[1].on_start: must be one of inactive, active, is keep; choose one of these\n"},
