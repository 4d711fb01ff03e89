/* record_private.h - between the record_*.c files only. */
#ifndef FOGLINE_CTL_RECORD_PRIVATE_H
#define FOGLINE_CTL_RECORD_PRIVATE_H

#include "ctl/record_text.h"

#include <string.h>

enum { RECORD_ARENA_BYTES = 1024 * 1024 };

const char *record_event_name(int type);
const char *record_reason_name(int reason);
const char *record_severity_name(uint32_t severity);

#endif
