/* text.h - words for people: wrapped help and the facts of a row. Inside common/config only. */
#ifndef FOGLINE_CONFIG_TEXT_H
#define FOGLINE_CONFIG_TEXT_H

#include "config/config.h"

/* snprintf where a cut is meant: names of fields and messages have their longest length. */
void text_cut(char *out, size_t out_bytes, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Writes the text in lines of at most 100 characters, each begun with the lead ("    # "). */
void text_wrap(FILE *out, const char *lead, const char *text);
/* "duration, 100 ms..1 h, default 5 s, reloadable" into out. Returns out. */
char *text_facts(const struct config_row *row, char *out, size_t out_bytes);

#endif
